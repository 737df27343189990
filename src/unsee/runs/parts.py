"""The parts of a store: their names, how they are read, and how damage is detected."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unsee.errors import UnseeError
from unsee.runs.rows import as_stored, upgraded
from unsee.runs.storage import Storage

_NAME = re.compile(r"part-(\d{8})-[0-9a-f]{12}\.parquet")


@dataclass(frozen=True)
class Damage:
    """A part that cannot be used, and why."""

    part: str
    reason: str
    state: str = "is damaged"

    def __str__(self) -> str:
        return f"{self.part} {self.state} ({self.reason})"


class DamagedError(UnseeError):
    """A part turned out to be damaged while it was read."""

    def __init__(self, address: str, damage: Damage) -> None:
        super().__init__(f"{address}: {damage}; run the command that made the store again")
        self.damage = damage


def is_part(name: str) -> bool:
    """Whether a file has a name as `part_name` makes it."""
    return _NAME.fullmatch(name) is not None


def part_name(number: int, keys: Sequence[tuple[str, str]]) -> str:
    """The name of a part, made from the number of its portion and the keys of its rows."""
    digest = sha256(json.dumps([list(key) for key in keys]).encode()).hexdigest()
    return f"part-{number:08d}-{digest[:12]}.parquet"


def part_number(name: str) -> int:
    """The number of a part's portion."""
    return int(name.split("-")[1])


@contextmanager
def opened(storage: Storage, name: str) -> Iterator[pq.ParquetFile]:
    """A part, opened for `read` and `tables`.

    Raises:
        DamagedError: the file is gone, or its bytes are not those that were written.
        UnseeError: it cannot be read for another reason, perhaps a temporary one.
    """
    try:
        with storage.fs.open(storage.path(name)) as file:
            yield pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
    except FileNotFoundError as error:
        raise DamagedError(storage.address, Damage(name, "the file is gone")) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if getattr(error, "errno", None) is not None:
            raise UnseeError(f"{storage.path(name)} cannot be read ({reason}): try again") from error
        raise DamagedError(storage.address, Damage(name, reason)) from error


def read(file: pq.ParquetFile, columns: Sequence[str]) -> pa.Table:
    """Columns of a part, all rows; a part of format 1 is converted."""
    stored = as_stored(columns, file.schema_arrow.names)
    return upgraded(file.read(stored, use_threads=False)).replace_schema_metadata(None).select(columns)


def tables(
    file: pq.ParquetFile, columns: Sequence[str], ids: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Columns of a part, or of the rows of some images, one row group at a time.

    Everything is read in this thread: PyArrow's own threads would go on after an error, and hold the file
    while the interpreter exits.
    """
    stored = as_stored(columns, file.schema_arrow.names)
    for group in range(file.num_row_groups):
        wanted = None
        if ids is not None:
            found = file.read_row_group(group, ["id"], use_threads=False)["id"]
            wanted = pc.is_in(found, pa.array(ids, pa.string()))
            if not pc.any(wanted).as_py():
                continue
        table = upgraded(file.read_row_group(group, stored, use_threads=False)).select(columns)
        yield table if wanted is None else table.filter(wanted)
