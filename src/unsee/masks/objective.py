"""The objective that a mask minimises (eq. 3, 4 and 6; supplement eq. 1 and 2): a score and named penalties.

Every term is (B,), one value for each mask.
"""

import math
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.game import DELETION, Game
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.penalty_protocol import ExactAreas, Penalty
from unsee.target_scores import (
    SCORES,
    Score,
    sigmoid_all_log_odds,
    sigmoid_all_score,
    sigmoid_log_odds,
    sigmoid_score,
    softmax_log_odds,
    softmax_score,
)

Terms = dict[str, Tensor]
"""The weighted terms by name, "score" first, each (B,); their sum is the objective."""

SCORE = "score"
"""The name of the score's term."""

_LOG_ODDS: dict[Score, Score] = {
    softmax_score: softmax_log_odds,
    sigmoid_score: sigmoid_log_odds,
    sigmoid_all_score: sigmoid_all_log_odds,
}


def log_odds_of(score: Score) -> Score | None:
    """The log-odds of a score that is a probability; None for any other."""
    return _LOG_ODDS.get(score)


@dataclass(frozen=True)
class Objective:
    """Game, score and penalties.

    Args:
        game: deletion or preservation.
        penalties: what edited cells and uneven masks cost; any number, each with a name of its own.
        score: a callable of (logits, targets); see `SCORES`. None for the one that the network's head gives,
            the softmax probability in the paper.

    Raises:
        UnseeError: two penalties have the same name, or one is called "score".
    """

    game: Game = DELETION
    penalties: tuple[Penalty, ...] = (L1(1e-4), TotalVariation(1e-2))
    score: Score | None = None

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise UnseeError(f"penalties need names of their own, other than {SCORE!r}: got {self.names[1:]}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the terms, in order: "score", then each penalty's."""
        return (SCORE, *(penalty.name for penalty in self.penalties))

    @property
    def least_score(self) -> float:
        """The lowest value that the score's term can take with one edit."""
        probability = self.score is not None and log_odds_of(self.score) is not None
        return min(self.game.sign, 0.0) if probability else -math.inf

    def on(self, score: str) -> "Objective":
        """The objective with the classifier's score, unless it has one of its own."""
        return self if self.score is not None else replace(self, score=self.score_on(score))

    def score_on(self, score: str) -> Score:
        """The score that is minimised: the objective's own, else the classifier's, by name."""
        return SCORES[score] if self.score is None else self.score

    def with_penalty(self, penalty: Penalty) -> "Objective":
        """The objective with another penalty in place of the one of the same name, or added to the others."""
        others = {own.name: own for own in self.penalties} | {penalty.name: penalty}
        return replace(self, penalties=tuple(others.values()))

    @property
    def area(self) -> float | None:
        """The area that masks should have; None where it is up to the penalties."""
        return next((part.area for part in self.penalties if part.area is not None), None)

    @property
    def area_tolerance(self) -> float:
        """The share of its area by which a mask may differ from it; 0 where no area is asked for."""
        return max((part.tolerance for part in self.penalties), default=0.0)

    @property
    def exact_areas(self) -> ExactAreas | None:
        """What an optimiser needs to keep areas exact; None where no penalty asks for that."""
        return next((part.exact_areas for part in self.penalties if part.exact_areas is not None), None)

    def with_area(self, area: float) -> "Objective":
        """The objective for masks of another area.

        Raises:
            UnseeError: no penalty takes an area, or it is not between 0 and 1.
        """
        if self.area is None:
            raise UnseeError(
                "these settings choose the area themselves: an area needs the preset extremal-fast"
            )
        return replace(self, penalties=tuple(part.of_area(area) for part in self.penalties))

    def at(self, areas: Float[Tensor, " b"] | None) -> "Objective":
        """The objective of a batch whose masks have areas of their own; itself for None."""
        if areas is None:
            return self
        return replace(self, penalties=tuple(part.of_areas(areas) for part in self.penalties))

    def for_input(self, size: tuple[int, int]) -> "Objective":
        """The objective for an input of (height, width) pixels."""
        return replace(self, penalties=tuple(part.for_input(size) for part in self.penalties))

    def in_cells(self) -> "Objective":
        """The objective for masks on cells of their own, such as tokens."""
        return replace(self, penalties=tuple(part.in_cells() for part in self.penalties))

    def terms(
        self, masks: Float[Tensor, "b r c"], scores: Float[Tensor, " b"], iteration: Int[Tensor, " b"]
    ) -> Terms:
        """The weighted terms of masks, given the scores of the images that they edit."""
        known = {penalty.name: penalty.value(masks, self.game, iteration) for penalty in self.penalties}
        return {SCORE: self.game.sign * scores, **known}

    def penalty_gradient(
        self, masks: Float[Tensor, "b r c"], iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient of all penalties together."""
        parts = [penalty.gradient(masks, self.game, iteration) for penalty in self.penalties]
        return reduce(add, parts) if parts else torch.zeros_like(masks)


def total(terms: Terms) -> Float[Tensor, "*b"]:
    """The objective: the sum of the terms in their order."""
    return reduce(add, terms.values())


def penalty_total(terms: Terms) -> Float[Tensor, "*b"]:
    """The sum of the penalties alone."""
    parts = [value for name, value in terms.items() if name != SCORE]
    return reduce(add, parts) if parts else torch.zeros_like(terms[SCORE])
