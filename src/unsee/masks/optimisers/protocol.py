"""The protocol of optimisers: the optimiser asks for evaluations of masks and receives the results."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.objective import Objective, Terms

Memory = tuple[Tensor, ...]
"""What an optimiser remembers of each image: tensors on the masks' device whose first axis is the images."""


class Bounds(NamedTuple):
    """Between which values each cell of a mask must stay, within [0,1]."""

    low: Float[Tensor, "b r c"]
    high: Float[Tensor, "b r c"]


def within(masks: Float[Tensor, "b r c"], bounds: Bounds | None) -> Float[Tensor, "b r c"]:
    """Masks clipped to their bounds, or to [0,1] if there are none."""
    return masks.clamp(0, 1) if bounds is None else masks.clamp(bounds.low, bounds.high)


@dataclass(frozen=True, eq=False)
class Linear:
    """The score near masks, as a linear function: its value there and its gradient.

    Args:
        value: the mean score over the edits; its log-odds where the score is a probability, since these
            still tell masks apart where the probability rounds to 0 or 1.
        gradient: of the value with respect to the masks.
        log_odds: whether the value is the log-odds.
    """

    value: Float[Tensor, "b k"]
    gradient: Float[Tensor, "b k r c"]
    log_odds: bool

    def score_gradient(self) -> Float[Tensor, "b k r c"]:
        """The gradient of the mean score itself."""
        if not self.log_odds:
            return self.gradient
        return (self.value.sigmoid() * (-self.value).sigmoid())[..., None, None] * self.gradient


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Masks and what the network made of the images under them.

    Args:
        masks: as the optimiser asked for them, on their cells: k for each image.
        terms: the objective's weighted terms by name, each (b,k).
        linear: the score near the masks; None where the optimiser needs no gradient.
        objective: gives the penalties and their gradient at any mask.
        edits: perturbations over which the score is summed.
        bounds: of each cell; None for [0,1].
        places: numbers the jitter of each evaluation; None where there is none.
    """

    masks: Float[Tensor, "b k r c"]
    terms: Terms
    linear: Linear | None
    objective: Objective
    edits: int
    bounds: Bounds | None = None
    places: Int[Tensor, "b k"] | None = None

    @property
    def gradient(self) -> Float[Tensor, "b k r c"] | None:
        """The gradient of the score term with respect to the masks; None where none was needed."""
        if self.linear is None:
            return None
        return self.objective.game.sign * self.edits * self.linear.score_gradient()


@runtime_checkable
class Optimiser(Protocol):
    """Proposes masks; the loop evaluates them."""

    @property
    def iterations(self) -> int:
        """Steps for each image at most; each step evaluates the masks that `ask` returns."""

    @property
    def needs_gradient(self) -> bool:
        """Whether `tell` reads the gradient of the score, which only some classifiers have."""

    @property
    def exact(self) -> bool:
        """Whether it reproduces a published result, so that full precision is its default."""

    @property
    def masks_per_step(self) -> int:
        """The largest number of masks of one image that `ask` returns."""

    @property
    def settles_early(self) -> bool:
        """Whether images can end before the last iteration, so that others take their place."""

    @property
    def summary(self) -> str:
        """The optimiser in a few words, for lists of presets."""

    def limited(self, iterations: int) -> "Optimiser":
        """The same optimiser with another number of steps."""

    def begin(self, masks: Float[Tensor, "b r c"], seeds: Int[Tensor, " b"]) -> Memory:
        """What is remembered before the first step; `seeds` are for optimisers that draw."""

    def ask(
        self, memory: Memory, masks: Float[Tensor, "b r c"], iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b k r c"]:
        """The masks to evaluate next, in [0,1], k for each image; `masks` are the current results."""

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The new results, within the evaluation's bounds, and what is remembered.

        No image depends on another.
        """

    def settled(
        self, history: Float[Tensor, "b iterations terms"], iteration: Int[Tensor, " b"]
    ) -> Bool[Tensor, " b"]:
        """Which images are finished after the step of this iteration."""


@runtime_checkable
class Continuing(Optimiser, Protocol):
    """An optimiser that goes on from what it remembers when the penalties change."""

    def limited(self, iterations: int) -> "Continuing":
        """The same optimiser with another number of steps."""

    def continuing(self, steps: int, radius: float) -> tuple["Continuing", int]:
        """The optimiser for so many further steps, and the iteration of the first of them.

        Cells move by `radius` at most in the first.
        """

    def reweighted(self, memory: Memory, objective: Objective, edits: int) -> Memory:
        """What is remembered, under an objective that differs in its penalties alone."""


def whole_number_of_iterations(iterations: int) -> None:
    """Check that it is a whole number above 0.

    Raises:
        UnseeError: it is not.
    """
    if not isinstance(iterations, int) or iterations < 1:
        raise UnseeError(f"iterations must be a whole number of at least 1, got {iterations!r}")
