"""Puts edits, grid, objective and loop together: network inputs and targets in, learned masks out."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.batch import Batch
from unsee.masks.convergence import verdict
from unsee.masks.grid import Upsampler
from unsee.masks.loop import Capacity, Progress, optimise
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import Objective, Terms, total
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings
from unsee.memory import BATCH_SIZE, by_halves, images_that_fit, in_quarters
from unsee.tensors import jitter_offsets
from unsee.tuning import memory_of_one_pass, tuned

_COLUMNS = {1: (0,), 2: (1, 0), 3: (1, 2, 0), 4: (1, 3, 0, 2)}
"""For each number of jitter places along an axis, the column that each row is paired with."""


class Request(NamedTuple):
    """An image that a mask is to be learned for.

    Args:
        id: the caller's name of the image.
        network_input: the photo at the network's size, with `Settings.margin` as its margin.
        target: the target classes.
        classes: how many logits the classifier has.
    """

    id: int
    network_input: NetworkInput
    target: tuple[int, ...]
    classes: int


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned of one image; everything is on the CPU.

    Args:
        grid: the mask on its cells, in [0,1], 1 keeps.
        mask: the same mask with one value a pixel of the network's input.
        scores: of the original, the edited and the fully perturbed image, without jitter, with
            `Settings.shown`, by the classifier itself.
        terms: the objective's weighted terms by name for the mask that is returned, averaged over a fixed set
            of jitters, in the precision of the optimisation.
        history: each term's value before every step, by name.
        evaluations: of the network that the mask took: those of the start, up to the disc that is taken, and
            one for each evaluated mask and perturbation. The final scores are not counted.
        verdict: "converged", or in words what went wrong.
        seconds: the image's share of its batch's time.
    """

    grid: Float[Tensor, "r c"]
    mask: Float[Tensor, "h w"]
    scores: Float[Tensor, " 3"]
    terms: dict[str, float]
    history: dict[str, tuple[float, ...]]
    evaluations: int
    verdict: str
    seconds: float


@dataclass(frozen=True, eq=False)
class JitteredScorer:
    """Scores masks on their cells: upsampled, and each image at the jitter of its own iteration.

    Args:
        scoring: the images with their edits.
        settings: how masks are learned.
        upsampler: from cells to what the mask is laid on.
        offsets: each image's jitter at each iteration.
        spent: evaluations that each image's start took.
    """

    scoring: Scoring
    settings: Settings
    upsampler: Upsampler
    offsets: Int[Tensor, "b iterations 2"]
    spent: Int[Tensor, " b"]

    @property
    def objective(self) -> Objective:
        """What masks minimise."""
        return self.settings.objective

    @property
    def edits(self) -> int:
        """Perturbations over which the score is summed."""
        return len(self.scoring.edits)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One for each image."""
        return self.scoring.seeds

    def scores(self, masks: Float[Tensor, "b k r c"], iteration: Int[Tensor, " b"]) -> Float[Tensor, "b k"]:
        """Scores of k masks of each image, all k with the same jitter and noise.

        They are evaluated in groups, so that few images with many masks fill a forward pass as well as many
        images with one, and no more.
        """
        group = max(BATCH_SIZE // len(masks), 1)
        parts = [self._group_scores(some, iteration) for some in torch.split(masks, group, dim=1)]
        return torch.cat(parts, dim=1)

    def _group_scores(self, masks: Tensor, iteration: Tensor) -> Float[Tensor, "b k"]:
        count, scoring = masks.shape[1], self.scoring
        rows = torch.arange(len(masks), device=masks.device)
        offsets, noise = self.offsets[rows, iteration], scoring.noise_at(iteration)
        if count > 1:
            rows = rows.repeat_interleave(count)
            offsets, scoring = offsets[rows], scoring.select(rows)
            noise = None if noise is None else noise[rows]
        scores = scoring.jittered_scores(self.upsampler(masks.flatten(0, 1)), offsets, noise)
        return scores.view(-1, count)

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


def learn_masks(
    classifier: Classifier,
    requests: Sequence[Request],
    settings: Settings,
    progress: Progress | None = None,
) -> list[Learned]:
    """Learn one mask for each request, in order (§4.3); all in one batch, each what it would be alone.

    Args:
        classifier: borrowed while masks are learned, and given back as it was.
        requests: the images with their targets; their ids must differ.
        settings: how masks are learned.
        progress: called after each step.
    """
    left = [list(requests)]

    def all_at_once(_: int) -> Sequence[Request]:
        return left.pop() if left else []

    found = dict(learn_each(classifier, all_at_once, settings, len(requests), progress=progress))
    return [found[request.id] for request in requests]


def learn_each(
    classifier: Classifier,
    requests: Callable[[int], Sequence[Request]],
    settings: Settings,
    batch_size: int | None = None,
    bfloat16: bool = False,
    compiled: bool = False,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Learned]]:
    """Masks with the ids of their images, in the order in which they finish.

    Args:
        classifier: borrowed while masks are learned, and given back as it was.
        requests: returns up to so many images, none when there are no more.
        settings: how masks are learned.
        batch_size: how many are learned at once; None for as many as are fast and fit in memory.
        bfloat16: whether the network's passes are; the final scores are always the classifier's own.
        compiled: hand a copy of the network to `torch.compile`.
        progress: called after each step.
    """
    with classifier.borrowed():
        quick = tuned(classifier, bfloat16, compiled)
        capacity = Capacity(batch_size or _that_fit(quick, settings))

    def more(places: int) -> Batch | None:
        new = requests(places)
        batches = by_halves(lambda some: [_prepared(quick, some, settings)], new) if new else []
        return reduce(Batch.joined, batches) if batches else None

    held: Batch | None = None
    for batch in optimise(more, settings.optimiser, capacity, progress):
        held = batch if held is None else held.joined(batch)
        if 4 * len(held) >= capacity.size:
            yield from _finished(classifier, held)
            held = None
    if held is not None:
        yield from _finished(classifier, held)


def images_at_once(classifier: Classifier, settings: Settings, bfloat16: bool = False) -> int:
    """The default batch size: as many images as are fast and fit in memory."""
    with classifier.borrowed():
        return _that_fit(tuned(classifier, bfloat16, False), settings)


def _that_fit(quick: Classifier, settings: Settings) -> int:
    optimiser = settings.optimiser
    passes = len(settings.perturbations) * (optimiser.masks_per_step if optimiser.needs_gradient else 1)
    return images_that_fit(quick.device, memory_of_one_pass(quick) * passes)


def _prepared(classifier: Classifier, new: Sequence[Request], settings: Settings) -> Batch:
    """New images before their first step: edits, start and jitter."""
    scoring = Scoring.prepare(
        classifier,
        [request.network_input for request in new],
        [request.target for request in new],
        new[0].classes,
        settings.perturbations,
        settings.objective.score,
        settings.input_noise,
        settings.shown,
    )
    upsampler = settings.grid.upsampler(scoring.size, scoring.targets)
    started = settings.start(scoring, settings.objective.game, settings.grid.cells(scoring.size))
    offsets = jitter_offsets(list(scoring.seeds), settings.optimiser.iterations, settings.jitter)
    places = offsets.transpose(0, 1).to(scoring.targets.device)
    scorer = JitteredScorer(scoring, settings, upsampler, places, started.evaluations)
    return Batch.begin(tuple(request.id for request in new), scorer, started.masks, settings.optimiser)


def _finished(classifier: Classifier, batch: Batch) -> Iterator[tuple[int, Learned]]:
    """The results of finished images; they are scored in groups, which costs less than one by one."""

    def some(rows: Sequence[int]) -> list[Learned]:
        chosen = torch.zeros(len(batch), dtype=torch.bool, device=batch.masks.device)
        chosen[list(rows)] = True
        return _examined(classifier, batch.select(chosen))

    with classifier.borrowed():
        learned = in_quarters(some, range(len(batch)))
    yield from zip(batch.ids, learned, strict=True)


def _examined(classifier: Classifier, batch: Batch) -> list[Learned]:
    began = time.perf_counter()
    scorer = batch.scorer
    assert isinstance(scorer, JitteredScorer)
    names = scorer.objective.names
    fixed = fixed_terms(scorer.scoring, scorer.settings, scorer.upsampler, batch.masks, batch.iteration)
    terms = {name: values.cpu() for name, values in fixed.items()}
    costs = total(terms)
    masks = scorer.upsampler(batch.masks).clamp(0, 1)
    scores = _final_scores(replace(scorer.scoring, classifier=classifier), masks).cpu()
    seconds = batch.seconds + (time.perf_counter() - began) / len(masks)
    learned = []
    for row, count in enumerate(batch.iteration.tolist()):
        history = batch.history[row, :count].cpu()
        learned.append(
            Learned(
                grid=batch.masks[row].cpu(),
                mask=masks[row].cpu(),
                scores=scores[row],
                terms={name: float(values[row]) for name, values in terms.items()},
                history={name: tuple(history[:, part].tolist()) for part, name in enumerate(names)},
                evaluations=int(scorer.spent[row]) + int(batch.evaluated[row]) * scorer.edits,
                verdict=verdict(
                    history.sum(dim=1), int(batch.failed_at[row]), float(costs[row]), scores[row]
                ),
                seconds=float(seconds[row]),
            )
        )
    return learned


@torch.no_grad()
def fixed_terms(
    scoring: Scoring,
    settings: Settings,
    upsampler: Upsampler,
    grids: Float[Tensor, "b r c"],
    iteration: Int[Tensor, " b"],
) -> Terms:
    """The terms of masks, averaged over a fixed set of jitters and without input noise.

    Up to four places along each axis, spread evenly; each row is paired with one column, so that every row
    and every column is used once.

    Args:
        scoring: the images with their edits.
        settings: how masks are learned.
        upsampler: from cells to what the mask is laid on.
        grids: masks on their cells, in [0,1].
        iteration: of each mask, for weights that change with it.
    """
    jitter = max(settings.jitter, 1)
    columns = _COLUMNS[min(jitter, len(_COLUMNS))]
    places = torch.linspace(0, jitter - 1, len(columns), device=grids.device).round().long()
    masks = upsampler(grids)
    summed = grids.new_zeros(len(grids))
    for row, column in enumerate(columns):
        offset = torch.stack([places[row], places[column]])
        summed += scoring.jittered_scores(masks, offset.expand(len(grids), 2))
    return settings.objective.terms(grids, summed / len(columns), iteration)


@torch.no_grad()
def _final_scores(scoring: Scoring, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b 3"]:
    """Scores of the original, the edited and the fully perturbed image, with the edit that results show."""
    versions = (torch.ones_like(masks), masks, torch.zeros_like(masks))
    return torch.cat([scoring.still_scores(mask[:, None], [scoring.shown]) for mask in versions], dim=1)
