"""Where the search for a mask without a gradient stands: evaluations, their model, and what is remembered."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.masks.objective import Objective, log_odds_of
from unsee.masks.optimisers.score_model import ScoreModel

_LARGEST_LOG_ODDS = 7.0
_RANGE, _CLEAR = 5.0, 2.0
"""Log-odds further than this from the best tell nothing of masks near it; they stay on the bad side all the
same, at least so far from 0."""


class State(NamedTuple):
    """What an image's search remembers in numbers.

    Args:
        trust: factor on the reach: smaller where steps were no better.
        lowest: the lowest objective so far.
        choice: of the model's length and noise; -1 before the first model.
    """

    trust: float = 1.0
    lowest: float = math.inf
    choice: float = -1.0


class Link(NamedTuple):
    """How the score enters the objective, and the scale without ends on which it is modelled.

    Args:
        rise: factor on the mean score of the edits.
        log_odds: whether the score is a probability, which is modelled by its log-odds.
    """

    rise: float
    log_odds: bool

    @classmethod
    def of(cls, objective: Objective, edits: int) -> "Link":
        """The link of an objective."""
        probability = objective.score is not None and log_odds_of(objective.score) is not None
        return cls(objective.game.sign * edits, probability and not objective.game.both)

    def value(self, scores: Tensor) -> Tensor:
        """Scores on the scale of the model."""
        if not self.log_odds:
            return scores
        return scores.double().clamp(0, 1).logit().clamp(-_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS).to(scores)

    def score(self, values: Float[Tensor, " k"], shifts: Float[Tensor, " s"]) -> Float[Tensor, " k"]:
        """The mean score where the model's value is shifted by each of some equally likely shifts."""
        shifted = values[:, None] + shifts
        return (shifted.sigmoid() if self.log_odds else shifted).mean(dim=1)

    def rate(self, values: Float[Tensor, " k"], shifts: Float[Tensor, " s"]) -> Float[Tensor, " k"]:
        """How fast the mean score term grows with the model's value."""
        if not self.log_odds:
            return torch.full_like(values, self.rise)
        score = (values[:, None] + shifts).sigmoid()
        return self.rise * (score * (1 - score)).mean(dim=1)


class Known(NamedTuple):
    """The evaluations of an image, on the CPU."""

    masks: Float[Tensor, "n r c"]
    scores: Float[Tensor, " n"]
    penalties: Float[Tensor, " n"]
    jitter: Int[Tensor, " n"]
    link: Link

    def costs(self) -> Float[Tensor, " n"]:
        """The objective of each; infinite where the score is not finite."""
        costs = self.penalties + self.link.rise * self.scores
        return torch.where(costs.isfinite(), costs, math.inf)

    def values(self) -> Float[Tensor, " n"]:
        """The scores on the model's scale; log-odds that are much worse than the best are cut off."""
        values = self.link.value(self.scores)
        if not self.link.log_odds:
            return values
        found = values[self.scores.isfinite()]
        if self.link.rise > 0:
            return values.clamp(max=max(float(found.min()) + _RANGE, _CLEAR))
        return values.clamp(min=min(float(found.max()) - _RANGE, -_CLEAR))


class Search(NamedTuple):
    """Where an image's search stands.

    Args:
        center: the best mask, by its evaluation and the model together.
        drawn: random masks, for where there is no model yet.
        model: of the score.
        reach: how far a cell may move from the centre.
        state: what is remembered.
    """

    center: Float[Tensor, "r c"]
    drawn: Float[Tensor, "k r c"]
    model: ScoreModel | None
    reach: float
    state: State

    def pull(self, masks: Float[Tensor, "k r c"], link: Link) -> Float[Tensor, "k r c"]:
        """The gradient of the modelled score term at masks; 0 where there is no model."""
        if self.model is None:
            return torch.zeros_like(masks)
        values, gradient = self.model.samples(masks.cpu())
        return (link.rate(values, self.model.shifts)[:, None, None] * gradient).to(masks)
