"""Puts perturbation, grid, objective and loop together: frames and targets in, learned masks out."""

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
from unsee.masks.objective import Objective, Terms
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings
from unsee.memory import by_halves, in_quarters, pictures_that_fit
from unsee.tensors import jitter_offsets
from unsee.tuning import memory_of_one_pass, tuned

_COLUMNS = {1: (0,), 2: (1, 0), 3: (1, 2, 0), 4: (1, 3, 0, 2)}
"""For each number of places along an axis the column that each row is paired with."""


class Request(NamedTuple):
    """An image that wants a mask.

    Args:
        id: what its mask is called by.
        frame: of the network's size, with `Settings.margin` as its margin.
        target: the target classes.
        classes: how many logits the classifier has.
    """

    id: int
    frame: NetworkInput
    target: tuple[int, ...]
    classes: int


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned of one image; everything is on the CPU.

    Args:
        grid: the mask on its cells, in [0,1], 1 keeps.
        mask: the same as one value a pixel of the network's input.
        scores: of the original, perturbed and fully perturbed picture, still, with `Settings.shown`, by the
            classifier itself.
        terms: the objective's weighted parts for the mask that is returned, averaged over a fixed set of
            jitters, in the precision of the descent.
        history: the parts before each step.
        evaluations: of the network that the mask took: those of the start, up to the disc that is taken, and
            one for each step and perturbation. The final scores are not counted.
        verdict: "converged", or in words what went wrong.
        seconds: the image's share of the time its flight took.
    """

    grid: Float[Tensor, "r c"]
    mask: Float[Tensor, "h w"]
    scores: Float[Tensor, " 3"]
    terms: Float[Tensor, " 3"]
    history: Float[Tensor, "iterations 3"]
    evaluations: int
    verdict: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Group:
    """Images as the loop sees them: masks in, the objective's terms out.

    Args:
        problem: their pictures.
        settings: how masks are learned.
        upsampler: from cells to pixels.
        offsets: of each image's window at each iteration.
        spent: evaluations that each image's start took.
    """

    problem: Scoring
    settings: Settings
    upsampler: Upsampler
    offsets: Int[Tensor, "b iterations 2"]
    spent: Int[Tensor, " b"]

    @property
    def objective(self) -> Objective:
        """What masks are rewarded for."""
        return self.settings.objective

    @property
    def edits(self) -> int:
        """Perturbations, over which the score is summed."""
        return len(self.settings.perturbations)

    def terms(self, masks: Float[Tensor, "b r c"], iteration: Int[Tensor, " b"]) -> Terms:
        """The weighted parts, each image in the window of its own iteration."""
        rows = torch.arange(len(masks), device=masks.device)
        offsets, noise = self.offsets[rows, iteration], self.problem.noise_at(iteration)
        scores = self.problem.jittered_scores(self.upsampler(masks), offsets, noise)
        return self.objective.terms(masks, scores)

    def select(self, rows: Int[Tensor, " k"]) -> "Group":
        """Some of the images."""
        offsets, spent = self.offsets[rows], self.spent[rows.cpu()]
        return replace(self, problem=self.problem.select(rows), offsets=offsets, spent=spent)

    def joined(self, other: "Group") -> "Group":
        """These images and others."""
        return replace(
            self,
            problem=self.problem.joined(other.problem),
            offsets=torch.cat([self.offsets, other.offsets]),
            spent=torch.cat([self.spent, other.spent]),
        )


def learn(
    classifier: Classifier,
    arrivals: Sequence[Request],
    settings: Settings,
    progress: Progress | None = None,
) -> list[Learned]:
    """Learn one mask for each arrival (§4.3), all in one batch; each is what it would be alone."""
    left = [list(arrivals)]

    def all_at_once(_: int) -> Sequence[Request]:
        return left.pop() if left else []

    found = dict(learn_each(classifier, all_at_once, settings, len(arrivals), progress=progress))
    return [found[arrival.id] for arrival in arrivals]


def learn_each(
    classifier: Classifier,
    arrivals: Callable[[int], Sequence[Request]],
    settings: Settings,
    batch_size: int | None = None,
    bfloat16: bool = False,
    compiled: bool = False,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Learned]]:
    """Masks with the ids of their images, in the order in which they settle.

    Args:
        classifier: borrowed while masks are learned, and given back as it was.
        arrivals: gives up to so many images, none when there are no more.
        settings: how.
        batch_size: how many are learned at once; as many as are fast and fit in memory where it is None.
        bfloat16: whether the network's passes are; the final scores are always the classifier's own.
        compiled: hand a copy of the network to `torch.compile`.
        progress: told after each iteration.
    """
    with classifier.borrowed():
        quick = tuned(classifier, bfloat16, compiled)
        crew = Capacity(batch_size or _that_fit(quick, settings))

    def take_off(places: int) -> Batch | None:
        new = arrivals(places)
        flights = by_halves(lambda some: [_flight(quick, some, settings)], new) if new else []
        return reduce(Batch.joined, flights) if flights else None

    held: Batch | None = None
    for flight in optimise(take_off, settings.algorithm, crew, progress):
        held = flight if held is None else held.joined(flight)
        if 4 * len(held.ids) >= crew.capacity:
            yield from _landed(classifier, held)
            held = None
    if held is not None:
        yield from _landed(classifier, held)


def images_at_once(classifier: Classifier, settings: Settings, bfloat16: bool = False) -> int:
    """How many images are learned at once unless told: as many as are fast and fit in memory."""
    with classifier.borrowed():
        return _that_fit(tuned(classifier, bfloat16, False), settings)


def _that_fit(quick: Classifier, settings: Settings) -> int:
    return pictures_that_fit(quick.device, memory_of_one_pass(quick) * len(settings.perturbations))


def _flight(classifier: Classifier, new: Sequence[Request], settings: Settings) -> Batch:
    problem = Scoring.prepare(
        classifier,
        [arrival.frame for arrival in new],
        [arrival.target for arrival in new],
        new[0].classes,
        settings.perturbations,
        settings.objective.score,
        settings.input_noise,
        settings.shown,
    )
    upsampler = settings.grid.upsampler(problem.size, problem.plain)
    started = settings.start(problem, settings.objective.game, settings.grid.cells(problem.size))
    offsets = jitter_offsets(list(problem.seeds), settings.algorithm.iterations, settings.jitter)
    places = offsets.transpose(0, 1).to(problem.plain.device)
    group = Group(problem, settings, upsampler, places, started.evaluations)
    return Batch.begin(tuple(arrival.id for arrival in new), group, started.masks, settings.algorithm)


def _landed(classifier: Classifier, flight: Batch) -> Iterator[tuple[int, Learned]]:
    """What images have ended with; they are looked at in groups, since single ones cost more each."""

    def some(rows: Sequence[int]) -> list[Learned]:
        chosen = torch.zeros(len(flight.ids), dtype=torch.bool, device=flight.masks.device)
        chosen[list(rows)] = True
        return _examined(classifier, flight.select(chosen))

    with classifier.borrowed():
        learned = in_quarters(some, range(len(flight.ids)))
    yield from zip(flight.ids, learned, strict=True)


def _examined(classifier: Classifier, flight: Batch) -> list[Learned]:
    began = time.perf_counter()
    group = flight.task
    assert isinstance(group, Group)
    terms = fixed_terms(group.problem, group.settings, group.upsampler, flight.masks).cpu()
    masks = group.upsampler(flight.masks).clamp(0, 1)
    scores = _evidence(replace(group.problem, classifier=classifier), masks).cpu()
    seconds = flight.seconds + (time.perf_counter() - began) / len(masks)
    learned = []
    for row, count in enumerate(flight.iteration.tolist()):
        history = flight.history[row, :count].cpu()
        learned.append(
            Learned(
                grid=flight.masks[row].cpu(),
                mask=masks[row].cpu(),
                scores=scores[row],
                terms=terms[:, row],
                history=history,
                evaluations=int(group.spent[row]) + count * group.edits,
                verdict=verdict(history, int(flight.failed_at[row]), terms[:, row], scores[row]),
                seconds=float(seconds[row]),
            )
        )
    return learned


@torch.no_grad()
def fixed_terms(
    problem: Scoring, settings: Settings, upsampler: Upsampler, grids: Float[Tensor, "b r c"]
) -> Float[Tensor, "3 b"]:
    """Score, l1 and tv terms of masks, averaged over a fixed set of jitters and without input noise.

    Up to four places along each axis, spread evenly; each row is paired with one column, so that every row
    and every column is looked at once.
    """
    jitter = max(settings.jitter, 1)
    columns = _COLUMNS[min(jitter, len(_COLUMNS))]
    places = torch.linspace(0, jitter - 1, len(columns), device=grids.device).round().long()
    masks = upsampler(grids)
    total = grids.new_zeros(len(grids))
    for row, column in enumerate(columns):
        offset = torch.stack([places[row], places[column]])
        total += problem.jittered_scores(masks, offset.expand(len(grids), 2))
    return torch.stack(list(settings.objective.terms(grids, total / len(columns))))


@torch.no_grad()
def _evidence(problem: Scoring, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b 3"]:
    shown = replace(problem, plain_references=(problem.shown,))
    views = (torch.ones_like(masks), masks, torch.zeros_like(masks))
    return torch.cat([shown.still_scores(view[:, None]) for view in views], dim=1)
