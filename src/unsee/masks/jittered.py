"""Scores masks while they are learned: upsampled, each at a jitter of its own."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.masks.grid import Upsampler
from unsee.masks.objective import Objective
from unsee.masks.scoring import Scored, Scoring
from unsee.masks.settings import Settings
from unsee.masks.smooth_grid import SmoothUpsampler
from unsee.memory import BATCH_SIZE


@dataclass(frozen=True, eq=False)
class JitteredScorer:
    """Scores masks on their cells: upsampled, and each at a jitter of its own.

    Args:
        scoring: the images with their edits.
        settings: how masks are learned.
        upsampler: from cells to what the mask is laid on.
        offsets: each image's jitter at each evaluation.
        spent: evaluations that each image's start took.
    """

    scoring: Scoring
    settings: Settings
    upsampler: Upsampler | SmoothUpsampler
    offsets: Int[Tensor, "b evaluations 2"]
    spent: Int[Tensor, " b"]

    @property
    def objective(self) -> Objective:
        """What masks minimise; each image with its own area."""
        return self.settings.objective.at(self.scoring.areas)

    @property
    def plain(self) -> "JitteredScorer":
        """Itself."""
        return self

    @property
    def edits(self) -> int:
        """Perturbations over which the score is summed."""
        return len(self.scoring.edits)

    @property
    def passes(self) -> int:
        """Evaluations of the network for each mask."""
        return self.edits * (2 if self.scoring.both else 1)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One for each image."""
        return self.scoring.seeds

    def scores(self, masks: Float[Tensor, "b k r c"], iteration: Int[Tensor, " b"]) -> Scored:
        """Scores of k masks of each image, each with a jitter and noise of its own.

        They are evaluated in groups, so that few images with many masks fill a forward pass as well as many
        images with one, and no more.
        """
        count = masks.shape[1]
        turns = iteration[:, None] * count + torch.arange(count, device=iteration.device)
        group = max(BATCH_SIZE // len(masks), 1)
        pairs = zip(torch.split(masks, group, dim=1), torch.split(turns, group, dim=1), strict=True)
        parts = [self._group_scores(*pair) for pair in pairs]
        odds = [part.log_odds for part in parts if part.log_odds is not None]
        values = torch.cat([part.values for part in parts], dim=1)
        rows = torch.arange(len(masks), device=turns.device)[:, None]
        down, right = self.offsets[rows, turns].unbind(dim=2)
        places = down * max(self.settings.jitter, 1) + right
        return Scored(values, torch.cat(odds, dim=1) if odds else None, places)

    def _group_scores(self, masks: Float[Tensor, "b k r c"], turns: Int[Tensor, "b k"]) -> Scored:
        count, turn = masks.shape[1], turns.flatten()
        rows = torch.arange(len(masks), device=masks.device).repeat_interleave(count)
        scoring = self.scoring if count == 1 else self.scoring.select(rows)
        noise, mirrored = scoring.noise_at(turn), turn % 2 == 0 if self.settings.mirrored else None
        pixels = self.upsampler(masks.flatten(0, 1))
        values, odds, _ = scoring.jittered_scores(pixels, self.offsets[rows, turn], noise, mirrored)
        return Scored(values.view(-1, count), None if odds is None else odds.view(-1, count))

    def select(self, rows: Int[Tensor, " k"]) -> "JitteredScorer":
        """Some of the images."""
        offsets, spent = self.offsets[rows], self.spent[rows.cpu()]
        return replace(self, scoring=self.scoring.select(rows), offsets=offsets, spent=spent)

    def joined(self, other: "JitteredScorer") -> "JitteredScorer":
        """These images and others."""
        return replace(
            self,
            scoring=self.scoring.joined(other.scoring),
            offsets=torch.cat([self.offsets, other.offsets]),
            spent=torch.cat([self.spent, other.spent]),
        )
