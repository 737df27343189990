"""The smallest mask that suffices: what was asked for, and what was found on the way to it."""

import math
import shutil
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError

BUDGET = 80
_LEAST_BUDGET = 40


def is_share(value: object) -> bool:
    """Whether a value is a number above 0 and below 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


@dataclass(frozen=True)
class Sufficient:
    """What the mask of least area must do.

    Args:
        share: of the score, in (0,1): to be suppressed in deletion, to be kept in preservation.
        path: whether the path over λ1 is saved and drawn.
        another: how many further masks are looked for, each without the cells of those before it.
        evaluations: of the network for each mask at most, all of them counted; at least 40.

    Raises:
        UnseeError: a value is outside its range.
    """

    share: float
    path: bool = False
    another: int = 0
    evaluations: int = BUDGET

    def __post_init__(self) -> None:
        if not is_share(self.share):
            raise UnseeError(f"a share of the score is above 0 and below 1, such as 0.95, got {self.share!r}")
        if isinstance(self.another, bool) or not isinstance(self.another, int) or self.another < 0:
            raise UnseeError(f"another takes a whole number of further masks, got {self.another!r}")
        if not isinstance(self.evaluations, int) or self.evaluations < _LEAST_BUDGET:
            raise UnseeError(f"a path needs at least {_LEAST_BUDGET} evaluations, got {self.evaluations!r}")


@dataclass(frozen=True, eq=False)
class PathPoint:
    """A mask that was checked on the path.

    Args:
        lambda1: weight of the area, in the penalty's own units.
        amplified: what the saliency of its cells was multiplied by.
        area: the share of the network's input that it marks.
        score: of the edited image.
        share: of the score that is suppressed, or kept in preservation.
        unseen_score: under the perturbation that the mask was not learned with.
        unseen_share: the share under it.
        evaluations: so far.
        reaches: whether both shares are enough.
        saliency: one value a pixel of the network's input, in [0,1]; None in results that were read again.
    """

    lambda1: float
    amplified: float
    area: float
    score: float
    share: float
    unseen_score: float
    unseen_share: float
    evaluations: int
    reaches: bool
    saliency: Float[Tensor, "h w"] | None = None

    @property
    def worst(self) -> float:
        """The lower of both shares; -inf where one cannot be told."""
        lower = min(self.share, self.unseen_share)
        return -math.inf if math.isnan(self.share + self.unseen_share) else lower

    def row(self) -> dict[str, Any]:
        """Its numbers by name."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name != "saliency"}


@dataclass(frozen=True, eq=False)
class Sufficiency:
    """How a mask answers what was asked.

    Args:
        asked: what it must do.
        unseen: name of the perturbation that it was not learned with.
        chosen: the returned mask among those of the path.
        path: the masks that were checked, in order.
        number: 0 for the first mask, 1 for the first other, and so on.
        stopped: why fewer other masks were found than were asked for; empty if all were.
        view: the image at the network's input, which the path's masks are drawn over; None where no path is.
    """

    asked: Sufficient
    unseen: str
    chosen: PathPoint
    path: tuple[PathPoint, ...]
    number: int = 0
    stopped: str = ""
    view: Float[Tensor, "c h w"] | None = None

    @property
    def reached(self) -> bool:
        """Whether the returned mask does what was asked."""
        return self.chosen.reaches

    def record(self) -> dict[str, Any]:
        """Everything but the masks, as JSON values."""
        return {
            "unseen": self.unseen,
            "number": self.number,
            "reached": self.reached,
            "stopped": self.stopped,
            "chosen": self.chosen.row(),
            "path": [point.row() for point in self.path],
        }

    @classmethod
    def read(cls, asked: Mapping[str, Any], record: Mapping[str, Any]) -> "Sufficiency":
        """What `record` has written, and `Sufficient` as a record."""
        question = Sufficient(**{part.name: asked[part.name] for part in fields(Sufficient)})
        return cls(
            asked=question,
            unseen=record["unseen"],
            chosen=_point(record["chosen"]),
            path=tuple(map(_point, record["path"])),
            number=record["number"],
            stopped=record["stopped"],
        )

    def with_stop(self, reason: str) -> "Sufficiency":
        """The same, with why no further mask was found."""
        return replace(self, stopped=reason)


def _point(row: Mapping[str, Any]) -> PathPoint:
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in row.items()}
    return PathPoint(**values)


def question_record(question: Sufficient | None) -> dict[str, Any] | None:
    """A question as JSON values; None where there is none."""
    return None if question is None else asdict(question)


def other_folder(folder: Path, number: int) -> Path:
    """Where a further mask lies in the photo's folder."""
    return folder / f"another-{number}"


def remove_stale(folder: Path, written: Set[str], others: int) -> None:
    """Remove what an earlier explanation left that a new one may not replace: pictures, further masks.

    Args:
        folder: of the explanation.
        written: the names of the new one's files.
        others: how many further masks the new one has.

    Raises:
        OSError: a file cannot be removed.
    """
    for name in {"perturbed.png", "perturbed.npy", "path.csv", "path.png", "another.png"} - written:
        (folder / name).unlink(missing_ok=True)
    place = others + 1
    while (old := other_folder(folder, place)).is_dir():
        shutil.rmtree(old)
        place += 1
