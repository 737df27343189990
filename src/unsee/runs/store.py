"""A store: a folder of Parquet parts and a manifest, read lazily and by column."""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from jaxtyping import Float

from unsee.errors import UnseeError
from unsee.runs.place import Place
from unsee.runs.rows import PLAIN, SCHEMA, Row, encoded

MANIFEST = "_manifest.json"
FORMAT = 1
RUN = "run"
"""What the manifest calls the name of a start of a run."""
_PART, _END = "part-", ".parquet"
_CHECKING = pads.ParquetFileFormat(
    default_fragment_scan_options=pads.ParquetFragmentScanOptions(page_checksum_verification=True)
)


@dataclass(frozen=True)
class Damage:
    """A part that cannot be used, and why."""

    part: str
    reason: str
    state: str = "is damaged"

    def __str__(self) -> str:
        return f"{self.part} {self.state} ({self.reason})"


class Store:
    """What a run has left: `unsee learn` writes it, everybody reads it.

    Parts and manifest are looked at when the store is opened; open it anew to see what has come since.
    Damaged parts are named in `damaged`, and left out of all that is read.
    """

    def __init__(self, address: str | Path) -> None:
        self.place = Place.at(address)
        self.names = [n for n in self.place.names() if n.startswith(_PART) and n.endswith(_END)]

    def __repr__(self) -> str:
        return f"<store {self.place.address}: {_counted(self.names)}>"

    @classmethod
    def open(cls, address: str | Path) -> "Store":
        """The store at a path or address that fsspec knows.

        Raises:
            UnseeError: there is none, or its manifest is damaged.
        """
        store = cls(address)
        if not store.manifest:
            raise UnseeError(f"{address} holds no store: `unsee learn DATASET --out {address}` makes one")
        return store

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Settings, their hash, how many rows are wanted, and every start with its versions; empty if new.

        Raises:
            UnseeError: it is damaged, or of another version's form.
        """
        try:
            kept: dict[str, Any] = json.loads(self.place.read(MANIFEST))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise UnseeError(
                f"{self.place.path(MANIFEST)} is damaged ({error}): name another store"
            ) from None
        if not isinstance(kept, dict) or kept.get("format") != FORMAT:
            raise UnseeError(
                f"{self.place.address} has a form that this unsee does not know: name another store"
            )
        return kept

    @cached_property
    def _looked_at(self) -> tuple[list[str], list[Damage]]:
        whole, damaged = [], []
        for name in self.names:
            damage = self._damage(name, pq.read_metadata)
            if damage is None:
                whole.append(name)
            else:
                damaged.append(damage)
        return whole, damaged

    def _damage(self, name: str, read: Callable[[Any], object]) -> Damage | None:
        """What a part's own bytes say is wrong with it.

        Raises:
            UnseeError: it cannot be read for another reason, which may pass.
        """
        try:
            with self.place.fs.open(self.place.path(name)) as file:
                read(file)
        except FileNotFoundError:
            return Damage(name, "it has gone")
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            if getattr(error, "errno", None) is not None:
                raise UnseeError(
                    f"{self.place.path(name)} cannot be read ({_one_line(error)}): try again"
                ) from error
            return Damage(name, _one_line(error))
        return None

    @property
    def parts(self) -> list[str]:
        """The names of the parts that can be read."""
        return self._looked_at[0]

    @property
    def damaged(self) -> list[Damage]:
        """The parts that cannot be read, as far as their ends tell; `checked` reads them whole."""
        return self._looked_at[1]

    def dataset(self) -> pads.Dataset:
        """All rows as a PyArrow data set, for filters and columns: nothing is read before it is asked for."""
        paths = [self.place.path(name) for name in self.parts]
        return pads.dataset(paths, schema=SCHEMA, format=_CHECKING, filesystem=self.place.fs)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of all rows, in the order of the data set; all but the maps unless told.

        Raises:
            UnseeError: a column that is none, or a part whose checksum is wrong.
        """
        wanted = PLAIN if columns is None else list(columns)
        for name in wanted:
            if name not in SCHEMA.names:
                raise UnseeError(f"a store has no column {name!r}; there are {', '.join(SCHEMA.names)}")
        with self._checking():
            tables = [self._columns(name, wanted) for name in self.parts]
        return pa.concat_tables(tables) if tables else SCHEMA.empty_table().select(wanted)

    def _columns(self, part: str, columns: Sequence[str]) -> pa.Table:
        """Columns of one part; nothing of it is kept, nor read beside them."""
        with self.place.fs.open(self.place.path(part)) as file:
            table = pq.read_table(file, columns=columns, page_checksum_verification=True, pre_buffer=False)
        return table.replace_schema_metadata(None).select(columns)

    def __len__(self) -> int:
        return int(self.dataset().count_rows())

    def keys_of(self, part: str) -> list[tuple[str, str]]:
        """The (id, asked) of a part's rows, in order."""
        table = self._columns(part, ["id", "asked"])
        return list(zip(table["id"].to_pylist(), table["asked"].to_pylist(), strict=True))

    def count_errors(self) -> int:
        """How many rows say why there is no map."""
        return int(self.dataset().count_rows(filter=pads.field("error").is_valid()))

    @property
    def proven(self) -> bool:
        """Whether any row has a map."""
        return self.count_errors() < len(self)

    def parts_with_errors(self) -> list[str]:
        """The parts that hold such rows."""
        found = []
        for name in self.parts:
            column = self._columns(name, ["error"])["error"]
            if column.null_count < len(column):
                found.append(name)
        return found

    def rows(self, ids: Sequence[str] | None = None, maps: bool = True) -> Iterator[dict[str, Any]]:
        """Rows as dictionaries, with the map as `saliency` takes it or without it; all, or of some pictures.

        A few rows are in memory at a time.

        Raises:
            UnseeError: a part whose checksum is wrong.
        """
        chosen = None if ids is None else pads.field("id").isin(list(ids))
        with self._checking():
            if not maps:
                for batch in self.dataset().to_batches(columns=PLAIN, filter=chosen):
                    yield from batch.to_pylist()
                return
            for batch in self.dataset().to_batches(filter=chosen, batch_size=64, batch_readahead=1):
                yield from _with_maps(batch)

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """Say it plainly where bytes are not what was written."""
        try:
            yield
        except (pa.ArrowInvalid, OSError) as error:
            raise UnseeError(
                f"{self.place.address} is damaged ({_one_line(error)}): `unsee status --check` names the "
                "parts, and the command that made the store does them again"
            ) from error

    @property
    def bytes(self) -> int:
        """What the parts take."""
        return sum(int(self.place.fs.size(self.place.path(name))) for name in self.names)

    def find(self, id: str) -> list[dict[str, Any]]:
        """The rows of one picture, one for each target.

        Raises:
            UnseeError: there is none.
        """
        found = list(self.rows([id]))
        if found:
            return found
        known = list(dict.fromkeys(self.table(["id"])["id"].to_pylist()))
        close = difflib.get_close_matches(id, known, n=3) or known[:3]
        hint = f"such as {', '.join(map(repr, close))}" if close else "it is empty"
        raise UnseeError(f"{self.place.address} has no picture {id!r} among its {len(known)}, {hint}")

    def map_of(self, row: Mapping[str, Any]) -> Float[np.ndarray, "h w"]:
        """The map of a row, float32: a learned mask in [0,1] where 1 keeps, or a saliency in its own units.

        Raises:
            UnseeError: the row says why there is none, or was read without it.
        """
        if "mask" not in row:
            raise UnseeError(
                f"the row of {row['id']} was read without its map: take it from rows() or find()"
            )
        if row["mask"] is None:
            raise UnseeError(f"{row['id']} has no map: {row['error']}")
        values: np.ndarray = (
            np.asarray(row["mask"], np.float32).reshape(row["mask_shape"]) * row["mask_scale"]
        )
        return values.astype(np.float32)

    def saliency(self, row: Mapping[str, Any]) -> Float[np.ndarray, "h w"]:
        """The map of a row, float32, high where it is salient."""
        values = self.map_of(row)
        deletes = self.manifest["settings"].get("game") == "deletion"
        return 1 - values if deletes else values

    def checked(self) -> Iterator[Damage | None]:
        """Read every part whole, checksums too: for each what is wrong with it, or None."""
        for name in self.names:
            yield self._damage(name, partial(pq.read_table, page_checksum_verification=True))

    def add(self, number: int, rows: Sequence[Row], notes: Mapping[str, str]) -> str:
        """Write rows as one part, whole or not at all; returns its name.

        The name is made from `number`, the part's place in the run, and the rows' keys: the same rows
        written twice are there once.
        """
        name = part_name(number, [row.key for row in rows])
        self.place.write(name, encoded(rows, dict(notes)))
        return name

    def belongs_to(self, run: str) -> bool:
        """Whether no run has been started on the store since this one."""
        return bool(self.manifest and self.manifest["starts"][-1][RUN] == run)

    def keep(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest."""
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        self.place.write(MANIFEST, text.encode())


def _with_maps(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Rows with their maps as arrays, which no list of Python numbers is made of."""
    lists = batch.column("mask")
    for number, row in enumerate(batch.drop_columns(["mask"]).to_pylist()):
        flat = lists[number].values
        yield row | {"mask": None if flat is None else flat.to_numpy(zero_copy_only=False)}


def part_name(number: int, keys: Sequence[tuple[str, str]]) -> str:
    """The name of the part with these rows, the number-th of its run."""
    digest = sha256(json.dumps([list(key) for key in keys]).encode()).hexdigest()
    return f"{_PART}{number:08d}-{digest[:12]}{_END}"


def part_number(name: str) -> int:
    """The number of the portion that a part is of."""
    return int(name.removeprefix(_PART).split("-")[0])


def _counted(names: Sequence[str]) -> str:
    return "1 part" if len(names) == 1 else f"{len(names)} parts"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
