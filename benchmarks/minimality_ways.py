"""How masks are learned and read, for minimality.py."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.masks import PRESETS, Settings
from unsee.masks.edits.perturbation import Blended, Blur, NativeBlur
from unsee.masks.grid import Grid
from unsee.masks.objective import Objective
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.protocol import Evaluation, Memory
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.starts import EditedStart, RandomStart
from unsee.tensors import smooth

_PAPER, _FAST, _AUTHORS = PRESETS["paper"], PRESETS["fast"], PRESETS["authors"]


def weighed(base: Settings, l1: float = 1e-4, tv: float = 1e-2, beta: float = 3.0) -> Settings:
    """The settings with other weights."""
    return replace(base, objective=Objective(penalties=(L1(l1), TotalVariation(tv, beta=beta))))


class Cosine(Adam):
    """Adam with a cosine decay of the learning rate to 0."""

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Tensor
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The next masks; images of a batch are at the same iteration."""
        eased = (1 + math.cos(math.pi * float(iteration[0]) / self.iterations)) / 2
        return Adam(self.rate * eased, self.iterations).tell(memory, evaluation, iteration)


@dataclass(frozen=True)
class Traced(Adam):
    """Adam that keeps intermediate masks; `seen` holds them, batch after batch."""

    seen: dict[int, list[Tensor]] = field(default_factory=lambda: {50: [], 100: [], 200: []})

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Tensor
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The next masks."""
        moved = super().tell(memory, evaluation, iteration)
        self.seen.get(int(iteration[0]) + 1, []).append(moved[0].cpu())
        return moved


VARIANTS: dict[str, Settings] = {
    "paper": _PAPER,
    "paper-cosine": replace(_PAPER, optimiser=Cosine(iterations=100)),
    "paper-means": replace(weighed(_PAPER, l1=1e-4 / 784, tv=1e-2 / 784), optimiser=Cosine(iterations=100)),
    "paper-l1-mean": replace(weighed(_PAPER, l1=1e-4 / 784), optimiser=Cosine(iterations=100)),
    "paper-tv-mean": replace(weighed(_PAPER, tv=1e-2 / 784), optimiser=Cosine(iterations=100)),
    "paper-still": replace(_PAPER, jitter=0, optimiser=Cosine(iterations=100)),
    "paper-sharp": replace(_PAPER, grid=Grid(blur=0.0), optimiser=Cosine(iterations=100)),
    "paper-deleted": replace(_PAPER, start=EditedStart(), optimiser=Adam(iterations=100)),
    "authors": _AUTHORS,
    "authors-random": replace(_AUTHORS, start=RandomStart(), optimiser=Adam(iterations=100)),
    "fast": _FAST,
    "fast-circle": replace(_FAST, start=_PAPER.start),
    "fast-native": replace(_FAST, perturbations=(NativeBlur(),)),
    "fast-l1": weighed(_FAST, l1=1e-3),
    "fast-tv-low": weighed(_FAST, tv=1e-3),
    "fast-port": weighed(_FAST, l1=0.01 / 784, tv=0.2 / 784),
    "fast-top5": weighed(_FAST, l1=1e-3, beta=2.0),
}
"""How masks are learned, always for the image's class; `-top5` has the weights of localisation, `-port` those
of the PyTorch port as sums."""


def upsampled(grid: Tensor, size: tuple[int, int], blur: float = 5.0) -> Tensor:
    """M, one value per pixel."""
    return Grid(blur=blur).upsampler(size, grid)(grid)


def levelled(saliency: Tensor, levels: int) -> Tensor:
    """A map quantised to so many levels above its minimum."""
    low, high = saliency.aminmax()
    return (levels * (saliency - low) / (high - low).clamp(min=1e-12)).floor() / levels


READINGS: dict[str, Callable[[Tensor, tuple[int, int]], Tensor]] = {
    "mask": lambda grid, size: 1 - upsampled(grid, size),
    "again": lambda grid, size: 1 - smooth(upsampled(grid, size), 10.0),
    "cells": lambda grid, size: 1 - upsampled(grid, size, 0.0),
    "linear": lambda grid, size: 1 - F.interpolate(grid[None, None], size, mode="bilinear")[0, 0],
    "8bit": lambda grid, size: 1 - (255 * upsampled(grid, size)).floor() / 255,
}
"""The map to threshold: M; M blurred again; the 28² mask as squares, or interpolated; M in 8 bits."""
EDITS: dict[str, Blended] = {"blur": Blur(), "native": NativeBlur()}
