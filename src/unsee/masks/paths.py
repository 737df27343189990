"""Paths over λ1 that run side by side, each stage of which starts where one before ended.

The score does not depend on λ1, so that what the optimiser knows of it stays true when λ1 changes.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.batch import Batch
from unsee.masks.checks import SCORED_BEFORE, Checks
from unsee.masks.jittered import JitteredScorer
from unsee.masks.loop import Capacity, Progress, optimise
from unsee.masks.optimisers.protocol import Bounds, Continuing, within
from unsee.masks.outcome import Learned
from unsee.masks.path_scorer import PathScorer
from unsee.masks.requests import MaskRequest, jitter_of, scoring_of
from unsee.masks.scoring import Scoring
from unsee.masks.selection import fixed_jitters, fixed_terms
from unsee.masks.settings import Settings
from unsee.masks.smallest_mask_arguments import area_penalty
from unsee.masks.walk import FURTHER, RADIUS, Bracket, OptimiserState, Walk
from unsee.smallest_mask import PathPoint, Sufficiency, Sufficient
from unsee.verdicts import CONVERGED, NOT_REACHED

TOUCHES = 0.05
"""Saliency of a cell above which no other mask may touch it."""
_SMALLEST_SPAN = 1e-6
_NONE = "no mask suffices, so that no other was looked for"


@dataclass(frozen=True, eq=False)
class Paths:
    """Images whose paths run side by side; no image depends on another.

    Args:
        scoring: as masks are learned.
        checks: scores the masks that were learned.
        settings: how masks are learned.
        question: what a mask must do.
        offsets: each image's jitter at each step of its path.
        progress: called after each step.
    """

    scoring: Scoring
    checks: Checks
    settings: Settings
    question: Sufficient
    offsets: Int[Tensor, "b n 2"]
    progress: Progress | None

    @classmethod
    def prepare(
        cls,
        classifier: Classifier,
        quick: Classifier,
        new: Sequence[MaskRequest],
        settings: Settings,
        question: Sufficient,
        progress: Progress | None = None,
    ) -> "Paths":
        """New images before their first step; `quick` is the network as masks are learned with it."""
        scoring = scoring_of(quick, new, settings)
        upsampler = settings.grid.upsampler(scoring.size, scoring.targets)
        inputs = [request.network_input for request in new]
        learned_with = (*settings.perturbations, settings.shown)
        game = settings.objective.game
        checks = Checks.prepare(classifier, scoring, inputs, learned_with, game, upsampler)
        offsets = jitter_of(scoring, settings, question.evaluations)
        return cls(scoring, checks, settings, question, offsets, progress)

    def answers(self) -> list[Learned]:
        """The smallest mask of each image, with the others that were asked for."""
        rows = list(range(len(self.scoring)))
        firsts = self._smallest(rows, None, 0)
        others: list[list[Learned]] = [[] for _ in rows]
        stopped = ["" if one.verdict == CONVERGED else _NONE for one in firsts]
        touched = torch.stack([self._touched(one) for one in firsts])
        going = [row for row in rows if firsts[row].verdict == CONVERGED]
        for number in range(1, self.question.another + 1):
            if not going:
                break
            found = self._smallest(going, touched[going], number)
            for row, one in zip(going, found, strict=True):
                others[row].append(one)
                touched[row] |= self._touched(one)
                if one.verdict != CONVERGED:
                    stopped[row] = f"no further mask suffices: another {number} was {one.verdict}"
            going = [row for row, one in zip(going, found, strict=True) if one.verdict == CONVERGED]
        return [
            replace(
                first, sufficiency=first.sufficiency and first.sufficiency.with_stop(why), others=(*rest,)
            )
            for first, why, rest in zip(firsts, stopped, others, strict=True)
        ]

    def _touched(self, learned: Learned) -> Bool[Tensor, "r c"]:
        """The cells that a mask deletes, or keeps in preservation."""
        return self.settings.objective.game.saliency(learned.grid) > TOUCHES

    def _smallest(self, rows: list[int], held: Bool[Tensor, "k r c"] | None, number: int) -> list[Learned]:
        """One mask of each of some images; `held` cells keep the value that costs nothing."""
        began = time.perf_counter()
        edits = len(self.scoring.edits)
        final = fixed_jitters(self.settings) * edits
        walks = []
        for original, reference, _ in self.checks.ends[rows].tolist():
            span = abs(original - reference)
            start = Bracket(math.log(span) if span > _SMALLEST_SPAN else math.log(_SMALLEST_SPAN))
            walks.append(Walk(start, self.question.evaluations, edits, final, SCORED_BEFORE))
        known = list(range(len(rows)))
        bounds = None if held is None else self._bounds(held)
        going = known
        while going:
            self._stage([rows[k] for k in going], [walks[k] for k in going], _rows_of(bounds, going))
            while pending := [k for k in going if walks[k].pending]:
                self._check(rows, walks, pending)
            going = [k for k in going if walks[k].may_go_on()]
        while refining := [k for k in known if walks[k].begin_refining()]:
            self._check(rows, walks, refining)
        learned = self._learned(rows, walks, number)
        seconds = (time.perf_counter() - began) / len(rows)
        return [replace(one, seconds=seconds) for one in learned]

    def _check(self, rows: list[int], walks: list[Walk], some: list[int]) -> None:
        weight = area_penalty(self.settings).lambda1
        self.checks.check([rows[k] for k in some], [walks[k] for k in some], weight, self.question.share)

    def _bounds(self, held: Bool[Tensor, "k r c"]) -> Bounds:
        """Held cells have the value that costs nothing, the others any in [0,1]."""
        held, ideal = held.to(self.offsets.device), self.settings.objective.game.ideal
        low = torch.zeros(held.shape).to(self.scoring.targets)
        return Bounds(low.masked_fill(held, ideal), (low + 1).masked_fill(held, ideal))

    def _stage(self, rows: list[int], walks: Sequence[Walk], bounds: Bounds | None) -> None:
        """The optimiser's steps of some images, each under its own λ1."""
        left = [self._begun(rows, walks, bounds)]
        first = int(left[0].iteration[0])
        optimiser = self._optimiser(walks[0])[0]
        own = dict(zip(rows, walks, strict=True))
        groups = optimise(
            lambda _: left.pop() if left else None, optimiser, Capacity(len(rows)), self.progress
        )
        for group in groups:
            for place, row in enumerate(group.ids):
                here = slice(place, place + 1)
                history = group.history[place, first : int(group.iteration[place])].cpu()
                own[row].arrived(
                    OptimiserState(group.masks[here], tuple(part[here] for part in group.memory)), history
                )

    def _optimiser(self, walk: Walk) -> tuple[Continuing, int, int]:
        """The optimiser of a stage, the iteration of its first step, and its steps."""
        optimiser = self.settings.optimiser
        assert isinstance(optimiser, Continuing)
        if walk.start is None:
            return optimiser.limited(walk.first_steps), 0, walk.first_steps
        return *optimiser.continuing(FURTHER, RADIUS), FURTHER

    def _begun(self, rows: list[int], walks: Sequence[Walk], bounds: Bounds | None) -> Batch:
        """Images before a stage: all of them have taken the same number of steps."""
        optimiser, first, steps = self._optimiser(walks[0])
        states = [walk.start for walk in walks if walk.start is not None]
        if states:
            masks = torch.cat([state.masks for state in states])
        else:
            cells = self.settings.grid.cells(self.scoring.size)
            masks = torch.full((len(rows), *cells), 1 - self.settings.objective.game.ideal)
        masks = within(masks.to(self.scoring.targets), bounds)
        scorer = self._scorer(rows, [walk.factor for walk in walks])
        at = sum(map(len, walks[0].history))
        own = scorer.plain.offsets[:, at : at + steps]
        offsets = torch.cat([own.new_zeros(len(rows), first, 2), own], dim=1)
        scorer = replace(scorer, plain=replace(scorer.plain, offsets=offsets))
        batch = replace(Batch.begin(tuple(rows), scorer, masks, optimiser), bounds=bounds)
        if not states:
            return batch
        memory = tuple(map(torch.cat, zip(*(state.memory for state in states), strict=True)))
        memory = optimiser.reweighted(memory, scorer.objective, scorer.edits)
        return replace(batch, memory=memory, iteration=torch.full_like(batch.iteration, first))

    def _scorer(self, rows: list[int], factors: Sequence[float]) -> PathScorer:
        """Scores masks under the λ1 of each image."""
        picked = torch.tensor(rows, device=self.offsets.device)
        scoring, upsampler = self.scoring.select(picked), self.checks.upsampler
        spent = torch.zeros(len(rows), dtype=torch.long)
        inner = JitteredScorer(scoring, self.settings, upsampler, self.offsets[picked], spent)
        return PathScorer(inner, area_penalty(self.settings), self.checks.ends.new_tensor(factors))

    def _learned(self, rows: list[int], walks: Sequence[Walk], number: int) -> list[Learned]:
        """The result of each image."""
        grids = torch.stack([walk.grids[walk.chosen] for walk in walks]).to(self.scoring.targets)
        points = [walk.points[walk.chosen] for walk in walks]
        weight = area_penalty(self.settings).lambda1
        scorer = self._scorer(rows, [point.lambda1 / weight for point in points])
        weighted = replace(self.settings, objective=scorer.objective)
        iteration = torch.zeros(len(rows), dtype=torch.long, device=grids.device)
        terms = fixed_terms(scorer.plain.scoring, weighted, self.checks.upsampler, grids, iteration)
        masks = self.checks.upsampler(grids).clamp(0, 1).cpu()
        names, ends, unseen = self.settings.objective.names, self.checks.ends.cpu(), self.checks.name
        learned = []
        for place, (row, walk, point) in enumerate(zip(rows, walks, points, strict=True)):
            history = torch.cat(walk.history)
            learned.append(
                Learned(
                    grid=grids[place].cpu(),
                    mask=masks[place],
                    scores=torch.stack([ends[row, 0], ends.new_tensor(point.score), ends[row, 1]]),
                    terms={name: float(values[place]) for name, values in terms.items()},
                    history={name: tuple(history[:, part].tolist()) for part, name in enumerate(names)},
                    evaluations=walk.spent + walk.final,
                    verdict=self._verdict(point),
                    seconds=0.0,
                    sufficiency=Sufficiency(self.question, unseen, point, tuple(walk.points), number),
                )
            )
        return learned

    def _verdict(self, point: PathPoint) -> str:
        """ "converged" where the mask suffices, else what was reached."""
        if point.reaches:
            return CONVERGED
        if math.isnan(point.share + point.unseen_share):
            return f"{NOT_REACHED}: no share can be told, since the fully perturbed image scores the same"
        does = "suppresses" if self.settings.objective.game.ideal == 1 else "keeps"
        return (
            f"{NOT_REACHED}: of the {self.question.share:.1%} asked for, the mask that comes closest {does} "
            f"{point.share:.1%}, and {point.unseen_share:.1%} under {self.checks.name}"
        )


def _rows_of(bounds: Bounds | None, rows: list[int]) -> Bounds | None:
    """The bounds of some images."""
    return None if bounds is None else Bounds(bounds.low[rows], bounds.high[rows])
