"""The records of an experiment on disk, some images to a file; valid files of an earlier run are reused."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from unsee.experiments.cases import StoredMaps
from unsee.experiments.experiment import Case, Record
from unsee.records import digest, finite
from unsee.runs.storage import Storage

IMAGES_PER_FILE = 32
_FILE = "records-{:06d}.json"


def records_of(
    storage: Storage,
    maps: StoredMaps,
    numbers: Sequence[int],
    measure: Callable[[Case], Iterable[Record]],
    advance: Callable[[int], None],
) -> Iterator[Record]:
    """The records of some images, in order.

    A file is made again if its images or their maps have changed since it was written.

    Args:
        storage: the folder of the files.
        maps: the maps of the images.
        numbers: the images, by their numbers in the data set.
        measure: what gives the records of one case.
        advance: called with the number of images that are done.
    """
    for first in range(0, len(numbers), IMAGES_PER_FILE):
        some = numbers[first : first + IMAGES_PER_FILE]
        name, of = _FILE.format(first), digest(maps.contents(some))
        records = stored_records(storage, name, of)
        if records is None:
            records = []
            for done, case in enumerate(maps.cases(some), start=1):
                records += finite(list(measure(case)))
                advance(first + min(done, len(some)))
            storage.write(name, json.dumps({"of": of, "records": records}).encode())
        advance(first + len(some))
        yield from records


def stored_records(storage: Storage, name: str, of: str) -> list[Record] | None:
    """The records of a file, None if it is missing, damaged, or was made of other images or maps.

    Args:
        storage: its folder.
        name: its name.
        of: the digest of what `StoredMaps.contents` says of its images.
    """
    try:
        kept: Any = json.loads(storage.read(name))
    except (FileNotFoundError, ValueError):
        return None
    return kept["records"] if isinstance(kept, dict) and kept.get("of") == of else None
