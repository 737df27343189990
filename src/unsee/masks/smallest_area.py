"""Masks of several areas of each photo, and of the smallest that keeps or removes a share of the score."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol, runtime_checkable

from unsee.classifier import TargetLike
from unsee.explanation import Explanation
from unsee.images import Photo
from unsee.masks.loop import Progress, Step
from unsee.masks.photos import PhotoTarget, Plan, Refuse
from unsee.memory import BATCH_SIZE

BETWEEN = 3
"""How many further areas are tried between the largest that does not suffice and the smallest that does."""
_AT_ONCE = BATCH_SIZE // 2
"""Photos, of which each has several masks."""


def share_of(explanation: Explanation) -> float:
    """The share of the score that a mask keeps, or in deletion removes; NaN if it cannot be told."""
    if explanation.run.game == "deletion":
        return explanation.suppression
    return explanation.scores.normalized


def smallest_area(explanations: Iterable[Explanation], share: float) -> Explanation | None:
    """The explanation of least area that keeps, or in deletion removes, a share of the score.

    Args:
        explanations: of one photo and target, however they were learned.
        share: in (0,1).

    Returns:
        None if none does.
    """
    enough = [one for one in explanations if share_of(one) >= share]
    return min(enough, key=lambda one: one.area, default=None)


@runtime_checkable
class ExplainEach(Protocol):
    """Explains each photo once."""

    def __call__(
        self, photos: Iterable[PhotoTarget], progress: Progress | None = None, refuse: Refuse | None = None
    ) -> Iterator[Explanation]:
        """One explanation for each photo, in order, but for those that are refused."""


def every_area(
    explained: ExplainEach,
    photos: Iterable[tuple[Photo, TargetLike | None]],
    areas: Sequence[float],
    progress: Progress | None = None,
    refuse: Refuse | None = None,
) -> Iterator[Explanation]:
    """An explanation of each area of each photo, the areas of a photo after each other."""
    each = ((photo, target, area) for photo, target in photos for area in areas)
    return explained(
        each, progress and _in_photos(len(areas), progress), refuse and _once(len(areas), refuse)
    )


def smallest_of_each(
    explained: ExplainEach,
    photos: Iterable[tuple[Photo, TargetLike | None]],
    plan: Plan,
    progress: Progress | None = None,
    refuse: Refuse | None = None,
) -> Iterator[Explanation]:
    """The explanation of the smallest area of each photo that is enough for the plan's share of the score.

    The plan's areas are tried first, then some between the largest that is too small and the smallest that is
    enough.
    If none is enough, the largest is returned and says so.
    """
    assert plan.share is not None
    waiting, before = iter(photos), 0
    while batch := list(islice(waiting, _AT_ONCE)):
        refused: dict[int, str] = {}
        note = refuse and refused.__setitem__
        advance = progress and _counting(before, progress)
        first = list(every_area(explained, batch, plan.areas, advance, note))
        for place, reason in refused.items():
            assert refuse is not None
            refuse(before + place, reason)
        left = [one for place, one in enumerate(batch) if place not in refused]
        each = len(plan.areas)
        groups = [first[start : start + each] for start in range(0, len(first), each)]
        yield from _refined(explained, left, groups, plan.share)
        before += len(batch)


def _refined(
    explained: ExplainEach,
    photos: Sequence[tuple[Photo, TargetLike | None]],
    groups: Sequence[list[Explanation]],
    share: float,
) -> Iterator[Explanation]:
    """The smallest of each group, after further areas next to it were tried."""
    further = [_between(group, share) for group in groups]
    asked = [(*photo, area) for photo, areas in zip(photos, further, strict=True) for area in areas]
    found = explained(asked) if asked else iter(())
    for group, areas in zip(groups, further, strict=True):
        tried = [*group, *islice(found, len(areas))]
        best = smallest_area(tried, share)
        spent = sum(one.run.evaluations for one in tried)
        chosen = best or max(tried, key=lambda one: one.area)
        run = replace(chosen.run, evaluations=spent, asked_share=share)
        if best is None:
            run = replace(
                run, verdict=f"not enough: no area up to {chosen.area:.0%} gives {share:.0%} of the score"
            )
        yield replace(chosen, run=run)


def _between(group: Sequence[Explanation], share: float) -> tuple[float, ...]:
    """Areas between the largest that is not enough and the smallest that is, each the same factor apart."""
    areas = {one.run.asked_area or one.area: share_of(one) >= share for one in group}
    enough = [area for area, does in areas.items() if does]
    if not enough:
        return ()
    high = min(enough)
    low = max((area for area in areas if area < high), default=high / 2)
    return tuple(low * (high / low) ** (part / (BETWEEN + 1)) for part in range(1, BETWEEN + 1))


def _in_photos(each: int, progress: Progress) -> Progress:
    """Counts masks as shares of photos."""

    def advance(step: Step) -> None:
        progress(replace(step, done=step.done / each))

    return advance


def _counting(before: int, progress: Progress) -> Progress:
    """Counts the photos before these."""

    def advance(step: Step) -> None:
        progress(replace(step, done=before + step.done))

    return advance


def _once(each: int, refuse: Refuse) -> Callable[[int, str], None]:
    """Tells of a photo once, not for each of its areas."""

    def tell(number: int, reason: str) -> None:
        if number % each == 0:
            refuse(number // each, reason)

    return tell
