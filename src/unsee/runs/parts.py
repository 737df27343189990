"""The parts of a store: how they are called, read, and found to be damaged."""

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
    """What is said where a part is found to be damaged while it is read."""

    def __init__(self, address: str, damage: Damage) -> None:
        super().__init__(f"{address}: {damage}; the command that made the store does it again")
        self.damage = damage


def is_part(name: str) -> bool:
    """Whether a file's name is one that `part_name` gives."""
    return _NAME.fullmatch(name) is not None


def part_name(number: int, keys: Sequence[tuple[str, str]]) -> str:
    """The name of the part with these rows, the number-th of its run."""
    digest = sha256(json.dumps([list(key) for key in keys]).encode()).hexdigest()
    return f"part-{number:08d}-{digest[:12]}.parquet"


def part_number(name: str) -> int:
    """The number of the portion that a part is of."""
    return int(name.split("-")[1])


@contextmanager
def opened(storage: Storage, name: str) -> Iterator[pq.ParquetFile]:
    """A part, to be read by `tables`.

    Raises:
        DamagedError: its bytes are not what was written.
        UnseeError: it cannot be read for another reason, which may pass.
    """
    try:
        with storage.fs.open(storage.path(name)) as file:
            yield pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
    except FileNotFoundError as error:
        raise DamagedError(storage.address, Damage(name, "it has gone")) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if getattr(error, "errno", None) is not None:
            raise UnseeError(f"{storage.path(name)} cannot be read ({reason}): try again") from error
        raise DamagedError(storage.address, Damage(name, reason)) from error


def tables(
    file: pq.ParquetFile, columns: Sequence[str], ids: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Columns of a part, or of the rows of some pictures, a row group at a time.

    All is read in this thread: PyArrow's own would go on after an error, and hold the file while the
    interpreter ends.
    """
    for group in range(file.num_row_groups):
        if ids is None:
            yield file.read_row_group(group, columns, use_threads=False)
            continue
        there = pc.is_in(
            file.read_row_group(group, ["id"], use_threads=False)["id"], pa.array(ids, pa.string())
        )
        if pc.any(there).as_py():
            yield file.read_row_group(group, columns, use_threads=False).filter(there)
