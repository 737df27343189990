"""The records of a trial, some pictures to a file; those of an earlier run are read again where they hold."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from unsee.cli.casting import Cast
from unsee.experiments.experiment import Case, Record
from unsee.records import digest, finite
from unsee.runs.storage import Storage

_AT_ONCE, _FILE = 32, "records-{:06d}.json"


def records_of(
    place: Storage,
    cast: Cast,
    numbers: Sequence[int],
    ask: Callable[[Case], Iterable[Record]],
    advance: Callable[[int], None],
) -> Iterator[Record]:
    """The records of some pictures, in order; `advance` is told how many pictures are done.

    A file is done again where other pictures were asked about, or other maps were there, when it was written.
    """
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        name, of = _FILE.format(first), digest(cast.asked(some))
        records = _kept(place, name, of)
        if records is None:
            records = []
            for done, case in enumerate(cast.cases(some), start=1):
                records += finite(list(ask(case)))
                advance(first + min(done, len(some)))
            place.write(name, json.dumps({"of": of, "records": records}).encode())
        advance(first + len(some))
        yield from records


def _kept(place: Storage, name: str, of: str) -> list[Record] | None:
    try:
        kept: Any = json.loads(place.read(name))
    except (FileNotFoundError, ValueError):
        return None
    return kept["records"] if isinstance(kept, dict) and kept.get("of") == of else None
