"""What an optimisation algorithm is given and what it gives back."""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.objective import Objective, Terms

Memory = tuple[Tensor, ...]
"""What an algorithm remembers of each image: tensors whose first axis is the images."""


class Point(NamedTuple):
    """Masks that the network has been asked about.

    Args:
        masks: (b,r,c), on their cells.
        terms: the objective's parts, each (b,).
        slopes: (b,r,c), the gradient of `terms.score`.
        objective: whose penalties can be had at any mask.
        edits: perturbations, over which the score is summed.
    """

    masks: Tensor
    terms: Terms
    slopes: Tensor
    objective: Objective
    edits: int


@runtime_checkable
class Algorithm(Protocol):
    """Supplies the steps; the loop does the rest."""

    @property
    def iterations(self) -> int:
        """Steps for each image at most."""

    @property
    def exact(self) -> bool:
        """Whether it reproduces a published result, so that full precision is its default."""

    @property
    def settles_early(self) -> bool:
        """Whether images can end before the last iteration, so that others take their place."""

    @property
    def summary(self) -> str:
        """What it does, in a few words, as in "300 iterations at rate 0.1"."""

    def limited(self, iterations: int) -> "Algorithm":
        """The same with another number of steps."""

    def begin(self, masks: Float[Tensor, "b r c"]) -> Memory:
        """What is remembered before the first step."""

    def step(
        self, memory: Memory, point: Point, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The next masks, in [0,1], and what is remembered then; no image sees another."""

    def settled(
        self, history: Float[Tensor, "b iterations 3"], iteration: Int[Tensor, " b"]
    ) -> Bool[Tensor, " b"]:
        """Which images have ended with the step of this iteration."""


def whole_number_of_iterations(iterations: int) -> None:
    """Raise UnseeError unless it is a whole number above 0."""
    if not isinstance(iterations, int) or iterations < 1:
        raise UnseeError(f"a mask takes a whole number of iterations, at least 1, not {iterations!r}")
