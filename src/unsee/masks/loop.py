"""The one optimisation loop: ask the optimiser for masks, evaluate them, tell it the results.

Images join as there is room, each at its own iteration, and leave once they have converged.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.batch import Batch
from unsee.masks.objective import SCORE, total
from unsee.masks.optimisers.protocol import Evaluation, Linear, Optimiser
from unsee.masks.scoring import Scored
from unsee.memory import is_out_of_memory, release


@dataclass(frozen=True)
class Step:
    """The state of a run for a progress display: means over the images in progress.

    `score` is the objective's score term: the score itself in deletion, minus the score in preservation.
    `done` is the finished work in images: those in progress count by their share of `iterations`, one that
    ends early counts whole from then on.
    """

    iteration: int
    iterations: int
    objective: float
    score: float
    done: float = 0.0


Progress = Callable[[Step], None]


@dataclass
class Capacity:
    """How many images are learned at once; fewer once memory has run out."""

    size: int
    waiting: list[Batch] = field(default_factory=list)

    def split(self, batch: Batch) -> Batch:
        """Half of the images; the others wait until there is room.

        Raises:
            UnseeError: not even one image fits.
        """
        if len(batch) == 1:
            raise UnseeError(
                "there is not enough memory to evaluate one image: use a smaller network or input, or "
                "another device (--device cpu)"
            )
        release()
        self.size = len(batch) // 2
        return self.first(batch, self.size)

    def first(self, batch: Batch, count: int) -> Batch:
        """The first images of a batch; the others wait."""
        if count >= len(batch):
            return batch
        kept = torch.arange(len(batch), device=batch.masks.device) < count
        self.waiting.append(batch.select(~kept))
        return batch.select(kept)


def optimise(
    more: Callable[[int], Batch | None],
    optimiser: Optimiser,
    capacity: Capacity,
    progress: Progress | None = None,
    best_so_far: bool = False,
) -> Iterator[Batch]:
    """Optimise masks until each image has finished; finished images are returned in groups.

    Args:
        more: gives up to so many new images, None when there are no more. It is called whenever a quarter of
            the places is free.
        optimiser: proposes masks; no image depends on another, so its batch does not matter.
        capacity: how many images are learned at once. When memory runs out half of them wait.
        progress: called after each step.
        best_so_far: where the optimiser needs no gradient, give the images in progress when it is stopped.

    Raises:
        UnseeError: not even one image fits into memory, or the optimiser needs a gradient and there is none.
        KeyboardInterrupt: the user has stopped it; after the images in progress, if they are wanted.
    """
    batch: Batch | None = None
    finished = 0
    while True:
        began = time.perf_counter()
        batch = _filled(batch, more, capacity)
        if batch is None:
            return
        try:
            after = _tried(batch, optimiser)
        except KeyboardInterrupt:
            begun = batch.iteration > 0
            if best_so_far and not optimiser.needs_gradient and bool(begun.any()):
                yield batch.select(begun)
            raise
        if after is None:
            batch = capacity.split(batch)
            continue
        batch = after
        over = optimiser.settled(batch.history, batch.iteration - 1) | (batch.failed_at >= 0)
        if progress is not None:
            progress(_report(batch, capacity.waiting, optimiser.iterations, finished, over))
        some, every = bool(over.any()), bool(over.all())
        seconds = batch.seconds + (time.perf_counter() - began) / len(batch)
        batch = replace(batch, seconds=seconds)
        if some:
            finished += int(over.sum())
            yield batch.select(over)
            batch = None if every else batch.select(~over)


def _filled(batch: Batch | None, more: Callable[[int], Batch | None], capacity: Capacity) -> Batch | None:
    """The batch with further images on its free places, those that wait first."""
    free = capacity.size - (0 if batch is None else len(batch))
    if batch is not None and 4 * free < max(capacity.size, 4):
        return batch
    new = capacity.first(capacity.waiting.pop(), free) if capacity.waiting else more(free)
    if batch is None or new is None:
        return new if batch is None else batch
    return batch.joined(new)


def _tried(batch: Batch, optimiser: Optimiser) -> Batch | None:
    """Every image one step further; None where memory has run out."""
    try:
        return _advanced(batch, optimiser)
    except Exception as error:
        if is_out_of_memory(error):
            return None
        raise


def _advanced(batch: Batch, optimiser: Optimiser) -> Batch:
    """Every image one step further."""
    asked = optimiser.ask(batch.memory, batch.masks, batch.iteration).detach()
    evaluation = _evaluated(batch, asked, optimiser.needs_gradient)
    moved, memory = optimiser.tell(batch.memory, evaluation, batch.iteration)
    costs = total(evaluation.terms)
    known = costs.isfinite()
    sound = known.any(dim=1) & moved.isfinite().flatten(1).all(dim=1)
    if evaluation.gradient is not None:
        sound &= evaluation.gradient.isfinite().flatten(1).all(dim=1)
    rows = torch.arange(len(batch), device=moved.device)
    best = torch.where(known, costs, torch.inf).argmin(dim=1)
    terms = torch.stack([values[rows, best] for values in evaluation.terms.values()], dim=1)
    batch.history[rows, batch.iteration] = terms
    lowest = torch.where(known, costs, torch.inf)[rows, best]
    better = lowest < batch.lowest
    return replace(
        batch,
        masks=torch.where(sound[:, None, None], moved, batch.masks),
        best=torch.where(better[:, None, None], evaluation.masks[rows, best], batch.best),
        lowest=torch.where(better, lowest, batch.lowest),
        memory=memory,
        iteration=batch.iteration + 1,
        evaluated=batch.evaluated + asked.shape[1],
        failed_at=torch.where(sound, batch.failed_at, batch.iteration),
    )


def _evaluated(batch: Batch, asked: Tensor, needs_gradient: bool) -> Evaluation:
    """The terms of masks (b,k,r,c), with the gradient of the score where it is needed."""
    objective, count = batch.scorer.objective, asked.shape[1]
    linear = None
    with torch.set_grad_enabled(needs_gradient):
        masks = asked.requires_grad_(needs_gradient)
        scored = batch.scorer.scores(masks, batch.iteration)
        if needs_gradient:
            linear = _linear(scored, masks, batch.scorer.edits)
    masks, iteration = masks.detach(), batch.iteration.repeat_interleave(count)
    flat = objective.terms(masks.flatten(0, 1), scored.values.detach().flatten(), iteration)
    terms = {name: values.view(-1, count) for name, values in flat.items()}
    return Evaluation(masks, terms, linear, objective, batch.scorer.edits, batch.bounds, scored.places)


def _linear(scored: Scored, masks: Tensor, edits: int) -> Linear:
    """Value and gradient of the log-odds of the mean score, or of the mean score itself."""
    bounded = scored.log_odds is not None
    value = scored.values / edits if scored.log_odds is None else scored.log_odds
    if not value.requires_grad:
        raise UnseeError("the classifier gives no gradient, and the optimiser needs one: choose one without")
    (gradient,) = torch.autograd.grad(value.sum(), masks)
    return Linear(value.detach(), gradient, bounded)


def _report(
    batch: Batch, waiting: list[Batch], iterations: int, finished: int, over: Bool[Tensor, " b"]
) -> Step:
    rows = torch.arange(len(batch), device=over.device)
    last = batch.history[rows, batch.iteration - 1]
    sound = batch.failed_at < 0
    last = torch.where(sound[:, None], last, 0.0).sum(dim=0) / sound.sum().clamp(min=1)
    score = float(last[batch.scorer.objective.names.index(SCORE)])
    done = finished + float(torch.where(over, 1.0, batch.iteration / iterations).sum())
    done += sum(float(others.iteration.sum()) / iterations for others in waiting)
    return Step(int(batch.iteration.max()), iterations, float(last.sum()), score, done)
