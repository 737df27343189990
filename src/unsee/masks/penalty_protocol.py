"""The protocol of penalties: a name, a value and a gradient, already weighted; and what else a penalty is."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.masks.game import Game
from unsee.masks.smooth_grid import SmoothGrid


class ExactAreas(NamedTuple):
    """What an optimiser needs that keeps the areas of masks exact.

    Args:
        areas: of each image's mask, in (0,1).
        grid: how cells become a smooth mask.
        unsharpness: the weighted distance (b,) of saliency (b,r,c) from a sharp mask, given the iterations
            and the areas, (b,) each; differentiable.
    """

    areas: Float[Tensor, " b"]
    grid: SmoothGrid
    unsharpness: Callable[[Tensor, Tensor, Tensor], Tensor]


@runtime_checkable
class Penalty(Protocol):
    """A weighted regulariser of the low-resolution mask.

    A subclass gives name, value and gradient. The other members say what else a penalty is; they stand here
    for one that asks for no area and is the same on every grid.
    """

    @property
    def name(self) -> str:
        """The name of its term in results and stores; unique within an objective."""

    def value(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask; `iteration` counts each image's steps from 0."""

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient of the values with respect to the masks."""

    @property
    def lambda1(self) -> float:
        """The paper's λ1, if it weighs the area; else 0."""
        return 0.0

    @property
    def area(self) -> float | None:
        """The share of the picture that masks should have, in (0,1); None if it asks for no area."""
        return None

    @property
    def tolerance(self) -> float:
        """The share of that area by which a mask may differ from it."""
        return 0.0

    @property
    def exact_areas(self) -> ExactAreas | None:
        """What `AreaSteps` keeps exact; None for other penalties."""
        return None

    def of_area(self, area: float) -> "Penalty":  # noqa: ARG002
        """The same for another area; itself if it asks for none."""
        return self

    def of_areas(self, areas: Float[Tensor, " b"]) -> "Penalty":  # noqa: ARG002
        """The same for a batch whose masks have areas of their own; itself if it asks for none."""
        return self

    def for_input(self, size: tuple[int, int]) -> "Penalty":  # noqa: ARG002
        """The same for an input of (height, width) pixels."""
        return self

    def in_cells(self) -> "Penalty":
        """The same for masks on cells of their own, such as tokens, of any number."""
        return self


def gradient_of(
    penalty: Penalty, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
) -> Float[Tensor, "b r c"]:
    """The gradient of a penalty's values by autograd, for penalties without a closed form.

    Args:
        penalty: its values must be differentiable, or not depend on the masks.
        masks: on their cells, in [0,1].
        game: what the masks are learned for.
        iteration: of each mask.
    """
    with torch.enable_grad():
        free = masks.detach().requires_grad_()
        value = penalty.value(free, game, iteration).sum()
        return torch.autograd.grad(value, free)[0] if value.requires_grad else torch.zeros_like(free)
