"""The area penalty of Fong, Patrick & Vedaldi 2019: the sorted mask should be a step of a given area."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.game import Game
from unsee.masks.penalty_protocol import ExactAreas, Penalty, gradient_of
from unsee.masks.smooth_grid import SmoothGrid


def checked_area(area: float) -> float:
    """A share of the picture.

    Raises:
        UnseeError: it is no number above 0 and below 1.
    """
    if isinstance(area, bool) or not isinstance(area, int | float) or not 0 < area < 1:
        raise UnseeError(f"an area is a share of the picture above 0 and below 1, such as 0.1, got {area!r}")
    return float(area)


@runtime_checkable
class AreaPenalty(Penalty, Protocol):
    """A penalty that asks for masks of an area."""

    def value_at(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"], areas: Tensor
    ) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask, each for an area of its own."""


@dataclass(frozen=True)
class SortedArea(AreaPenalty):
    """weight·growthᵗ·mean((vecsort(s) - r_a)²), t the iteration: s should be 1 on a share a, else 0.

    s is the smooth saliency with its margin, sorted from low to high; r_a is 0 in its first ⌊(1-a)·n⌋
    places and 1 in the others. The weight grows, so that the area is reached gradually.

    Args:
        area: a, in (0,1); `Objective.at` gives each image of a batch its own.
        weight: at the first iteration.
        growth: factor on the weight at each further iteration.
        grid: how cells become a smooth mask.
    """

    area: float = 0.1
    weight: float = 300.0
    growth: float = 1.0035
    tolerance: ClassVar[float] = 0.5
    """Its margin makes masks larger."""
    grid: SmoothGrid = field(default_factory=SmoothGrid)
    name: str = "area"

    def __post_init__(self) -> None:
        checked_area(self.area)
        if self.weight < 0 or self.growth <= 0:
            raise UnseeError("the weight of an area must not be negative, and its growth must be above 0")

    def value(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask."""
        return self.value_at(masks, game, iteration, self._same(masks))

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient, by autograd."""
        return gradient_of(self, masks, game, iteration)

    def value_at(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"], areas: Tensor
    ) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask, each for an area of its own."""
        pixels = self.grid.with_margin(game.saliency(masks)).flatten(1)
        weights = (self.weight * self.growth ** iteration.double()).to(pixels)
        return weights * (pixels - step_of(pixels, areas)).square().mean(dim=1)

    def of_area(self, area: float) -> "SortedArea":
        """The same for another area."""
        return replace(self, area=area)

    def of_areas(self, areas: Float[Tensor, " b"]) -> "EachArea":
        """The same for a batch whose masks have areas of their own."""
        return EachArea(self, areas)

    def for_input(self, size: tuple[int, int]) -> "SortedArea":
        """The same with a grid that knows the input's size."""
        return replace(self, grid=self.grid.for_input(size))

    def _same(self, masks: Tensor) -> Float[Tensor, " b"]:
        return torch.full((len(masks),), self.area, dtype=torch.float64, device=masks.device)


@dataclass(frozen=True, eq=False)
class EachArea(Penalty):
    """An area penalty for a batch whose masks have areas of their own; several masks of one image follow each
    other.
    """

    penalty: AreaPenalty
    areas: Float[Tensor, " b"]
    exact_areas: ExactAreas | None = None

    @property
    def name(self) -> str:
        """The penalty's."""
        return self.penalty.name

    def value(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask."""
        areas = self.areas.repeat_interleave(len(masks) // len(self.areas))
        return self.penalty.value_at(masks, game, iteration, areas)

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient, by autograd."""
        return gradient_of(self, masks, game, iteration)


@dataclass(frozen=True)
class ExactArea(AreaPenalty):
    """Masks whose mean saliency is a given area, and a weight on what is neither 0 nor 1.

    weight·growthᵗ·mean((vecsort(s) - r)²), as `SortedArea`, but over the picture without its margin; and
    `strict` for each share by which the mean of s is further than `slack` from the area, which no score makes
    good. The optimiser `AreaSteps` keeps the area exactly, so that only the first part has a say there.

    Args:
        area: in (0,1); `Objective.at` gives each image of a batch its own.
        weight: at the first iteration.
        growth: factor on the weight at each further iteration.
        slack: share of the picture.
        strict: see above.
        grid: how cells become a smooth mask.
    """

    area: float = 0.1
    weight: float = 10.0
    growth: float = 1.05
    slack: float = 2e-3
    strict: float = 1e5
    tolerance: ClassVar[float] = 0.1
    grid: SmoothGrid = field(default_factory=SmoothGrid)
    name: str = "area"

    def __post_init__(self) -> None:
        checked_area(self.area)
        if min(self.weight, self.slack, self.strict) < 0 or self.growth <= 0:
            raise UnseeError("the weights of an area must not be negative, and its growth must be above 0")

    def value(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask."""
        areas = torch.full((len(masks),), self.area, dtype=torch.float64, device=masks.device)
        return self.value_at(masks, game, iteration, areas)

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient, by autograd."""
        return gradient_of(self, masks, game, iteration)

    def value_at(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"], areas: Tensor
    ) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask, each for an area of its own."""
        saliency = game.saliency(masks)
        off = (self._pixels(saliency).mean(dim=1) - areas.to(masks)).abs()
        return self.unsharpness(saliency, iteration, areas) + self.strict * (off - self.slack).clamp(min=0)

    def unsharpness(
        self, saliency: Float[Tensor, "b r c"], iteration: Int[Tensor, " b"], areas: Float[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The weighted distance from a sharp mask of these areas, differentiable."""
        pixels = self._pixels(saliency)
        weights = (self.weight * self.growth ** iteration.double()).to(pixels)
        return weights * (pixels - step_of(pixels, areas)).square().mean(dim=1)

    def _pixels(self, saliency: Float[Tensor, "b r c"]) -> Float[Tensor, "b n"]:
        cells = saliency.shape[-2], saliency.shape[-1]
        return self.grid.inside(self.grid.with_margin(saliency), cells)

    def of_area(self, area: float) -> "ExactArea":
        """The same for another area."""
        return replace(self, area=area)

    def of_areas(self, areas: Float[Tensor, " b"]) -> "EachArea":
        """The same for a batch whose masks have areas of their own."""
        return EachArea(self, areas, ExactAreas(areas, self.grid, self.unsharpness))

    def for_input(self, size: tuple[int, int]) -> "ExactArea":
        """The same with a grid that knows the input's size."""
        return replace(self, grid=self.grid.for_input(size))


@torch.no_grad()
def step_of(pixels: Float[Tensor, "b n"], areas: Float[Tensor, " b"]) -> Float[Tensor, "b n"]:
    """What each pixel should be: 1 for the highest, else 0; of equal ones the last are the higher."""
    low = (pixels.shape[1] * (1 - areas)).floor()
    order = pixels.argsort(dim=1, stable=True)
    high = torch.arange(pixels.shape[1], device=pixels.device) >= low[:, None]
    return torch.zeros_like(pixels).scatter_(1, order, high.to(pixels))
