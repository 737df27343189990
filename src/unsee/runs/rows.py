"""One row for each picture and target, and the Parquet they are kept in."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

GROUP = 64
"""Rows that a row group holds at most: what has to be read for one map."""

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
        ("objective_score", pa.float32()),
        ("objective_l1", pa.float32()),
        ("objective_tv", pa.float32()),
        ("evaluations", pa.int32()),
        ("verdict", pa.string()),
        ("seconds", pa.float32()),
        ("settings_hash", pa.string()),
        ("file_hash", pa.string()),
        ("error", pa.string()),
    ]
)
"""The columns of a store; `docs/stores.md` says what each holds."""

PLAIN = [name for name in SCHEMA.names if name != "mask"]
"""All columns but the maps."""
_SOUGHT = ["id", "label"]
_REPEATED = ["asked", "label", "verdict", "settings_hash"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """What came of one picture and target; the names and types of `SCHEMA`.

    Where `error` says why there is no map, most others are None.
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
    objective_score: float | None = None
    objective_l1: float | None = None
    objective_tv: float | None = None
    evaluations: int | None = None
    verdict: str | None = None
    seconds: float | None = None
    file_hash: str | None = None
    error: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What no two rows of a store share."""
        return self.id, self.asked


def packed(values: Float[np.ndarray, "h w"]) -> tuple[np.ndarray, float]:
    """A map as float16, flat, divided by its largest magnitude, and that magnitude (1 for a map of zeros).

    Else float16 would round small values away, and make large ones infinite.
    """
    scale = float(np.abs(values).max()) or 1.0
    return (values / scale).astype(np.float16).ravel(), scale


def encoded(rows: Sequence[Row], notes: dict[str, str]) -> bytes:
    """Rows as a Parquet file, with checksums and with `notes` as its metadata."""
    columns = [[getattr(row, name) for row in rows] for name in SCHEMA.names]
    arrays = [
        _maps(column) if field.name == "mask" else pa.array(list(map(_finite, column)), field.type)
        for field, column in zip(SCHEMA, columns, strict=True)
    ]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA.with_metadata(notes))
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        row_group_size=GROUP,
        compression="zstd",
        use_dictionary=_REPEATED,
        write_statistics=_SOUGHT,
        write_page_checksum=True,
    )
    return file.getvalue()


def _maps(column: Sequence[np.ndarray | None]) -> pa.ListArray:
    """Lists of float16 without a Python object for each pixel."""
    sizes = [0 if values is None else len(values) for values in column]
    there = [values for values in column if values is not None]
    flat = np.concatenate(there) if there else np.empty(0, np.float16)
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
    missing = pa.array([values is None for values in column])
    return pa.ListArray.from_arrays(offsets, pa.array(flat), mask=missing)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
