"""The one optimisation loop: images come, descend each at its own pace, and leave when they have settled."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.batch import Batch
from unsee.masks.objective import Terms
from unsee.masks.optimisers.protocol import Algorithm, Point
from unsee.memory import is_out_of_memory, release


@dataclass(frozen=True)
class Step:
    """Where a run stands, for whoever shows its progress: means over the images that are in flight.

    `score` is the objective's score term, the score itself in deletion and minus the score in preservation.
    `done` is the work done so far in images, those in flight counted by their share of `iterations`; an image
    that settles early counts whole from then on.
    """

    iteration: int
    iterations: int
    objective: float
    score: float
    done: float = 0.0


Progress = Callable[[Step], None]


@dataclass
class Capacity:
    """How many images fly at once; fewer once memory has run out."""

    capacity: int
    waiting: list[Batch] = field(default_factory=list)

    def split(self, flight: Batch) -> Batch:
        """Half of the images, and the others to be taken up again later.

        Raises:
            UnseeError: not even one image fits.
        """
        if len(flight.ids) == 1:
            raise UnseeError(
                "there is not enough memory for one picture and its gradient: "
                "a smaller network or input, or --device cpu"
            )
        release()
        self.capacity = len(flight.ids) // 2
        return self.first(flight, self.capacity)

    def first(self, flight: Batch, count: int) -> Batch:
        """The first images of a flight; the others wait."""
        if count >= len(flight.ids):
            return flight
        those = torch.arange(len(flight.ids), device=flight.masks.device) < count
        self.waiting.append(flight.select(~those))
        return flight.select(those)


def optimise(
    arrivals: Callable[[int], Batch | None],
    algorithm: Algorithm,
    crew: Capacity,
    progress: Progress | None = None,
) -> Iterator[Batch]:
    """Let images descend until each has settled; those that have are given back in groups.

    Args:
        arrivals: up to so many new images, None when there are no more. They are asked for whenever a quarter
            of the places is free.
        algorithm: takes the steps; no image sees another, so it does not matter beside which it flies.
        crew: how many fly at once. When memory runs out half of the images wait.
        progress: told after each step.
    """
    flight: Batch | None = None
    landed = 0
    while True:
        began = time.perf_counter()
        flight = _filled(flight, arrivals, crew)
        if flight is None:
            return
        after = _tried(flight, algorithm)
        if after is None:
            flight = crew.split(flight)
            continue
        flight = after
        over = algorithm.settled(flight.history, flight.iteration - 1) | (flight.failed_at >= 0)
        if progress is not None:
            progress(_report(flight, crew.waiting, algorithm.iterations, landed, over))
        some, every = bool(over.any()), bool(over.all())
        seconds = flight.seconds + (time.perf_counter() - began) / len(flight.ids)
        flight = replace(flight, seconds=seconds)
        if some:
            landed += int(over.sum())
            yield flight.select(over)
            flight = None if every else flight.select(~over)


def _filled(flight: Batch | None, arrivals: Callable[[int], Batch | None], crew: Capacity) -> Batch | None:
    """The flight with further images on its free places, those that wait first."""
    free = crew.capacity - (0 if flight is None else len(flight.ids))
    if flight is not None and 4 * free < max(crew.capacity, 4):
        return flight
    new = crew.first(crew.waiting.pop(), free) if crew.waiting else arrivals(free)
    if flight is None or new is None:
        return flight or new
    return flight.joined(new)


def _tried(flight: Batch, algorithm: Algorithm) -> Batch | None:
    """Every image one step further; None where memory has run out."""
    try:
        return _advanced(flight, algorithm)
    except Exception as error:
        if is_out_of_memory(error):
            return None
        raise


def _advanced(flight: Batch, algorithm: Algorithm) -> Batch:
    """Every image one step further."""
    masks = flight.masks.detach().requires_grad_()
    terms = flight.task.terms(masks, flight.iteration)
    (slopes,) = torch.autograd.grad(terms.score.sum(), masks)
    masks = masks.detach()
    terms = Terms(*(part.detach() for part in terms))
    point = Point(masks, terms, slopes, flight.task.objective, flight.task.edits)
    moved, memory = algorithm.step(flight.memory, point, flight.iteration)
    sound = terms.total.isfinite() & slopes.isfinite().flatten(1).all(dim=1)
    sound &= moved.isfinite().flatten(1).all(dim=1)
    rows = torch.arange(len(masks), device=masks.device)
    flight.history[rows, flight.iteration] = torch.stack(list(terms), dim=1)
    return replace(
        flight,
        masks=torch.where(sound[:, None, None], moved, masks),
        memory=memory,
        iteration=flight.iteration + 1,
        failed_at=torch.where(sound, flight.failed_at, flight.iteration),
    )


def _report(
    flight: Batch, waiting: list[Batch], iterations: int, landed: int, over: Bool[Tensor, " b"]
) -> Step:
    rows = torch.arange(len(flight.ids), device=over.device)
    last = flight.history[rows, flight.iteration - 1]
    sound = flight.failed_at < 0
    last = torch.where(sound[:, None], last, 0.0).sum(dim=0) / sound.sum().clamp(min=1)
    done = landed + float(torch.where(over, 1.0, flight.iteration / iterations).sum())
    done += sum(float(others.iteration.sum()) / iterations for others in waiting)
    return Step(int(flight.iteration.max()), iterations, float(last.sum()), float(last[0]), done)
