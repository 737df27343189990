"""The mask of least area that suffices: a path over λ1, each stage of which starts where the last one ended.

The score does not depend on λ1, so that what the optimiser knows of it stays true when λ1 changes. Each mask
is checked by the classifier itself, without jitter, under the perturbation that results are shown with and
under one that the mask was not learned with.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.batch import Batch
from unsee.masks.convergence import LEARNED
from unsee.masks.edits.edit import Edit, pictured
from unsee.masks.grid import Upsampler
from unsee.masks.jittered import JitteredScorer
from unsee.masks.learner import Request, check_gradient, images_at_once
from unsee.masks.loop import Capacity, Progress, Step, optimise
from unsee.masks.optimisers.protocol import Bounds, Continuing
from unsee.masks.outcome import Learned
from unsee.masks.path_scorer import PathScorer
from unsee.masks.penalties import L1, MeanL1
from unsee.masks.scoring import Scoring
from unsee.masks.selection import fixed_terms
from unsee.masks.settings import Settings
from unsee.masks.sufficient import Bracket, area_penalty, unseen_for
from unsee.masks.walk import CHECK, FURTHER, RADIUS, Place, Walk
from unsee.memory import in_quarters
from unsee.neutral import advanced
from unsee.scores import Scores
from unsee.sufficiency import PathPoint, Sufficiency, Sufficient
from unsee.tensors import jitter_offsets
from unsee.tuning import tuned
from unsee.verdicts import CONVERGED, NOT_REACHED

TOUCHES = 0.05
"""Saliency of a cell from which on another mask may not touch it."""
_ENDS = 3
_TERMS = {1: 1, 2: 2, 3: 3, 4: 4}
_SMALLEST_SPAN = 1e-6


def suffice_each(
    classifier: Classifier,
    requests: Callable[[int], Sequence[Request]],
    settings: Settings,
    question: Sufficient,
    batch_size: int | None = None,
    bfloat16: bool = False,
    compiled: bool = False,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Learned]]:
    """The smallest masks that suffice, with the ids of their images, in order.

    Args:
        classifier, requests, batch_size, bfloat16, compiled, progress: as in `learner.learn_each`.
        settings: how masks are learned; λ1 is where the path begins, for a score that falls by 1.
        question: what a mask must do.

    Raises:
        UnseeError: the settings have no λ1 or no path, or the network gives no gradient.
    """
    yield from advanced(
        _answered(classifier, requests, settings, question, batch_size, bfloat16, compiled, progress)
    )


def _answered(
    classifier: Classifier,
    requests: Callable[[int], Sequence[Request]],
    settings: Settings,
    question: Sufficient,
    batch_size: int | None,
    bfloat16: bool,
    compiled: bool,
    progress: Progress | None,
) -> Iterator[tuple[int, Learned]]:
    check_gradient(classifier, settings)
    settings = settings.on(classifier.reading.score_name)
    area_penalty(settings)
    quick = tuned(classifier, bfloat16, compiled)
    size = batch_size or images_at_once(classifier, settings, bfloat16)
    done = 0
    while new := requests(size):
        paths = Paths.prepare(classifier, quick, new, settings, question)
        note = progress and _counting(progress, done, len(new), question)
        answers = paths.answers(note)
        done += len(new)
        yield from zip((request.id for request in new), answers, strict=True)


def _counting(progress: Progress, before: int, count: int, question: Sufficient) -> Progress:
    """Counts the steps of all stages as shares of the budget, and the images before these."""
    steps = 0

    def advance(step: Step) -> None:
        nonlocal steps
        steps += 1
        share = min(steps / (question.evaluations * (question.another + 1)), 1.0)
        progress(replace(step, done=before + count * share))

    return advance


@dataclass(frozen=True, eq=False)
class Paths:
    """Images whose paths run side by side, with what stays the same on them.

    Args:
        classifier: checks masks.
        scoring: as masks are learned.
        unseen: the edit of the perturbation that they are not learned with.
        unseen_name: its name.
        settings: how masks are learned.
        question: what a mask must do.
        upsampler: from cells to pixels.
        ends: each image's score, and that of the fully perturbed image by both perturbations.
        offsets: each image's jitter at each step of its path.
    """

    classifier: Classifier
    scoring: Scoring
    unseen: Edit
    unseen_name: str
    settings: Settings
    question: Sufficient
    upsampler: Upsampler
    ends: Float[Tensor, "b 3"]
    offsets: Int[Tensor, "b n 2"]

    @classmethod
    def prepare(
        cls,
        classifier: Classifier,
        quick: Classifier,
        new: Sequence[Request],
        settings: Settings,
        question: Sufficient,
    ) -> "Paths":
        """New images before their first step."""
        inputs = [request.network_input for request in new]
        score = settings.objective.score_on(classifier.reading.score_name)
        scoring = Scoring.prepare(
            quick,
            inputs,
            [request.target for request in new],
            new[0].classes,
            settings.perturbations,
            score,
            settings.input_noise,
            settings.shown,
        )
        perturbation = unseen_for(settings.perturbations)
        unseen = perturbation.prepare(classifier, inputs)
        offsets = jitter_offsets(list(scoring.seeds), question.evaluations, settings.jitter).transpose(0, 1)
        upsampler = settings.grid.upsampler(scoring.size, scoring.targets)
        none = torch.zeros(len(new), *scoring.size).to(scoring.targets)
        made = cls(
            classifier,
            scoring,
            unseen,
            perturbation.name,
            settings,
            question,
            upsampler,
            none.new_zeros(len(new), _ENDS),
            offsets.to(scoring.targets.device),
        )
        rows = list(range(len(new)))
        perturbed = made._scores(rows, none)
        whole = made._scores(rows, torch.ones_like(none), unseen=False)
        return replace(made, ends=torch.cat([whole, perturbed], dim=1))

    def answers(self, progress: Progress | None = None) -> list[Learned]:
        """The smallest mask of each image, with the others that were asked for."""
        rows = list(range(len(self.scoring)))
        firsts = self._walked(rows, None, 0, progress)
        others: list[list[Learned]] = [[] for _ in rows]
        stopped = ["" for _ in rows]
        touched = torch.stack([self._touched(one) for one in firsts])
        going = [row for row in rows if firsts[row].verdict == CONVERGED]
        for number in range(1, self.question.another + 1):
            if not going:
                break
            found = self._walked(going, touched[going], number, progress)
            for row, one in zip(going, found, strict=True):
                others[row].append(one)
                touched[row] |= self._touched(one)
                if one.verdict != CONVERGED:
                    stopped[row] = f"no further mask suffices after {number}: {one.verdict}"
            going = [row for row, one in zip(going, found, strict=True) if one.verdict == CONVERGED]
        return [
            replace(
                first,
                sufficiency=first.sufficiency and first.sufficiency.with_stop(reason),
                others=tuple(rest),
            )
            for first, rest, reason in zip(firsts, others, stopped, strict=True)
        ]

    def _touched(self, learned: Learned) -> Bool[Tensor, "r c"]:
        """The cells that a mask deletes, or keeps in preservation."""
        return self.settings.objective.game.saliency(learned.grid) > TOUCHES

    def _walked(
        self, rows: list[int], held: Bool[Tensor, "k r c"] | None, number: int, progress: Progress | None
    ) -> list[Learned]:
        """One mask of each of some images; `held` cells keep the value that costs nothing."""
        began = time.perf_counter()
        edits = len(self.scoring.edits)
        final = _TERMS[min(max(self.settings.jitter, 1), len(_TERMS))] * edits
        walks = {}
        for row in rows:
            original, reference, _ = self.ends[row].tolist()
            span = max(abs(original - reference), _SMALLEST_SPAN)
            bracket = Bracket(math.log(span))
            walks[row] = Walk(bracket, self.question.evaluations, edits, final, 1 + _ENDS)
        bounds = None if held is None else dict(zip(rows, held, strict=True))
        going = rows
        while going:
            self._stage(going, walks, bounds, progress)
            while pending := [row for row in going if walks[row].pending]:
                self._check(pending, walks)
            going = [row for row in going if walks[row].may_go_on()]
        while refining := [row for row in rows if walks[row].begin_refining()]:
            self._check(refining, walks)
        seconds = (time.perf_counter() - began) / len(rows)
        return self._learned(rows, walks, number, seconds)

    def _stage(
        self,
        rows: list[int],
        walks: dict[int, Walk],
        held: dict[int, Tensor] | None,
        progress: Progress | None,
    ) -> None:
        """The optimiser's steps of some images, each under its own λ1."""
        optimiser, game = self.settings.optimiser, self.settings.objective.game
        assert isinstance(optimiser, Continuing)
        states = [walks[row] for row in rows]
        places = [walk.start for walk in states]
        first = 0
        if places[0] is None:
            steps = states[0].first_steps
            current = optimiser.limited(steps)
            at = 0
            masks = torch.full((len(rows), *self.settings.grid.cells(self.scoring.size)), 1 - game.ideal)
            masks = masks.to(self.scoring.targets)
        else:
            steps = FURTHER
            current, first = optimiser.continuing(steps, RADIUS)
            at = sum(map(len, states[0].history))
            masks = torch.cat([place.masks for place in places if place is not None])
        bounds = None
        if held is not None:
            ideal = torch.stack([held[row] for row in rows]).to(masks.device)
            low, high = masks.new_zeros(masks.shape), masks.new_ones(masks.shape)
            bounds = Bounds(low.masked_fill(ideal, game.ideal), high.masked_fill(ideal, game.ideal))
            masks = masks.clamp(bounds.low, bounds.high)
        scorer = self._scorer(rows, [walk.factor for walk in states], first, at, steps)
        batch = Batch.begin(tuple(rows), scorer, masks, current)
        if first:
            memory = tuple(
                torch.cat(parts) for parts in zip(*(place.memory for place in places if place), strict=True)
            )
            batch = replace(
                batch,
                memory=optimiser.reweighted(memory, scorer.objective, scorer.edits),
                iteration=torch.full_like(batch.iteration, first),
            )
        batch = replace(batch, bounds=bounds)
        left = [batch]
        for group in optimise(lambda _: left.pop() if left else None, current, Capacity(len(rows)), progress):
            for place, row in enumerate(group.ids):
                one = group.select(torch.arange(len(group), device=masks.device) == place)
                history = one.history[0, first : int(one.iteration)].cpu()
                walks[row].arrived(Place(one.masks, one.memory), history, float(one.seconds))

    def _scorer(
        self, rows: list[int], factors: Sequence[float], first: int, at: int, steps: int
    ) -> PathScorer:
        """Scores the masks of a stage, at the jitter of its steps."""
        picked = torch.tensor(rows, device=self.offsets.device)
        own = self.offsets[picked, at : at + steps]
        offsets = torch.cat([own.new_zeros(len(rows), first, 2), own], dim=1)
        inner = JitteredScorer(
            self.scoring.select(picked),
            self.settings,
            self.upsampler,
            offsets,
            torch.zeros(len(rows), dtype=torch.long),
        )
        return PathScorer(inner, area_penalty(self.settings), self.ends.new_tensor(factors))

    def _check(self, rows: list[int], walks: dict[int, Walk]) -> None:
        """Score the trial of each image by both perturbations."""
        game = self.settings.objective.game
        states = [walks[row] for row in rows]
        base = torch.cat([walk.base for walk in states])
        by = base.new_tensor([walk.trial for walk in states])[:, None, None]
        grids = (game.ideal - (game.saliency(base) * by).clamp(max=1)).abs()
        masks = self.upsampler(grids).clamp(0, 1)
        scores = self._scores(rows, masks)
        saliency = game.saliency(masks).cpu().float()
        weight = area_penalty(self.settings).weight
        for place, (row, walk) in enumerate(zip(rows, states, strict=True)):
            walk.spent += CHECK
            seen, unseen = scores[place].tolist()
            shares = self._shares(row, seen, unseen)
            factor = (
                walk.points[walk.best].lambda1 / weight
                if walk.refining and walk.best is not None
                else walk.factor
            )
            point = PathPoint(
                lambda1=weight * factor,
                amplified=walk.trial,
                area=float(saliency[place].mean()),
                score=seen,
                share=shares[0],
                unseen_score=unseen,
                unseen_share=shares[1],
                evaluations=walk.spent,
                reaches=min(shares) >= self.question.share and not any(map(math.isnan, shares)),
                saliency=saliency[place],
            )
            walk.judged(point, grids[place].cpu())

    def _shares(self, row: int, seen: float, unseen: float) -> tuple[float, float]:
        """The share of an image's score that is suppressed, or kept in preservation, by both perturbations."""
        original, *references = self.ends[row].tolist()
        both = [
            Scores(original, now, reference)
            for now, reference in zip((seen, unseen), references, strict=True)
        ]
        deletes = self.settings.objective.game.ideal == 1
        first, second = (one.suppression if deletes else one.normalized for one in both)
        return first, second

    @torch.no_grad()
    def _scores(
        self, rows: list[int], masks: Float[Tensor, "k h w"], unseen: bool = True
    ) -> Float[Tensor, "k n"]:
        """Scores by the classifier itself, without jitter: as results are shown, and by the unseen edit."""

        def some(places: Sequence[int]) -> list[Tensor]:
            picked = torch.tensor([rows[place] for place in places], device=self.offsets.device)
            scoring = replace(self.scoring.select(picked), classifier=self.classifier)
            edits = [scoring.shown, self.unseen.select(picked)] if unseen else [scoring.shown]
            own = masks[list(places)][:, None]
            return list(torch.cat([scoring.still_scores(own, [edit]) for edit in edits], dim=1))

        with self.classifier.borrowed():
            return torch.stack(in_quarters(some, range(len(rows))))

    def _learned(self, rows: list[int], walks: dict[int, Walk], number: int, seconds: float) -> list[Learned]:
        """The result of each image."""
        states = [walks[row] for row in rows]
        chosen = [walk.chosen for walk in states]
        grids = torch.stack([walk.grids[place] for walk, place in zip(states, chosen, strict=True)])
        grids = grids.to(self.scoring.targets)
        weight = area_penalty(self.settings).weight
        points = [walk.points[place] for walk, place in zip(states, chosen, strict=True)]
        picked = torch.tensor(rows, device=self.offsets.device)
        factors = self.ends.new_tensor([point.lambda1 / weight for point in points])
        scorer = PathScorer(
            self._scorer(rows, factors.tolist(), 0, 0, 1).inner, area_penalty(self.settings), factors
        )
        weighted = replace(self.settings, objective=scorer.objective)
        iteration = torch.zeros(len(rows), dtype=torch.long, device=grids.device)
        terms = fixed_terms(self.scoring.select(picked), weighted, self.upsampler, grids, iteration)
        masks = pictured(self.scoring.shown, self.upsampler(grids).clamp(0, 1)).cpu()
        learned = []
        for place, (row, walk, point) in enumerate(zip(rows, states, points, strict=True)):
            walk.spent += walk.final
            history = torch.cat(walk.history)
            scores = self.ends.new_tensor([self.ends[row, 0], point.score, self.ends[row, 1]]).cpu()
            learned.append(
                Learned(
                    grid=grids[place].cpu(),
                    mask=masks[place],
                    scores=scores,
                    terms={name: float(values[place]) for name, values in terms.items()},
                    history={
                        name: tuple(history[:, part].tolist())
                        for part, name in enumerate(self.settings.objective.names)
                    },
                    evaluations=walk.spent,
                    verdict=self._verdict(point),
                    seconds=seconds,
                    chosen=LEARNED,
                    sufficiency=Sufficiency(
                        self.question, self.unseen_name, point, tuple(walk.points), number
                    ),
                )
            )
        return learned

    def _verdict(self, point: PathPoint) -> str:
        """ "converged" where the mask suffices, else what was reached."""
        if point.reaches:
            return CONVERGED
        if math.isnan(point.share + point.unseen_share):
            return f"{NOT_REACHED}: the score has no share, as the fully perturbed image scores the same"
        does = "suppresses" if self.settings.objective.game.ideal == 1 else "keeps"
        return (
            f"{NOT_REACHED}: the mask that comes closest {does} {point.share:.1%} of the score, and "
            f"{point.unseen_share:.1%} under {self.unseen_name}, of the {self.question.share:.1%} asked for"
        )
