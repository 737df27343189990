"""A store: a folder of Parquet parts and a manifest, read lazily and by column."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from jaxtyping import Float

from unsee.choices import nearest
from unsee.errors import UnseeError
from unsee.format_1 import settings_of_format_2
from unsee.runs.parts import Damage, DamagedError, is_part, opened, part_name, part_number, read, tables
from unsee.runs.rows import FORMAT, PLAIN, SCHEMA, SCHEMA_OF_FORMAT_1, Row, dictionaries, encoded
from unsee.runs.storage import Storage
from unsee.runs.summary import SUMMARY_COLUMNS, summarise
from unsee.words import counted

MANIFEST = "_manifest.json"
RUN = "run"
"""The manifest's key for the name of one start of a run."""
HASH = "settings_hash"
"""The key, in the manifest and in parts, for the hash of the settings."""
_SCHEMAS = {1: SCHEMA_OF_FORMAT_1, FORMAT: SCHEMA}
_NEEDED = {"settings": dict, HASH: str, "part_size": int, "rows_wanted": int, "left_out": int, "starts": list}
_CHECKING = pads.ParquetFileFormat(
    default_fragment_scan_options=pads.ParquetFragmentScanOptions(page_checksum_verification=True)
)


class _PartIndex(NamedTuple):
    """The number of rows in each part that is read, the damaged parts, and those whose rows a larger part
    has too."""

    rows: dict[str, int]
    damaged: list[Damage]
    twins: list[str]


class Store:
    """The results of a method over a data set, as `unsee learn` writes them.

    The list of parts and the manifest are read once: open the store again to see newer parts. Damaged parts
    are listed in `damaged` and left out of everything that is read. Stores of format 1 are read as if they
    were of format 2.
    """

    def __init__(self, address: str | Path, known: Iterable[Damage] = ()) -> None:
        self.storage = Storage.at(address)
        self.names = [name for name in self.storage.names() if is_part(name)]
        self._known = {damage.part: damage for damage in known}

    def __repr__(self) -> str:
        return f"<store {self.storage.address}: {_counted(self.names)}>"

    @classmethod
    def open(cls, address: str | Path) -> "Store":
        """The store at a path, or at an address that fsspec knows.

        Raises:
            UnseeError: there is no store, or its manifest is damaged.
        """
        store = cls(address)
        if not store.manifest:
            raise UnseeError(f"{address} holds no store: `unsee learn DATASET --out {address}` makes one")
        return store

    def without(self, damaged: Iterable[Damage]) -> "Store":
        """The store opened again, with these parts left out of everything that is read."""
        return Store(self.storage.address, damaged)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Settings, their hash, the number of rows wanted, and each start with its versions; empty if new.

        Raises:
            UnseeError: it is damaged, or of a format that this version cannot read.
        """
        try:
            kept: dict[str, Any] = json.loads(self.storage.read(MANIFEST))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UnseeError(
                f"{self.storage.path(MANIFEST)} is damaged ({error}): name another store"
            ) from None
        if not isinstance(kept, dict) or kept.get("format") not in _SCHEMAS:
            raise UnseeError(
                f"{self.storage.address} has a format that this version of unsee does not know: "
                "name another store"
            )
        lacking = [name for name, kind in _NEEDED.items() if not isinstance(kept.get(name), kind)]
        if lacking:
            raise UnseeError(
                f"{self.storage.path(MANIFEST)} is damaged (no {', '.join(lacking)}): name another store"
            )
        if kept["format"] == 1 and "mask" in kept["settings"]:
            kept["settings"]["mask"] = settings_of_format_2(kept["settings"]["mask"])
        return kept

    @property
    def format(self) -> int:
        """The format of its parts; the one that is written for a new store."""
        return int(self.manifest.get("format", FORMAT))

    @cached_property
    def _index(self) -> _PartIndex:
        rows, damaged = {}, list(self._known.values())
        for name in self.names:
            if name not in self._known:
                try:
                    with self._opened(name) as file:
                        rows[name] = file.metadata.num_rows
                except DamagedError as error:
                    damaged.append(error.damage)
        largest = {part_number(name): name for name in sorted(rows, key=lambda name: rows[name])}
        twins = [name for name in rows if largest[part_number(name)] != name]
        used = {name: count for name, count in rows.items() if name not in twins}
        return _PartIndex(used, sorted(damaged, key=lambda damage: damage.part), twins)

    @contextmanager
    def _opened(self, name: str) -> Iterator[pq.ParquetFile]:
        """A part, opened for reading.

        Raises:
            DamagedError: its bytes are not those that were written, or it belongs to other settings.
            UnseeError: it cannot be read for another reason, perhaps a temporary one.
        """
        with opened(self.storage, name) as file:
            own = (file.metadata.metadata or {}).get(HASH.encode(), b"").decode()
            if own != self.manifest.get(HASH, own):
                reason = f"it was made with other settings, {own[:12] or 'unknown'}"
                raise DamagedError(self.storage.address, Damage(name, reason))
            yield file

    @property
    def parts(self) -> list[str]:
        """The names of the parts that are read."""
        return list(self._index.rows)

    @property
    def damaged(self) -> list[Damage]:
        """The parts that cannot be read, as far as their ends tell; `checked` reads them whole."""
        return self._index.damaged

    @property
    def twins(self) -> list[str]:
        """Parts whose rows are in a larger part too, which a kill can leave; they are not read."""
        return self._index.twins

    def dataset(self) -> pads.Dataset:
        """All rows as a PyArrow data set, read lazily, with the columns of the store's own format."""
        paths = [self.storage.path(name) for name in self.parts]
        own = None if self.storage.local else self.storage.fs
        return pads.dataset(paths, schema=_SCHEMAS[self.format], format=_CHECKING, filesystem=own)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of all rows, in the order of the data set; by default all columns except the maps.

        Raises:
            UnseeError: an unknown column, or a part whose checksum is wrong.
        """
        wanted = PLAIN if columns is None else list(columns)
        for name in wanted:
            if name not in SCHEMA.names:
                raise UnseeError(f"a store has no column {name!r}; available: {', '.join(SCHEMA.names)}")
        tables = [self.columns(name, wanted) for name in self.parts]
        return pa.concat_tables(tables) if tables else SCHEMA.empty_table().select(wanted)

    def columns(self, part: str, columns: Sequence[str]) -> pa.Table:
        """Columns of one part; no other column is read.

        Raises:
            UnseeError: its checksum is wrong.
        """
        with self._opened(part) as file:
            return read(file, columns)

    def __len__(self) -> int:
        return sum(self._index.rows.values())

    def keys_of(self, part: str) -> list[tuple[str, str]]:
        """The (id, asked) of a part's rows, in order."""
        table = self.columns(part, ["id", "asked"])
        return list(zip(table["id"].to_pylist(), table["asked"].to_pylist(), strict=True))

    def count_errors(self) -> int:
        """The number of rows without a map, which have an error instead."""
        return sum(self._errors_in(name) for name in self.parts)

    def parts_with_errors(self) -> list[str]:
        """The parts that have rows with an error."""
        return [name for name in self.parts if self._errors_in(name)]

    def _errors_in(self, part: str) -> int:
        column = self.columns(part, ["error"])["error"]
        return len(column) - int(column.null_count)

    def rows(self, ids: Sequence[str] | None = None, maps: bool = True) -> Iterator[dict[str, Any]]:
        """Rows as dictionaries, of all images or of those with the given ids; with or without their maps.

        Only a few rows are in memory at a time.

        Raises:
            UnseeError: a part whose checksum is wrong.
        """
        for name in self.parts:
            with self._opened(name) as file:
                for table in tables(file, SCHEMA.names if maps else PLAIN, ids):
                    yield from dictionaries(table)

    @property
    def bytes(self) -> int:
        """The size of all parts."""
        return sum(int(self.storage.fs.size(self.storage.path(name))) for name in self.names)

    def find(self, id: str) -> list[dict[str, Any]]:
        """The rows of one image, one for each target.

        Raises:
            UnseeError: there are none; the line suggests similar ids.
        """
        found = list(self.rows([id]))
        if found:
            return found
        known = list(dict.fromkeys(self.table(["id"])["id"].to_pylist()))
        close = nearest(id, known) or known[:3]
        hint = f"similar ids: {', '.join(map(repr, close))}" if close else "the store is empty"
        raise UnseeError(f"{self.storage.address} has no image {id!r} among its {len(known)}; {hint}")

    def map_of(self, row: Mapping[str, Any]) -> Float[np.ndarray, "h w"]:
        """The map of a row, float32: a learned mask in [0,1] where 1 keeps, or saliency in its own units.

        Raises:
            UnseeError: the row has no map, or was read without it.
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
        """The saliency map of a row, float32: high values are salient, whichever the method."""
        values = self.map_of(row)
        deletes = self.manifest["settings"].get("game") == "deletion"
        return 1 - values if deletes else values

    def summary(self, check: bool = False) -> dict[str, Any]:
        """What the store holds, as JSON values; see `unsee.runs.summary.summarise`.

        Args:
            check: read each part completely, with its checksums, to find damage in its data too.

        Returns:
            Besides what it names: "damaged" parts, "twins", how many "parts" there are, and their "bytes".
        """
        damage = [one for one in self.checked() if one is not None] if check else []
        store = self.without(damage) if check else self
        table = store.table(list(SUMMARY_COLUMNS))
        files = {
            "damaged": list(map(str, store.damaged)),
            "twins": store.twins,
            "parts": len(store.parts),
            "bytes": store.bytes,
        }
        return summarise(table, store.manifest, store.storage.address, files)

    def checked(self) -> Iterator[Damage | None]:
        """Read each part completely, with its checksums, and give its damage or None."""
        for name in self.names:
            try:
                with self._opened(name) as file:
                    for _ in tables(file, SCHEMA.names):
                        pass
            except DamagedError as error:
                yield error.damage
            else:
                yield None

    def add(self, number: int, rows: Sequence[Row], notes: Mapping[str, str]) -> str:
        """Write rows as one part, completely or not at all, and return its name.

        The name is made from the number of the portion and the keys of the rows, so rows that are written
        twice are stored once.
        """
        name = part_name(number, [row.key for row in rows])
        self.storage.write(name, encoded(rows, dict(notes)))
        return name

    def belongs_to(self, run: str) -> bool:
        """Whether this run is the last that was started on the store."""
        return bool(self.manifest and self.manifest["starts"][-1][RUN] == run)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest."""
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        self.storage.write(MANIFEST, text.encode())


def _counted(names: Sequence[str]) -> str:
    return counted(len(names), "part")
