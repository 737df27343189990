"""Checks of masks by the classifier itself, under a perturbation that they were not learned with too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.edits.perturbation import Blur, Constant, GaussianNoise, Median
from unsee.masks.game import Game
from unsee.masks.grid import Upsampler
from unsee.masks.network_input import NetworkInput
from unsee.masks.scoring import Scoring
from unsee.masks.smooth_grid import SmoothUpsampler
from unsee.masks.walk import CHECK, Walk
from unsee.memory import in_quarters
from unsee.scores import Scores
from unsee.smallest_mask import PathPoint

SCORED_BEFORE = 4
"""Evaluations before the first step: of the photo twice, of it fully perturbed by both perturbations."""
_UNSEEN: tuple[Perturbation, ...] = (Constant(), Blur(), GaussianNoise(), Median())
"""One perturbation of each kind, in the order in which they are tried."""


def unseen_for(perturbations: Sequence[Perturbation]) -> Perturbation:
    """A perturbation of another kind than those that a mask is learned with.

    A constant colour; where that is among them a blur, then noise, then a median.
    """
    seen = {one.kind for one in perturbations}
    return next((one for one in _UNSEEN if one.kind not in seen), _UNSEEN[-1])


@dataclass(frozen=True, eq=False)
class Checks:
    """Scores masks without jitter, in the classifier's own precision.

    Args:
        classifier: borrowed for each check.
        scoring: the images, with the edit that results are shown with.
        unseen: the edit of the perturbation that masks are not learned with.
        name: of that perturbation.
        game: which share counts.
        upsampler: from cells to pixels.
        ends: each image's score, and that of the fully perturbed image by both perturbations.
    """

    classifier: Classifier
    scoring: Scoring
    unseen: Edit
    name: str
    game: Game
    upsampler: Upsampler | SmoothUpsampler
    ends: Float[Tensor, "b 3"]

    @classmethod
    def prepare(
        cls,
        classifier: Classifier,
        scoring: Scoring,
        inputs: Sequence[NetworkInput],
        learned: Sequence[Perturbation],
        game: Game,
        upsampler: Upsampler | SmoothUpsampler,
    ) -> "Checks":
        """The checks of images whose masks are learned with some perturbations; scores the ends."""
        perturbation = unseen_for(learned)
        unseen = perturbation.prepare(classifier, inputs)
        none = torch.zeros(len(scoring), *scoring.size).to(scoring.targets)
        own = replace(scoring, classifier=classifier)
        made = cls(
            classifier, own, unseen, perturbation.name, game, upsampler, none.new_zeros(len(scoring), 3)
        )
        rows = list(range(len(scoring)))
        whole = made.scores(rows, torch.ones_like(none), unseen=False)
        return replace(made, ends=torch.cat([whole, made.scores(rows, none)], dim=1))

    def check(self, rows: list[int], walks: Sequence[Walk], weight: float, enough: float) -> None:
        """Score the trial of each image by both perturbations, and tell its walk.

        Args:
            rows: the images.
            walks: of each.
            weight: λ1 for a factor of 1.
            enough: the share that is asked for.
        """
        base = torch.cat([walk.base for walk in walks])
        by = base.new_tensor([walk.trial for walk in walks])[:, None, None]
        grids = (self.game.ideal - (self.game.saliency(base) * by).clamp(max=1)).abs()
        masks = self.upsampler(grids).clamp(0, 1)
        scores = self.scores(rows, masks).tolist()
        saliency = self.game.saliency(masks).cpu().float()
        for place, (row, walk) in enumerate(zip(rows, walks, strict=True)):
            walk.spent += CHECK
            seen, unseen = scores[place]
            share, unseen_share = self._shares(row, seen, unseen)
            known = not math.isnan(share + unseen_share)
            point = PathPoint(
                lambda1=weight * walk.factor,
                amplified=walk.trial,
                area=float(saliency[place].mean()),
                score=seen,
                share=share,
                unseen_score=unseen,
                unseen_share=unseen_share,
                evaluations=walk.spent,
                reaches=known and min(share, unseen_share) >= enough,
                saliency=saliency[place],
            )
            walk.judged(point, grids[place].cpu())

    def _shares(self, row: int, *scores: float) -> list[float]:
        """The share of an image's score that is suppressed, or kept in preservation, by each perturbation."""
        original, *references = self.ends[row].tolist()
        each = [Scores(original, now, end) for now, end in zip(scores, references, strict=True)]
        return [one.suppression if self.game.ideal == 1 else one.normalized for one in each]

    @torch.no_grad()
    def scores(
        self, rows: list[int], masks: Float[Tensor, "k h w"], unseen: bool = True
    ) -> Float[Tensor, "k n"]:
        """Scores of one mask of each image as results are shown, and by the unseen edit.

        Args:
            rows: the images.
            masks: in [0,1].
            unseen: whether the second score is wanted.
        """

        def some(places: Sequence[int]) -> list[Tensor]:
            picked = torch.tensor([rows[place] for place in places], device=masks.device)
            scoring = self.scoring.select(picked)
            edits = [scoring.shown, self.unseen.select(picked)] if unseen else [scoring.shown]
            own = masks[list(places)][:, None]
            return list(torch.cat([scoring.still_scores(own, [edit]) for edit in edits], dim=1))

        with self.classifier.borrowed():
            return torch.stack(in_quarters(some, range(len(rows))))
