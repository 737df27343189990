"""The files that `unsee export` writes."""

import csv
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np

from unsee.errors import UnseeError
from unsee.figures.panels import colored
from unsee.images import save_png
from unsee.runs.proof import unit_saliency
from unsee.runs.rows import PLAIN
from unsee.runs.store import Store

FORMATS = ("png", "npy", "csv")
_UNSAFE = '%\\:*?"<>|'


def export(store: Store, form: str, folder: Path, force: bool) -> Iterator[str]:
    """Write maps as PNG or NPY, a file each, or all columns but the maps as rows.csv; gives each row's id.

    Raises:
        UnseeError: a form that is none, or a folder that holds something or cannot be written to.
    """
    if form not in FORMATS:
        raise UnseeError(f"a store is exported as {', '.join(FORMATS)}, not {form!r}")
    try:
        if folder.exists() and not force and any(folder.iterdir()):
            raise UnseeError(f"{folder} holds something: --force writes into it, --out writes elsewhere")
        folder.mkdir(parents=True, exist_ok=True)
        yield from _csv(store, folder / "rows.csv") if form == "csv" else _maps(store, form, folder)
    except OSError as error:
        raise UnseeError(f"{folder} cannot be written to ({error.strerror or error})") from error


def _csv(store: Store, file: Path) -> Iterator[str]:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, PLAIN)
        writer.writeheader()
        for row in store.rows(maps=False):
            writer.writerow({name: _cell(value) for name, value in row.items()})
            yield row["id"]


def _cell(value: object) -> object:
    """Lists as words with spaces between them."""
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _maps(store: Store, form: str, folder: Path) -> Iterator[str]:
    several = store.manifest["settings"]["target"] == "each"
    for row in store.rows():
        if row["error"] is not None:
            continue
        name = f"{row['id']}@{row['asked']}" if several else row["id"]
        file = folder / f"{safe(name)}.{form}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if form == "npy":
            np.save(file, store.map_of(row))
        else:
            save_png(file, colored(unit_saliency(store, row)))
        yield row["id"]


def safe(id: str) -> str:
    """An id as a path below a folder: its slashes stay, what else could lead elsewhere is quoted."""
    return "/".join(_quoted(part) for part in id.split("/"))


def _quoted(part: str) -> str:
    """A name of one step; one of dots alone, or of nothing, would be no step, or one upwards."""
    if not part.strip("."):
        return "%2E" * len(part) or "%"
    return "".join(c if c.isprintable() and c not in _UNSAFE else quote(c) for c in part)
