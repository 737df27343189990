"""What was learned of an image: the mask that is returned, its scores and the verdict."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.batch import Batch
from unsee.masks.convergence import EDITED, LEARNED, START, verdict
from unsee.masks.jittered import JitteredScorer
from unsee.masks.objective import SCORE, total
from unsee.masks.scoring import Scoring
from unsee.masks.selection import selected
from unsee.masks.settings import Retry
from unsee.smallest_mask import Sufficiency
from unsee.verdicts import CONVERGED, NO_GAIN, STOPPED


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned of one image; everything is on the CPU.

    Args:
        grid: the mask on its cells, in [0,1], 1 keeps.
        mask: the same mask with one value a pixel of the network's input; of a mask on a layer, what it keeps
            at each place of the layer; of a mask on tokens, one value for each token.
        scores: of the original, the edited and the fully perturbed image, without jitter, with
            `Settings.shown`, by the classifier itself.
        terms: the objective's weighted terms by name for the mask that is returned, averaged over a fixed set
            of jitters, in the precision of the optimisation.
        history: each term's value before every step, by name.
        evaluations: of the network that the mask took: those of the start, up to the disc that is taken, and
            one for each evaluated mask and perturbation, of all attempts. The forward passes that compare the
            candidates and give the final scores are not counted.
        verdict: "converged", or in words what went wrong.
        seconds: the image's share of its batch's time.
        chosen: what the mask is: `LEARNED`, or `START`, `IDEAL` or `EDITED` where no learned one was better.
        attempts: how often the mask was begun; see `Settings.retries`.
        token_check: what else the edit says of the mask (`Edit.token_check`).
        sufficiency: how the mask answers the question for the smallest one that suffices; None without one.
        others: further masks without its cells.
    """

    grid: Float[Tensor, "r c"]
    mask: Float[Tensor, "h w"]
    scores: Float[Tensor, " 3"]
    terms: dict[str, float]
    history: dict[str, tuple[float, ...]]
    evaluations: int
    verdict: str
    seconds: float
    chosen: str = LEARNED
    attempts: int = 1
    token_check: Mapping[str, Any] = field(default_factory=dict)
    sufficiency: Sufficiency | None = None
    others: tuple["Learned", ...] = ()

    def after(self, other: "Learned") -> "Learned":
        """The better of this and an earlier attempt, with the evaluations and the time of both.

        One that has converged is better than one that has not; of two alike the one with the lower objective.
        """
        own, earlier = ((one.verdict != CONVERGED, sum(one.terms.values())) for one in (self, other))
        return replace(
            self if own < earlier else other,
            evaluations=self.evaluations + other.evaluations,
            seconds=self.seconds + other.seconds,
            attempts=self.attempts + other.attempts,
        )

    @property
    def stuck(self) -> bool:
        """Whether the start or the fully edited mask was better than what the optimiser found."""
        return self.chosen in (START, EDITED)

    def goes_wrong(self, retry: Retry) -> bool:
        """Whether this attempt is one that a retry is for."""
        empty = retry.empty and (self.chosen != LEARNED or self.verdict.startswith(NO_GAIN))
        return self.stuck or empty or (retry.unconverged and self.verdict != CONVERGED)


def examined(classifier: Classifier, batch: Batch) -> list[Learned]:
    """What was learned of finished images, with the scores that the classifier itself gives."""
    began = time.perf_counter()
    scorer = batch.scorer.plain
    names = scorer.objective.names
    grids, fixed, candidates = selected(scorer.scoring, scorer.settings, scorer.upsampler, batch)
    terms = {name: values.cpu() for name, values in fixed.items()}
    costs = total(terms)
    masks = scorer.upsampler(grids).clamp(0, 1)
    shown = scorer.scoring.shown.on_places(masks).cpu()
    scoring = replace(scorer.scoring, classifier=classifier)
    scores = _final_scores(scoring, masks).cpu()
    token_check = _token_check(scoring, masks)
    reached = scorer.objective.game.saliency(masks).mean(dim=(1, 2)).tolist()
    asked = None if scoring.areas is None else scoring.areas.tolist()
    own = names.index(SCORE)
    seconds = batch.seconds + (time.perf_counter() - began) / len(masks)
    learned = []
    many = scorer.settings.optimiser.masks_per_step > 1
    for row, count in enumerate(batch.iteration.tolist()):
        history = batch.history[row, :count].cpu()
        stopped = _stopped(scorer, batch, row, count)
        learned.append(
            Learned(
                grid=grids[row].cpu(),
                mask=shown[row],
                scores=scores[row],
                terms={name: float(values[row]) for name, values in terms.items()},
                history={name: tuple(history[:, part].tolist()) for part, name in enumerate(names)},
                evaluations=int(scorer.spent[row]) + int(batch.evaluated[row]) * scorer.passes,
                verdict=stopped
                or verdict(
                    _course(history.sum(dim=1) if asked is None else history[:, own], many),
                    int(batch.failed_at[row]),
                    float(costs[row]),
                    scores[row],
                    candidates[row],
                    scorer.objective.game,
                    None
                    if asked is None
                    else (asked[row], reached[row], scorer.settings.objective.area_tolerance),
                ),
                seconds=float(seconds[row]),
                chosen=candidates[row],
                token_check=token_check[row],
            )
        )
    return learned


def _stopped(scorer: JitteredScorer, batch: Batch, row: int, count: int) -> str:
    """That an image's optimisation was stopped before its end; else empty."""
    optimiser = scorer.settings.optimiser
    if optimiser.settles_early or count >= optimiser.iterations or int(batch.failed_at[row]) >= 0:
        return ""
    whole = optimiser.iterations * optimiser.masks_per_step * scorer.passes
    done = int(batch.evaluated[row]) * scorer.passes
    return f"{STOPPED} {done} of {whole} evaluations: this is the best mask so far"


def _course(costs: Float[Tensor, " steps"], many: bool) -> Float[Tensor, " steps"]:
    """The objective as it went; the best so far where a step tries many masks that are not meant to last."""
    return costs.cummin(dim=0).values if many else costs


@torch.no_grad()
def _final_scores(scoring: Scoring, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b 3"]:
    """Scores of the original, the edited and the fully perturbed image, with the edit that results show."""
    versions = (torch.ones_like(masks), masks, torch.zeros_like(masks))
    return torch.cat([scoring.still_scores(mask[:, None], [scoring.shown]) for mask in versions], dim=1)


@torch.no_grad()
def _token_check(scoring: Scoring, masks: Float[Tensor, "b h w"]) -> list[Mapping[str, Any]]:
    """What the edit that results show says of each mask besides its scores."""
    return scoring.shown.token_check(
        scoring.classifier, masks, lambda rows: scoring.score(rows, scoring.targets)
    )
