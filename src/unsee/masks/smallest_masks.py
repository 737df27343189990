"""The mask of least area that suffices, of each of many photos: a path over λ1 for each (`paths.py`)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from unsee.classifier import Classifier
from unsee.masks.learner import check_gradient, images_at_once
from unsee.masks.loop import Progress, Step
from unsee.masks.outcome import Learned
from unsee.masks.paths import Paths
from unsee.masks.requests import MaskRequest
from unsee.masks.settings import Settings
from unsee.masks.smallest_mask_arguments import area_penalty
from unsee.neutral import advanced
from unsee.smallest_mask import Sufficient
from unsee.tuning import tuned


def suffice_each(
    classifier: Classifier,
    requests: Callable[[int], Sequence[MaskRequest]],
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
        settings: how masks are learned; the path begins at their λ1 for an image whose score falls by 1, and
            lower in proportion for others.
        question: what a mask must do.

    Raises:
        UnseeError: the settings have no λ1 or no path, or the network gives no gradient.
    """
    yield from advanced(
        _answered(classifier, requests, settings, question, batch_size, bfloat16, compiled, progress)
    )


def _answered(
    classifier: Classifier,
    requests: Callable[[int], Sequence[MaskRequest]],
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
        note = progress and _counting(progress, done, len(new), question)
        paths = Paths.prepare(classifier, quick, new, settings, question, note)
        done += len(new)
        yield from zip((request.id for request in new), paths.answers(), strict=True)


def _counting(progress: Progress, before: int, count: int, question: Sufficient) -> Progress:
    """Counts the steps of all stages as shares of the budget, and the images before these."""
    steps = 0

    def advance(step: Step) -> None:
        nonlocal steps
        steps += 1
        share = min(steps / (question.evaluations * (question.another + 1)), 1.0)
        progress(replace(step, done=before + count * share))

    return advance
