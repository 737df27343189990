"""The engine for one machine: portions one after another, in this process."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from unsee.runs.job import Job, OnRow, Portion
from unsee.runs.rows import Row
from unsee.runs.store import Store


class PartWritten(NamedTuple):
    """A part that has just been written: its rows, and how many of them are errors."""

    part: str
    rows: int
    errors: int


@runtime_checkable
class Engine(Protocol):
    """Does portions in any order, and writes each as a part."""

    def described(self) -> dict[str, str | int]:
        """Its name and options, for the record of a run."""

    def run(
        self,
        job: Job,
        store: Store,
        portions: Sequence[Portion],
        notes: Mapping[str, str],
        on_row: OnRow | None = None,
    ) -> Iterator[PartWritten]:
        """Yield each part once it is written.

        Args:
            job: computes the rows of a portion.
            store: where the parts are written.
            portions: the portions to do.
            notes: the metadata of each part.
            on_row: called after each row, if the engine can.
        """


@dataclass(frozen=True)
class Local:
    """This process, one portion after another."""

    def described(self) -> dict[str, str | int]:
        """Its name and options, for the record of a run."""
        return {"engine": "local"}

    def run(
        self,
        job: Job,
        store: Store,
        portions: Sequence[Portion],
        notes: Mapping[str, str],
        on_row: OnRow | None = None,
    ) -> Iterator[PartWritten]:
        """Yield each part once it is written.

        Args:
            job: computes the rows of a portion.
            store: where the parts are written.
            portions: the portions to do, in this order.
            notes: the metadata of each part.
            on_row: called after each row.
        """
        for portion in portions:
            yield write(store, portion, job.rows(portion, on_row), notes)


def write(store: Store, portion: Portion, rows: Sequence[Row], notes: Mapping[str, str]) -> PartWritten:
    """Write the rows of a portion as a part.

    Args:
        store: where the part is written.
        portion: the images of the rows.
        rows: all rows of the portion.
        notes: the metadata of the part.
    """
    part = store.add(portion.number, rows, notes)
    return PartWritten(part, len(rows), sum(row.error is not None for row in rows))
