"""Scores masks on a path over λ1: like any others, but that each image has a λ1 of its own."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.masks.game import Game
from unsee.masks.jittered import JitteredScorer
from unsee.masks.objective import Objective
from unsee.masks.penalty_protocol import Penalty
from unsee.masks.scoring import Scored


@dataclass(frozen=True, eq=False)
class Scaled(Penalty):
    """A penalty times a factor of each image's own; the factors are one for each mask, in order."""

    penalty: Penalty
    factors: Float[Tensor, " b"]

    @property
    def name(self) -> str:
        """The penalty's."""
        return self.penalty.name

    def value(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The scaled penalty."""
        return self.factors * self.penalty.value(masks, game, iteration)

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The scaled gradient."""
        return self.factors[:, None, None] * self.penalty.gradient(masks, game, iteration)


@dataclass(frozen=True, eq=False)
class PathScorer:
    """Another scorer's scores, under penalties of which one is scaled for each image.

    Args:
        plain: scores masks.
        scaled: the penalty that is scaled; it takes the place of the objective's of the same name.
        factors: of each image.
    """

    plain: JitteredScorer
    scaled: Penalty
    factors: Float[Tensor, " b"]

    @property
    def objective(self) -> Objective:
        """What masks minimise."""
        return self.plain.objective.with_penalty(Scaled(self.scaled, self.factors))

    @property
    def edits(self) -> int:
        """Perturbations over which the score is summed."""
        return self.plain.edits

    @property
    def seeds(self) -> tuple[int, ...]:
        """One for each image."""
        return self.plain.seeds

    def scores(self, masks: Float[Tensor, "b k r c"], iteration: Int[Tensor, " b"]) -> Scored:
        """The inner scorer's scores."""
        return self.plain.scores(masks, iteration)

    def select(self, rows: Int[Tensor, " k"]) -> "PathScorer":
        """Some of the images."""
        return replace(self, plain=self.plain.select(rows), factors=self.factors[rows])

    def joined(self, other: "PathScorer") -> "PathScorer":
        """These images and others."""
        factors = torch.cat([self.factors, other.factors])
        return replace(self, plain=self.plain.joined(other.plain), factors=factors)
