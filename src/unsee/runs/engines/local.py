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
        """Yield each part once it is written, with `notes` as its metadata; may call `on_row` per row."""


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
        """Yield each part once it is written."""
        for portion in portions:
            yield write(store, portion, job.rows(portion, on_row), notes)


def write(store: Store, portion: Portion, rows: Sequence[Row], notes: Mapping[str, str]) -> PartWritten:
    """Write the rows of a portion as a part."""
    part = store.add(portion.number, rows, notes)
    return PartWritten(part, len(rows), sum(row.error is not None for row in rows))
