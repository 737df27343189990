"""One row for each image and target, and the Parquet format in which rows are stored."""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from unsee.records import finite

FORMAT = 2
"""The format that is written. In format 1 the terms of an objective had a column each."""

GROUP = 64
"""The largest number of rows in a row group, the unit that is read for one map."""

TERMS = "objective_terms"
TOKEN_CHECK = "token_check"
LATER = ("attempts", TOKEN_CHECK)
"""Columns that the first stores of format 2 lack; they are read as null there."""

_TERM = pa.struct([pa.field("name", pa.string(), nullable=False), ("value", pa.float32())])
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("asked", pa.string(), nullable=False),
        ("photo", pa.string()),
        ("photo_size", pa.list_(pa.int32())),
        ("label", pa.int32()),
        ("target", pa.list_(pa.int32())),
        ("target_name", pa.list_(pa.string())),
        ("mask", pa.list_(pa.float16())),
        ("mask_shape", pa.list_(pa.int32())),
        ("mask_scale", pa.float32()),
        ("score", pa.float32()),
        ("perturbed_score", pa.float32()),
        ("reference_score", pa.float32()),
        ("suppression", pa.float32()),
        ("area", pa.float32()),
        ("objective", pa.float32()),
        (TERMS, pa.list_(_TERM)),
        ("evaluations", pa.int32()),
        ("attempts", pa.int32()),
        ("verdict", pa.string()),
        (TOKEN_CHECK, pa.string()),
        ("seconds", pa.float32()),
        ("settings_hash", pa.string()),
        ("file_hash", pa.string()),
        ("error", pa.string()),
    ]
)
"""The columns of a store, explained in `docs/stores.md`.

The terms of an objective are a map, name → value, kept as a list of pairs: Hugging Face datasets cannot read
Parquet's own map type. The check of tokens is JSON, since its parts depend on the network.
"""

PLAIN = [name for name in SCHEMA.names if name != "mask"]
"""All columns except the maps."""
_WITH_STATISTICS = ["id", "label"]
_WITH_DICTIONARY = ["asked", "label", "verdict", "settings_hash"]
_TERMS_OF_FORMAT_1 = {"score": "objective_score", "l1": "objective_l1", "tv": "objective_tv"}

SCHEMA_OF_FORMAT_1 = pa.schema(
    [
        part
        for field in SCHEMA
        if field.name not in LATER
        for part in (
            [pa.field(old, pa.float32()) for old in _TERMS_OF_FORMAT_1.values()]
            if field.name == TERMS
            else [field]
        )
    ]
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """The result for one image and target, with the names and types of `SCHEMA`.

    Where `error` says why there is no map, most other fields are None.
    """

    id: str
    asked: str
    settings_hash: str
    photo: str | None = None
    photo_size: tuple[int, int] | None = None
    label: int | None = None
    target: tuple[int, ...] | None = None
    target_name: tuple[str, ...] | None = None
    mask: np.ndarray | None = None
    mask_shape: tuple[int, int] | None = None
    mask_scale: float | None = None
    score: float | None = None
    perturbed_score: float | None = None
    reference_score: float | None = None
    suppression: float | None = None
    area: float | None = None
    objective: float | None = None
    objective_terms: Mapping[str, float] | None = None
    evaluations: int | None = None
    attempts: int | None = None
    verdict: str | None = None
    token_check: Mapping[str, Any] | None = None
    seconds: float | None = None
    file_hash: str | None = None
    error: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Identifies a row within its store."""
        return self.id, self.asked


def packed(values: Float[np.ndarray, "h w"]) -> tuple[np.ndarray, float]:
    """A map divided by its largest magnitude, flat, as float16, and that magnitude (1 for a map of zeros).

    Without the division float16 would round small values to zero and make large ones infinite.
    """
    scale = float(np.abs(values).max()) or 1.0
    return (values / scale).astype(np.float16).ravel(), scale


def encoded(rows: Sequence[Row], notes: dict[str, str]) -> bytes:
    """Rows as a Parquet file, with checksums and with `notes` as its metadata."""
    arrays = [_column(field, [getattr(row, field.name) for row in rows]) for field in SCHEMA]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA.with_metadata(notes))
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        row_group_size=GROUP,
        compression="zstd",
        use_dictionary=_WITH_DICTIONARY,
        write_statistics=_WITH_STATISTICS,
        write_page_checksum=True,
    )
    return file.getvalue()


def upgraded(table: pa.Table) -> pa.Table:
    """Columns of format 1 as those of format 2, and those of `LATER` where they are missing; others stay."""
    for name in LATER:
        if name not in table.column_names:
            field = SCHEMA.field(name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    if not set(_TERMS_OF_FORMAT_1.values()) <= set(table.column_names):
        return table
    values = [table[old].to_pylist() for old in _TERMS_OF_FORMAT_1.values()]
    terms = [
        None if set(row) == {None} else dict(zip(_TERMS_OF_FORMAT_1, row, strict=True))
        for row in zip(*values, strict=True)
    ]
    field = SCHEMA.field(TERMS)
    return table.drop_columns(list(_TERMS_OF_FORMAT_1.values())).append_column(field, _column(field, terms))


def as_stored(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns to read from a part with columns `names`, to get `columns` of format 2."""
    there = [name for name in columns if name in names]
    if TERMS not in columns or TERMS in names:
        return there
    return there + list(_TERMS_OF_FORMAT_1.values())


def dictionaries(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows with terms and checks of tokens as dictionaries, and maps as arrays, not lists of numbers."""
    maps = table["mask"] if "mask" in table.column_names else None
    plain = table if maps is None else table.drop_columns(["mask"])
    for number, row in enumerate(plain.to_pylist()):
        pairs = row[TERMS]
        row[TERMS] = None if pairs is None else {pair["name"]: pair["value"] for pair in pairs}
        row[TOKEN_CHECK] = token_check_of(row[TOKEN_CHECK])
        if maps is not None:
            flat = maps[number].values
            row["mask"] = None if flat is None else flat.to_numpy(zero_copy_only=False)
        yield row


def token_check_of(text: str | None) -> dict[str, Any] | None:
    """The check of tokens that a row keeps as JSON; None if there is none."""
    return None if text is None else dict(json.loads(text))


def _column(field: pa.Field, values: Sequence[object]) -> pa.Array:
    if field.name == "mask":
        return _maps([value if isinstance(value, np.ndarray) else None for value in values])
    if field.name == TERMS:
        return pa.array([_pairs(value) for value in values], field.type)
    if field.name == TOKEN_CHECK:
        return pa.array([json.dumps(finite(value)) if value else None for value in values], field.type)
    return pa.array(list(map(_finite, values)), field.type)


def _pairs(terms: object) -> list[dict[str, object]] | None:
    if not isinstance(terms, Mapping):
        return None
    return [{"name": name, "value": _finite(value)} for name, value in terms.items()]


def _maps(column: Sequence[np.ndarray | None]) -> pa.ListArray:
    """Lists of float16, without making a Python object for each pixel."""
    sizes = [0 if values is None else len(values) for values in column]
    present = [values for values in column if values is not None]
    flat = np.concatenate(present) if present else np.empty(0, np.float16)
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
    missing = pa.array([values is None for values in column])
    return pa.ListArray.from_arrays(offsets, pa.array(flat), mask=missing)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
