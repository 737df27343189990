"""The objective that a mask minimises (eq. 3, 4 and 6; supplement eq. 1 and 2): a score and named penalties.

Every term is (B,), one value for each mask.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.heads import LOGIT, SIGMOID, SOFTMAX, sigmoid_log_odds
from unsee.masks.area import AreaPenalty
from unsee.masks.game import DELETION, Game
from unsee.masks.penalties import L1, Penalty, TotalVariation

Score = Callable[[Tensor, Tensor], Tensor]
"""(logits (B,C), targets (B,C) with 1 for each target class) → (B,) scores."""

Terms = dict[str, Tensor]
"""The weighted terms by name, "score" first, each (B,); their sum is the objective."""

SCORE = "score"
"""The name of the score's term."""

_MOST_LOG_ODDS = 1e6


def softmax_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The summed probabilities of the target classes, in [0,1]: the paper's score."""
    return (logits.softmax(dim=1) * targets).sum(dim=1)


def softmax_log_odds(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The log-odds of the summed probabilities: they still have a gradient where these round to 0 or 1.

    The log-sum-exp of the target classes' logits minus that of the others; within ±10⁶, which it reaches
    where every class is a target, or none.
    """
    aside = torch.full_like(logits, -_MOST_LOG_ODDS)
    own = torch.where(targets > 0, logits, aside).logsumexp(dim=1)
    others = torch.where(targets > 0, aside, logits).logsumexp(dim=1)
    return (own - others).clamp(-_MOST_LOG_ODDS, _MOST_LOG_ODDS)


def sigmoid_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The probability that at least one target class is there, each on its own, in [0,1]."""
    return sigmoid_log_odds(logits, targets).sigmoid()


def sigmoid_all_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The probability that every target class is there, each on its own, in [0,1]."""
    return sigmoid_all_log_odds(logits, targets).sigmoid()


def sigmoid_all_log_odds(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The log-odds of that probability."""
    return sigmoid_log_odds(logits, targets, every=True)


def logit_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The summed logits of the target classes."""
    return (logits * targets).sum(dim=1)


SCORES: dict[str, Score] = {
    SOFTMAX: softmax_score,
    SIGMOID: sigmoid_score,
    "sigmoid-all": sigmoid_all_score,
    LOGIT: logit_score,
}
"""By name; each head's own score has its name."""

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

    def on(self, kind: str) -> "Objective":
        """The objective with the score of a head's kind, unless it has one of its own."""
        return self if self.score is not None else replace(self, score=self.score_on(kind))

    def score_on(self, kind: str) -> Score:
        """The score that is minimised: the objective's own, else that of a head's kind."""
        return SCORES[kind] if self.score is None else self.score

    def with_penalty(self, penalty: Penalty) -> "Objective":
        """The objective with another penalty in place of the one of the same name, or added to the others."""
        others = {own.name: own for own in self.penalties} | {penalty.name: penalty}
        return replace(self, penalties=tuple(others.values()))

    @property
    def area(self) -> float | None:
        """The area that masks are to have; None where it is up to the penalties."""
        return next((part.area for part in self.penalties if isinstance(part, AreaPenalty)), None)

    def with_area(self, area: float) -> "Objective":
        """The objective for masks of another area.

        Raises:
            UnseeError: no penalty takes an area, or it is not between 0 and 1.
        """
        if self.area is None:
            raise UnseeError(
                "these settings choose the area themselves: an area needs the preset extremal-fast"
            )
        own = tuple(part.of(area) if isinstance(part, AreaPenalty) else part for part in self.penalties)
        return replace(self, penalties=own)

    def at(self, areas: Float[Tensor, " b"] | None) -> "Objective":
        """The objective of a batch whose masks have areas of their own; itself for None."""
        if areas is None:
            return self
        own = tuple(part.each(areas) if isinstance(part, AreaPenalty) else part for part in self.penalties)
        return replace(self, penalties=own)

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
