"""What can be asked of areas: one, several, or the smallest that is enough for a share of the score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unsee.errors import UnseeError
from unsee.masks.area_penalties import checked_area

SMALLEST = "smallest"
LADDER = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
"""The areas that are tried first for the smallest one."""
SHARE = 0.9

AreaLike = float | Sequence[float] | str


@dataclass(frozen=True)
class AreasAsked:
    """What was asked for: one area, several, the smallest for a share of the score, or nothing.

    Args:
        single: one area.
        several: each photo gets a mask of each; for the smallest, what is tried first.
        share: of the score, for the smallest.
    """

    single: float | None = None
    several: tuple[float, ...] = ()
    share: float | None = None


def areas_asked(area: AreaLike | None, share: float | None = None) -> AreasAsked:
    """An argument or option as what is asked for.

    Args:
        area: a number, several, "smallest", or None.
        share: of the score, for "smallest" only; `SHARE` by default.

    Raises:
        UnseeError: it is none of these.
    """
    if area == SMALLEST:
        return AreasAsked(several=LADDER, share=SHARE if share is None else share)
    if share is not None:
        raise UnseeError(
            'a share of the score is for the smallest area: ask for area="smallest" (--area smallest)'
        )
    if area is None:
        return AreasAsked()
    if isinstance(area, str):
        raise UnseeError(f"an area is a number such as 0.1, several, or {SMALLEST!r}, got {area!r}")
    if isinstance(area, Iterable):
        several = tuple(checked_area(one) for one in area)
        if not several:
            raise UnseeError("there is no area: give one such as 0.1")
        return AreasAsked(single=several[0]) if len(several) == 1 else AreasAsked(several=several)
    return AreasAsked(single=checked_area(area))
