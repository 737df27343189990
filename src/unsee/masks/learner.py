"""Puts edits, grid, objective and loop together: network inputs and targets in, learned masks out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce

import torch

from unsee.behind_layer import behind_layer
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.batch import Batch
from unsee.masks.jittered import JitteredScorer
from unsee.masks.loop import Capacity, Progress, Step, optimise
from unsee.masks.outcome import Learned, examined
from unsee.masks.requests import MaskRequest, jitter_of, scoring_of
from unsee.masks.settings import Retry, Settings
from unsee.memory import by_halves, images_that_fit, in_quarters
from unsee.methods import check_differentiable
from unsee.neutral import advanced
from unsee.tuning import memory_of_one_pass, tuned


def learn_each(
    classifier: Classifier,
    requests: Callable[[int], Sequence[MaskRequest]],
    settings: Settings,
    batch_size: int | None = None,
    bfloat16: bool = False,
    compiled: bool = False,
    progress: Progress | None = None,
    best_so_far: bool = False,
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
        best_so_far: see `optimise`.

    Raises:
        UnseeError: the optimiser needs gradients, and the network gives none; or it should be compiled, and
            the edit is inside it.
    """
    rest = (batch_size, bfloat16, compiled, progress, best_so_far)
    yield from advanced(_learned(classifier, requests, settings, *rest))


def _learned(
    classifier: Classifier,
    requests: Callable[[int], Sequence[MaskRequest]],
    settings: Settings,
    batch_size: int | None,
    bfloat16: bool,
    compiled: bool,
    progress: Progress | None,
    best_so_far: bool,
) -> Iterator[tuple[int, Learned]]:
    check_gradient(classifier, settings)
    if compiled:
        _check_compilable(settings)
    settings = settings.on(classifier.reading.score_name).for_input(classifier.size)
    with classifier.borrowed():
        quick = _quick(classifier, settings, bfloat16, compiled)
        capacity = Capacity(batch_size or _that_fit(quick, settings))

    inside: dict[int, MaskRequest] = {}
    done = 0.0

    def take(places: int) -> Sequence[MaskRequest]:
        new = requests(places)
        for request in new:
            without_images = replace(request.network_input)
            inside[request.id] = request._replace(network_input=without_images)
        return new

    def note(step: Step) -> None:
        nonlocal done
        done = step.done
        if progress is not None:
            progress(step)

    def note_again(step: Step) -> None:
        if progress is not None:
            progress(replace(step, done=done))

    attempt = partial(_attempt, classifier, quick, best_so_far)
    for group in attempt(take, settings, capacity, note):
        known = [(inside.pop(number), learned) for number, learned in group]
        for retry in settings.retries:
            known = _retried(attempt, known, settings, retry, note_again)
        yield from ((request.id, learned) for request, learned in known)


def _attempt(
    classifier: Classifier,
    quick: Classifier,
    best_so_far: bool,
    requests: Callable[[int], Sequence[MaskRequest]],
    settings: Settings,
    capacity: Capacity,
    progress: Progress,
) -> Iterator[list[tuple[int, Learned]]]:
    """Groups of masks as they finish, each learned once."""

    def more(places: int) -> Batch | None:
        new = requests(places)
        batches = by_halves(lambda some: [_prepared(quick, some, settings)], new) if new else []
        return reduce(Batch.joined, batches) if batches else None

    held: Batch | None = None
    try:
        for batch in optimise(more, settings.optimiser, capacity, progress, best_so_far):
            held = batch if held is None else held.joined(batch)
            if 4 * len(held) >= capacity.size:
                yield _finished(classifier, held)
                held = None
    except KeyboardInterrupt:
        if best_so_far and held is not None:
            yield _finished(classifier, held)
        raise
    if held is not None:
        yield _finished(classifier, held)


def _retried(
    attempt: Callable[..., Iterator[list[tuple[int, Learned]]]],
    known: Sequence[tuple[MaskRequest, Learned]],
    settings: Settings,
    retry: Retry,
    progress: Progress,
) -> list[tuple[MaskRequest, Learned]]:
    """The same images with those that the retry is for begun again; the better attempt counts."""
    again = [request for request, learned in known if learned.goes_wrong(retry)]
    if not again:
        return list(known)
    left = [again]

    def all_at_once(_: int) -> Sequence[MaskRequest]:
        return left.pop() if left else []

    groups = attempt(all_at_once, settings.with_retry(retry), Capacity(len(again)), progress)
    found = dict(one for group in groups for one in group)
    return [
        (request, found[request.id].after(learned) if request.id in found else learned)
        for request, learned in known
    ]


def check_gradient(classifier: Classifier, settings: Settings) -> None:
    """Refuse a network without a gradient where masks are learned by one.

    Raises:
        UnseeError: an optimiser of the settings needs gradients, and the network gives none.
    """
    if settings.needs_gradient:
        check_differentiable(classifier)


def _check_compilable(settings: Settings) -> None:
    """Refuse `torch.compile` where the edit is not of the network's input.

    Raises:
        UnseeError: an edit is inside the network.
    """
    inside = [edit.name for edit in settings.perturbations if edit.own_cells]
    if inside:
        raise UnseeError(
            f"{inside[0]} are masked inside the network, which torch.compile does not allow: leave out "
            "compiled=True (--compile)"
        )


def images_at_once(classifier: Classifier, settings: Settings, bfloat16: bool = False) -> int:
    """The default batch size: as many images as are fast and fit in memory."""
    with classifier.borrowed():
        return _that_fit(_quick(classifier, settings, bfloat16, False), settings)


def _quick(classifier: Classifier, settings: Settings, bfloat16: bool, compiled: bool) -> Classifier:
    """The network as masks are learned with it: a fast copy, or what lies behind the layer that is masked."""
    if settings.layer is None:
        return tuned(classifier, bfloat16, compiled)
    return behind_layer(classifier, settings.layer, bfloat16, compiled)


def _that_fit(quick: Classifier, settings: Settings) -> int:
    optimiser = settings.optimiser
    sides = 2 if settings.objective.game.both else 1
    passes = (
        sides * len(settings.perturbations) * (optimiser.masks_per_step if optimiser.needs_gradient else 1)
    )
    return images_that_fit(quick.device, memory_of_one_pass(quick) * passes)


def _prepared(classifier: Classifier, new: Sequence[MaskRequest], settings: Settings) -> Batch:
    """New images before their first step: edits, start and jitter."""
    scoring, game = scoring_of(classifier, new, settings), settings.objective.game
    upsampler = settings.grid.upsampler(scoring.size, scoring.targets, game)
    started = settings.start(scoring, game, settings.grid.cells(scoring.size))
    optimiser = settings.optimiser
    offsets = jitter_of(scoring, settings, optimiser.iterations * optimiser.masks_per_step)
    scorer = JitteredScorer(scoring, settings, upsampler, offsets, started.evaluations)
    return Batch.begin(tuple(request.id for request in new), scorer, started.masks, settings.optimiser)


def _finished(classifier: Classifier, batch: Batch) -> list[tuple[int, Learned]]:
    """The results of finished images; they are scored in groups, which costs less than one by one."""

    def some(rows: Sequence[int]) -> list[Learned]:
        chosen = torch.zeros(len(batch), dtype=torch.bool, device=batch.masks.device)
        chosen[list(rows)] = True
        return examined(classifier, batch.select(chosen))

    with classifier.borrowed():
        learned = in_quarters(some, range(len(batch)))
    return list(zip(batch.ids, learned, strict=True))
