"""Random draws that depend only on a seed: on the CPU, with one generator per image."""

import torch
from jaxtyping import Int
from torch import Tensor


def generator(seed: int, stream: int = 0) -> torch.Generator:
    """A CPU generator for one image; different streams of one seed are independent."""
    mixed = (seed * 0x9E3779B97F4A7C15 + stream * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % (1 << 64)
    return torch.Generator().manual_seed((mixed ^ (mixed >> 31)) % (1 << 63))


def jitter_offsets(seeds: list[int], iterations: int, jitter: int) -> Int[Tensor, "iterations b 2"]:
    """Rows and columns of each image's window, uniform over {0, …, jitter-1}² (§4.3, implementation details).

    Args:
        seeds: one per image; an image's draws do not depend on its batch.
        iterations: number of draws per image.
        jitter: number of positions along each axis; 0 and 1 both mean no jitter.
    """
    shape = (iterations, 2)
    draws = [torch.randint(0, max(jitter, 1), shape, generator=generator(seed, 1)) for seed in seeds]
    return torch.stack(draws, dim=1)
