"""What `unsee status` and `unsee show` tell of a store."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from rich.filesize import decimal
from rich.table import Table

from unsee.cli.console import plain
from unsee.datasets.opening import open_dataset
from unsee.datasets.picture import photo_of
from unsee.errors import UnseeError
from unsee.explanation import finite
from unsee.images import Photo, read_photo
from unsee.runs.proof import Proof, proof_of
from unsee.runs.store import Store

_SHOWN = 10
_MEANS = ("score", "perturbed_score", "suppression", "area", "objective", "seconds")


def summary(store: Store, check: bool = False) -> dict[str, Any]:
    """What a store holds, as JSON values; `check` reads every part whole."""
    damaged = [str(d) for d in store.checked() if d is not None] if check else list(map(str, store.damaged))
    table = store.table(["id", "error", *_MEANS])
    failed = table.filter(pc.is_valid(table["error"])).select(["id", "error"]).to_pylist()
    means = {name: pc.mean(table[name]).as_py() for name in _MEANS}
    whole: dict[str, Any] = finite(
        {
            "store": store.place.address,
            "settings": store.manifest["settings"],
            "settings_hash": store.manifest["settings_hash"],
            "rows": len(table),
            "rows_wanted": store.manifest["rows_wanted"],
            "errors": len(failed),
            "failed": [{"id": row["id"], "error": row["error"]} for row in failed],
            "damaged": damaged,
            "parts": len(store.parts),
            "bytes": store.bytes,
            "means": means,
            "starts": store.manifest["starts"],
        }
    )
    return whole


def table_of(found: dict[str, Any]) -> Table:
    """A summary for people."""
    settings, means = found["settings"], found["means"]
    table = Table.grid(padding=(0, 2))
    data = settings["data"]
    how = settings["method"] + (f", preset {settings['preset']}" if "preset" in settings else "")
    lines = {
        "store": f"{found['store']}, {found['parts']} parts, {decimal(found['bytes'])}",
        "data set": " ".join(str(part) for part in (data.get("name"), data.get("split")) if part),
        "network": settings["model"],
        "method": f"{how}, target {settings['target']}, settings {found['settings_hash'][:12]}",
        "rows": f"{found['rows']} of {found['rows_wanted']}, {found['errors']} without a map",
    }
    if means["score"] is not None:
        names = ((n, n.replace("_", " ")) for n in _MEANS)
        lines["means"] = ", ".join(f"{label} {means[n]:.4g}" for n, label in names if means[n] is not None)
    for name, text in lines.items():
        table.add_row(f"[bold]{name}[/]", plain(text))
    for row in found["failed"][:_SHOWN]:
        table.add_row("[yellow]no map[/]", plain(f"{row['id']}: {row['error'].splitlines()[-1]}"))
    if len(found["failed"]) > _SHOWN:
        table.add_row("", f"and {len(found['failed']) - _SHOWN} more: --json lists all")
    for line in found["damaged"]:
        table.add_row("[red]damaged[/]", plain(line) + ": `unsee learn` does it again")
    return table


def proofs(store: Store, ids: Sequence[str]) -> list[Proof]:
    """Rows with their pictures, one for each target.

    Raises:
        UnseeError: an id that the store has not, a row without a map, or a picture that is gone.
    """
    found = []
    for name in ids:
        rows = store.find(name)
        failed = [row for row in rows if row["error"] is not None]
        if failed:
            raise UnseeError(f"{name} has no map: {failed[0]['error'].splitlines()[-1]}")
        photo = _photo(store, rows[0])
        found += [proof_of(store, row, photo) for row in rows]
    return found


def _both_ways(path: str) -> Iterator[Photo]:
    """A file as it is meant to be looked at, and as it is stored."""
    yield read_photo(path)
    yield read_photo(path, upright=False)


def _photo(store: Store, row: dict[str, Any]) -> Photo:
    """The picture of a row: from the data set that the store is of, or else its file."""
    data = store.manifest["settings"]["data"]
    try:
        dataset = open_dataset(data["name"], data.get("split"), data.get("classes", ()))
        for number in range(len(dataset)):
            if dataset.id(number) == row["id"]:
                return photo_of(dataset[number])
    except UnseeError:
        if row["photo"] is not None and Path(row["photo"]).is_file():
            return next(p for p in _both_ways(row["photo"]) if list(p.pixels.shape[1:]) == row["photo_size"])
        raise
    raise UnseeError(f"the picture of {row['id']} is no longer in {data['name']}: bring it back")
