"""The one optimisation loop: images come, descend each at its own pace, and leave when they have settled."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.algorithm import Algorithm, Point
from unsee.masks.flight import Flight
from unsee.masks.objective import Terms
from unsee.memory import is_out_of_memory


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
class Crew:
    """How many images fly at once; fewer once memory has run out."""

    capacity: int
    waiting: list[Flight] = field(default_factory=list)

    def split(self, flight: Flight, error: Exception) -> Flight:
        """Half of the images, and the others to be taken up again later.

        Raises:
            UnseeError: not even one image fits.
        """
        if len(flight.ids) == 1:
            raise UnseeError(
                "there is not enough memory for one picture and its gradient: "
                "a smaller network or input, or --device cpu"
            ) from error
        self.capacity = len(flight.ids) // 2
        first = torch.arange(len(flight.ids), device=flight.masks.device) < self.capacity
        self.waiting.append(flight.select(~first))
        return flight.select(first)


def optimise(
    arrivals: Callable[[int], Flight | None],
    algorithm: Algorithm,
    crew: Crew,
    progress: Progress | None = None,
) -> Iterator[Flight]:
    """Let images descend until each has settled; those that have are given back in groups.

    Args:
        arrivals: up to so many new images, None when there are no more. They are asked for whenever a quarter
            of the places is free.
        algorithm: takes the steps; no image sees another, so it does not matter beside which it flies.
        crew: how many fly at once. When memory runs out half of the images wait.
        progress: told after each step.
    """
    flight: Flight | None = None
    landed = 0
    while True:
        flight = _filled(flight, arrivals, crew)
        if flight is None:
            return
        try:
            flight = _advanced(flight, algorithm)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            flight = crew.split(flight, error)
            continue
        over = algorithm.settled(flight.history, flight.iteration - 1) | (flight.failed_at >= 0)
        if progress is not None:
            progress(_report(flight, algorithm.iterations, landed, over))
        if bool(over.any()):
            landed += int(over.sum())
            yield flight.select(over)
            flight = None if bool(over.all()) else flight.select(~over)


def _filled(flight: Flight | None, arrivals: Callable[[int], Flight | None], crew: Crew) -> Flight | None:
    free = crew.capacity - (0 if flight is None else len(flight.ids))
    if flight is not None and 4 * free < max(crew.capacity, 4):
        return flight
    if crew.waiting:
        if flight is not None and len(crew.waiting[-1].ids) > free:
            return flight
        new: Flight | None = crew.waiting.pop()
    else:
        new = arrivals(free)
    if flight is None or new is None:
        return flight or new
    return flight.joined(new)


def _advanced(flight: Flight, algorithm: Algorithm) -> Flight:
    """Every image one step further."""
    began = time.perf_counter()
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
        seconds=flight.seconds + (time.perf_counter() - began) / len(masks),
    )


def _report(flight: Flight, iterations: int, landed: int, over: Bool[Tensor, " b"]) -> Step:
    rows = torch.arange(len(flight.ids), device=over.device)
    last = flight.history[rows, flight.iteration - 1]
    sound = flight.failed_at < 0
    last = torch.where(sound[:, None], last, 0.0).sum(dim=0) / sound.sum().clamp(min=1)
    share = torch.where(over, 1.0, flight.iteration / iterations).sum()
    return Step(
        int(flight.iteration.max()), iterations, float(last.sum()), float(last[0]), landed + float(share)
    )
