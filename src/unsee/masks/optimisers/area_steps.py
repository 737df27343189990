"""Steps that keep the area of a smooth mask exact: few evaluations for the best mask of an area.

The area falls from a large one to the one that is asked for, so that what matters least is left out first.
Each step goes along a running mean of the gradients of the score and of what makes the mask sharp, with one
rate for all cells. Then a constant is added to all cells and they are clipped to [0,1], so that the area is
what it should be: the projection to masks of a given sum (Duchi et al. 2008), for the sum of the smooth mask.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.optimisers.iterate import SingleIterate
from unsee.masks.optimisers.protocol import Evaluation, Memory, whole_number_of_iterations
from unsee.masks.penalty_protocol import ExactAreas
from unsee.masks.smooth_grid import SmoothGrid

_HALVINGS = 14
_TINY = 1e-12


@dataclass(frozen=True)
class AreaSteps(SingleIterate):
    """Projected steps on an `ExactArea`.

    Args:
        iterations: evaluations for each image.
        rate: root mean square step of the cells, at first.
        last_rate: at the last iteration; in between it falls geometrically.
        widest: the area at first, where it is above the one that is asked for.
        falling: share of the iterations over which the area falls, geometrically.
        betas: decay of the running means of the gradient and of its square.

    Raises:
        UnseeError: no iterations, or a value outside its range.
    """

    iterations: int = 60
    rate: float = 0.15
    last_rate: float = 0.05
    widest: float = 0.6
    falling: float = 0.5
    betas: tuple[float, float] = (0.8, 0.9)

    exact: ClassVar[bool] = False
    """It approximates the published optimiser's result, so lower precision is acceptable."""

    def __post_init__(self) -> None:
        whole_number_of_iterations(self.iterations)
        if not (0 < self.last_rate <= self.rate and 0 < self.widest <= 1 and 0 < self.falling <= 1):
            raise UnseeError(
                "AreaSteps needs rates above 0, the last not above the first, and widest and falling "
                f"in (0, 1], got {self.rate}, {self.last_rate}, {self.widest} and {self.falling}"
            )

    @property
    def summary(self) -> str:
        """The number of iterations."""
        return f"{self.iterations} iterations at the exact area"

    def limited(self, iterations: int) -> "AreaSteps":
        """The same with another number of steps."""
        return replace(self, iterations=iterations)

    def begin(self, masks: Float[Tensor, "b r c"], seeds: Int[Tensor, " b"]) -> Memory:  # noqa: ARG002
        """Both running means, at zero."""
        return torch.zeros_like(masks), torch.zeros_like(masks)

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The next iterate, projected to its area."""
        assert evaluation.gradient is not None
        exact = evaluation.objective.exact_areas
        if exact is None:
            raise UnseeError(
                "the optimiser AreaSteps needs the penalty ExactArea, as in the preset extremal-fast"
            )
        game, first, second = evaluation.objective.game, *self.betas
        saliency = game.saliency(evaluation.masks[:, 0])
        areas, count = self.areas(exact.areas, iteration), (iteration + 1).to(saliency)[:, None, None]
        gradient = (1 - 2 * game.ideal) * evaluation.gradient[:, 0]
        gradient = gradient + _sharper(exact, saliency, iteration, areas)
        mean = first * memory[0] + (1 - first) * gradient
        square = second * memory[1] + (1 - second) * gradient.square()
        scale = (square / (1 - second**count)).mean(dim=(1, 2), keepdim=True).sqrt().add(_TINY)
        done = count / self.iterations
        rate = self.rate * (self.last_rate / self.rate) ** done
        moved = saliency - rate * (mean / (1 - first**count)) / scale
        cells = projected(moved, (areas - _bias(saliency, exact.grid)).clamp(_TINY, 1 - _TINY), exact.grid)
        return (game.ideal - cells).abs(), (mean, square)

    def areas(self, asked: Float[Tensor, " b"], iteration: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """The areas of the next masks: falling to those that are asked for."""
        fallen = ((iteration + 1).double() / (self.falling * self.iterations)).clamp(max=1)
        widest = asked.clamp(min=self.widest)
        return widest * (asked / widest) ** fallen


@torch.no_grad()
def projected(
    values: Float[Tensor, "b r c"], areas: Float[Tensor, " b"], grid: SmoothGrid
) -> Float[Tensor, "b r c"]:
    """Cells plus the constant with which the smooth mask, clipped to [0,1], has its area, found by halving.

    Args:
        values: any finite values.
        areas: of each mask, in (0,1).
        grid: how cells become a smooth mask.
    """
    low, high = -values.flatten(1).amax(dim=1), 1 - values.flatten(1).amin(dim=1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        small = grid.area((values + middle[:, None, None]).clamp(0, 1)) < areas
        low, high = torch.where(small, middle, low), torch.where(small, high, middle)
    return (values + ((low + high) / 2)[:, None, None]).clamp(0, 1)


@torch.no_grad()
def _bias(saliency: Float[Tensor, "b r c"], grid: SmoothGrid) -> Float[Tensor, " b"]:
    """By how much the area from all pixels is above that from a few of each cell; it changes slowly."""
    pixels = grid.inside(grid.with_margin(saliency), (saliency.shape[1], saliency.shape[2]))
    return pixels.mean(dim=1) - grid.area(saliency)


def _sharper(
    exact: ExactAreas, saliency: Float[Tensor, "b r c"], iteration: Int[Tensor, " b"], areas: Tensor
) -> Float[Tensor, "b r c"]:
    """The gradient of what makes masks of these areas sharp."""
    with torch.enable_grad():
        free = saliency.detach().requires_grad_()
        return torch.autograd.grad(exact.unsharpness(free, iteration, areas).sum(), free)[0]
