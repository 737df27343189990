"""The files that `unsee export` writes."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import torch

from unsee.cli.storing import proofs_of
from unsee.datasets.files import SUFFIXES
from unsee.drawing.panels import colored, overlaid
from unsee.errors import UnseeError
from unsee.images import save_png
from unsee.runs.rendered_row import resized, unit_saliency
from unsee.runs.rows import PLAIN
from unsee.runs.store import Store

FORMATS = ("png", "overlay", "npy", "csv")
_UNSAFE = '%\\:*?"<>|'


class Exported(NamedTuple):
    """Whether a row was written, and what kept it from that where it has a map."""

    written: bool
    problem: str = ""


def export(store: Store, form: str, out: Path, force: bool) -> Iterator[Exported]:
    """Write maps as PNG, over their photos or as NPY, a file each, or all columns but the maps as a CSV file.

    Gives what came of each row; a row without a map is in the table alone.

    Raises:
        UnseeError: a form that is none, or a folder that holds something or cannot be written to.
    """
    if form not in FORMATS:
        raise UnseeError(f"a store is exported as {', '.join(FORMATS)}, not {form!r}")
    table = form == "csv" and out.suffix.lower() == ".csv"
    try:
        if out.exists() and not force and (table or not out.is_dir() or any(out.iterdir())):
            raise UnseeError(f"{out} holds something: --force writes over it, --out writes elsewhere")
        (out.parent if table else out).mkdir(parents=True, exist_ok=True)
        if form == "csv":
            yield from _csv(store, out if table else out / "rows.csv")
        else:
            yield from _maps(store, form, out)
    except OSError as error:
        raise UnseeError(f"{out} cannot be written to ({error.strerror or error})") from error


def _csv(store: Store, file: Path) -> Iterator[Exported]:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, PLAIN)
        writer.writeheader()
        for row in store.rows(maps=False):
            writer.writerow({name: _cell(value) for name, value in row.items()})
            yield Exported(True)


def _cell(value: object) -> object:
    """Lists as words with bars between them: names hold spaces."""
    return "|".join(map(str, value)) if isinstance(value, list) else value


def _maps(store: Store, form: str, folder: Path) -> Iterator[Exported]:
    draw = {"npy": _plain, "png": _heat, "overlay": _overlay}[form](store)
    name_of = _names(store)
    ending = "npy" if form == "npy" else "png"
    for row in store.rows():
        if row["error"] is not None:
            yield Exported(False)
            continue
        try:
            drawn = draw(row)
        except UnseeError as error:
            yield Exported(False, str(error))
            continue
        file = folder / f"{safe(name_of(row))}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(drawn, torch.Tensor):
            save_png(file, drawn)
        else:
            np.save(file, drawn)
        yield Exported(True)


Draw = Callable[[Mapping[str, Any]], torch.Tensor | np.ndarray]


def _plain(store: Store) -> Draw:
    return store.map_of


def _heat(store: Store) -> Draw:
    size = store.manifest["settings"]["input_size"]
    return lambda row: colored(resized(unit_saliency(store, row), (size[0], size[1])))


def _overlay(store: Store) -> Draw:
    proofs = proofs_of(store)

    def draw(row: Mapping[str, Any]) -> torch.Tensor:
        proof = proofs(row)
        return overlaid(proof.image, proof.saliency)

    return draw


def _names(store: Store) -> Callable[[Mapping[str, Any]], str]:
    """What a row's file is called: its id without a picture's ending, unless two would be the same."""
    several = store.manifest["settings"]["target"] == "each"
    ids = dict.fromkeys(store.table(["id"])["id"].to_pylist())
    count = Counter(map(_bare, ids))

    def name(row: Mapping[str, Any]) -> str:
        bare = _bare(row["id"])
        chosen = bare if count[bare] == 1 and (bare == row["id"] or bare not in ids) else row["id"]
        return f"{chosen}@{row['asked']}" if several else chosen

    return name


def _bare(id: str) -> str:
    suffix = PurePosixPath(id).suffix
    return id.removesuffix(suffix) if suffix.lower() in SUFFIXES else id


def safe(id: str) -> str:
    """An id as a path below a folder: its slashes stay, what else could lead elsewhere is quoted."""
    return "/".join(_quoted(part) for part in id.split("/"))


def _quoted(part: str) -> str:
    """A name of one step; one of dots alone, or of nothing, would be no step, or one upwards."""
    if not part.strip("."):
        return "%2E" * len(part) or "%"
    return "".join(c if c.isprintable() and c not in _UNSAFE else quote(c) for c in part)
