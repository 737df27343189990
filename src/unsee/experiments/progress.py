"""What an experiment tells as it goes on."""

from collections.abc import Callable
from typing import NamedTuple

from unsee.runs.engines.local import PartWritten
from unsee.runs.resume import PartChecked, RowDone, RunState

RunEvent = PartChecked | RunState | RowDone | PartWritten


class ExperimentStarted(NamedTuple):
    """An experiment of several is about to be run."""

    number: int
    total: int
    title: str


class MapsStarted(NamedTuple):
    """The maps of a source are about to be made or completed."""

    source: str


class MapsEvent(NamedTuple):
    """An event of the run that makes the maps of a source."""

    source: str
    event: RunEvent


class ImagesMeasured(NamedTuple):
    """So many images have been measured."""

    experiment: str
    done: int
    total: int


ExperimentProgress = Callable[[ExperimentStarted | MapsStarted | MapsEvent | ImagesMeasured], None]
"""Called as experiments go on; an exception that it raises stops them."""


def ignore(_: object) -> None:
    """Ignore progress."""
