"""Seeding of libraries that draw from torch's global generators."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_GENERATORS = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for a `with` block, then restore their states; one thread at a time."""
    on_gpu = device.type == "cuda"
    with _GENERATORS, torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[
                torch.cuda.current_device() if device.index is None else device.index
            ].manual_seed(seed)
        yield
