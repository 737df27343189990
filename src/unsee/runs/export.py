"""A store's maps as files of their own, or its other columns as a table."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

from unsee.choices import look_up
from unsee.datasets.files import ARRAYS, SUFFIXES
from unsee.drawing.panels import colored, overlaid
from unsee.errors import UnseeError
from unsee.files import write_whole
from unsee.images import encoded_png
from unsee.runs.render import renderer
from unsee.runs.rendered_row import resized, unit_saliency
from unsee.runs.rows import PLAIN
from unsee.runs.store import Store

Draw = Callable[[Mapping[str, Any]], torch.Tensor | np.ndarray]
_UNSAFE = '%\\:*?"<>|'


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Args:
        written: rows that were written.
        without_map: rows that were left out because they have no map.
        problems: for each row that could not be drawn, why; its photo is gone or has changed.
    """

    written: int
    without_map: int
    problems: tuple[str, ...]


ExportProgress = Callable[[Exported], None]
"""Called after each row, with the result up to then."""


def export(
    store: Store,
    out: str | Path,
    form: str = "png",
    *,
    force: bool = False,
    progress: ExportProgress | None = None,
) -> Exported:
    """Write a file for each row that has a map, named by the row's id; or one CSV file for all rows.

    Args:
        store: the store to export.
        out: a folder for the files; for "csv" a folder or a .csv file.
        form: "png" (heatmaps at the network's input size), "overlay" (heatmaps over the photos), "npy"
            (the maps as they are stored) or "csv" (all columns except the maps).
        force: write into a folder that is not empty, and replace files.
        progress: called after each row.

    Raises:
        UnseeError: an unknown form, or `out` exists and is not empty, or cannot be written to.
    """
    look_up(dict.fromkeys(FORMATS), form, "format")
    folder = Path(out)
    table = form == "csv" and folder.suffix.lower() == ".csv"
    done = Exported(0, 0, ())
    try:
        if folder.exists() and not force and (table or not folder.is_dir() or any(folder.iterdir())):
            raise UnseeError(
                f"{folder} exists already and is not empty: force=True (--force) replaces files in it, "
                "out=… (--out) writes elsewhere"
            )
        (folder.parent if table else folder).mkdir(parents=True, exist_ok=True)
        rows = (
            _write_csv(store, folder if table else folder / "rows.csv")
            if form == "csv"
            else _write_maps(store, form, folder)
        )
        for problem in rows:
            done = _counted(done, problem)
            if progress is not None:
                progress(done)
    except OSError as error:
        raise UnseeError(f"{folder} cannot be written to ({error.strerror or error})") from error
    return done


_WRITTEN, _NO_MAP = "", None


def _counted(done: Exported, problem: str | None) -> Exported:
    if problem is _NO_MAP:
        return Exported(done.written, done.without_map + 1, done.problems)
    if problem:
        return Exported(done.written, done.without_map, (*done.problems, problem))
    return Exported(done.written + 1, done.without_map, done.problems)


def _write_csv(store: Store, file: Path) -> Iterator[str | None]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, PLAIN)
    writer.writeheader()
    for row in store.rows(maps=False):
        writer.writerow({name: _cell(value) for name, value in row.items()})
        yield _WRITTEN
    write_whole(file, text.getvalue().encode())


def _cell(value: object) -> object:
    """Lists joined by bars, since names contain spaces; terms as name=value."""
    if isinstance(value, Mapping):
        return "|".join(f"{name}={part}" for name, part in value.items())
    return "|".join(map(str, value)) if isinstance(value, list) else value


def _write_maps(store: Store, form: str, folder: Path) -> Iterator[str | None]:
    """Write a file for each row; gives for each `_WRITTEN`, `_NO_MAP` or why it could not be drawn."""
    draw = _DRAWN[form](store)
    name_of = _file_names(store)
    ending = "npy" if form == "npy" else "png"
    for row in store.rows():
        if row["error"] is not None:
            yield _NO_MAP
            continue
        try:
            drawn = draw(row)
        except UnseeError as error:
            yield str(error)
            continue
        file = folder / f"{safe_path(name_of(row))}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, encoded_png(drawn) if isinstance(drawn, torch.Tensor) else _encoded_npy(drawn))
        yield _WRITTEN


def _encoded_npy(array: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    np.save(encoded, array)
    return encoded.getvalue()


def _as_stored(store: Store) -> Draw:
    return store.map_of


def _heat_map(store: Store) -> Draw:
    size = store.manifest["settings"]["input_size"]
    return lambda row: colored(resized(unit_saliency(store, row), (size[0], size[1])))


def _overlay(store: Store) -> Draw:
    render = renderer(store)

    def draw(row: Mapping[str, Any]) -> torch.Tensor:
        rendered = render(row)
        return overlaid(rendered.image, rendered.saliency)

    return draw


_DRAWN = {"png": _heat_map, "overlay": _overlay, "npy": _as_stored}
FORMATS = (*_DRAWN, "csv")
"""What a store can be exported as."""


def _file_names(store: Store) -> Callable[[Mapping[str, Any]], str]:
    """The name of a row's file: its id without an image's suffix, unless two files would share that name."""
    several = store.manifest["settings"]["target"] == "each"
    ids = dict.fromkeys(store.table(["id"])["id"].to_pylist())
    count = Counter(map(_without_suffix, ids))

    def name(row: Mapping[str, Any]) -> str:
        bare = _without_suffix(row["id"])
        chosen = bare if count[bare] == 1 and (bare == row["id"] or bare not in ids) else row["id"]
        return f"{chosen}@{row['asked']}" if several else chosen

    return name


def _without_suffix(id: str) -> str:
    suffix = PurePosixPath(id).suffix
    return id.removesuffix(suffix) if suffix.lower() in (*SUFFIXES, ARRAYS) else id


def safe_path(id: str) -> str:
    """An id as a path below a folder: slashes stay, and everything that could lead elsewhere is quoted."""
    return "/".join(_quoted(part) for part in id.split("/"))


def _quoted(part: str) -> str:
    """One step of a path. A step of dots only would lead upwards, and an empty one would be no step."""
    if not part.strip("."):
        return "%2E" * len(part) or "%"
    return "".join(c if c.isprintable() and c not in _UNSAFE else quote(c) for c in part)
