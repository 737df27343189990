"""What `unsee status` and `unsee show` tell of a store."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from rich.filesize import decimal
from rich.table import Table

from unsee.cli.console import plain
from unsee.datasets.opening import open_dataset
from unsee.datasets.picture import photo_of
from unsee.errors import UnseeError
from unsee.images import Photo, read_photo
from unsee.records import finite
from unsee.runs.job import text_of
from unsee.runs.rendered_row import RenderedRow, photo_changed, render_row
from unsee.runs.store import Store

_SHOWN, _DRAWN = 10, 6
_MEANS = ("score", "perturbed_score", "suppression", "area", "objective", "seconds")


def summary(store: Store, check: bool = False) -> dict[str, Any]:
    """What a store holds, as JSON values; `check` reads every part whole."""
    if check:
        store = store.without([damage for damage in store.checked() if damage is not None])
    table = store.table(["id", "error", *_MEANS])
    failed = table.filter(pc.is_valid(table["error"])).select(["id", "error"]).to_pylist()
    means = {name: pc.mean(table[name]).as_py() for name in _MEANS}
    whole: dict[str, Any] = finite(
        {
            "store": store.storage.address,
            "settings": store.manifest["settings"],
            "settings_hash": store.manifest["settings_hash"],
            "rows": len(table),
            "rows_wanted": store.manifest["rows_wanted"],
            "left_out": store.manifest["left_out"],
            "errors": len(failed),
            "failed": [{"id": row["id"], "error": row["error"]} for row in failed],
            "damaged": list(map(str, store.damaged)),
            "twins": store.twins,
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
    how = settings["method"] + (f", preset {settings['preset']}" if "preset" in settings else "")
    parts = f"{found['parts']} part{'' if found['parts'] == 1 else 's'}"
    lines = {
        "store": f"{found['store']}, {parts}, {decimal(found['bytes'])}",
        "data set": _called(settings["data"]),
        "network": settings["model"],
        "method": f"{how}, target {settings['target']}, settings {found['settings_hash'][:12]}",
        "rows": f"{found['rows']} of {found['rows_wanted']}, {found['errors']} without a map",
    }
    if found["left_out"]:
        lines["left out"] = f"{found['left_out']} pictures that show no class which is asked about"
    if settings["class_map"]:
        lines["class map"] = ", ".join(
            f"{k} → {' '.join(map(str, v))}" for k, v in _few(settings["class_map"])
        )
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
    for name in found["twins"]:
        table.add_row("[yellow]left over[/]", f"{name}, a larger part has its rows: `unsee learn` removes it")
    return table


def _called(data: Mapping[str, Any]) -> str:
    """A data set with its split and classes."""
    classes = f"({', '.join(data['classes'])})" if data.get("classes") else None
    return " ".join(str(part) for part in (data.get("name"), data.get("split"), classes) if part)


def _few(class_map: Mapping[str, Any]) -> list[tuple[str, Any]]:
    few = list(class_map.items())[:_SHOWN]
    more = len(class_map) - len(few)
    return few + ([("and", [f"{more} more"])] if more else [])


def proofs(store: Store, ids: Sequence[str]) -> list[RenderedRow]:
    """Rows with their pictures, one for each target; of the first few pictures where no id is given.

    Raises:
        UnseeError: an id that the store has not, a row without a map, or a picture that is gone.
    """
    proof = proofs_of(store)
    if not ids:
        whole = store.table(["id"]).filter(pc.is_null(store.table(["error"])["error"]))
        ids = list(dict.fromkeys(whole["id"].to_pylist()))[:_DRAWN]
        if not ids:
            raise UnseeError(f"{store.storage.address} has no map yet: there is nothing to show")
    found = []
    for name in ids:
        rows = store.find(name)
        failed = [row for row in rows if row["error"] is not None]
        if failed:
            raise UnseeError(f"{name} has no map: {failed[0]['error'].splitlines()[-1]}")
        found += [proof(row) for row in rows]
    return found


def _as_read(row: Mapping[str, Any]) -> Photo:
    """The photo of a row from its file, upright or as it is stored: as it was when it was looked at.

    Raises:
        UnseeError: it is neither.
    """
    for upright in (True, False):
        photo = read_photo(row["photo"], upright=upright)
        if list(photo.pixels.shape[1:]) == row["photo_size"]:
            return photo
    raise UnseeError(photo_changed(row))


def proofs_of(store: Store) -> Callable[[Mapping[str, Any]], RenderedRow]:
    """What makes a row's pictures: of the data set that the store is of, or else of the picture's file."""
    dataset, numbers, problem = None, {}, ""
    data = store.manifest["settings"]["data"]
    name = str(data.get("name"))
    try:
        dataset = open_dataset(name, data.get("split"), data.get("classes", ()))
        numbers = {text_of(dataset.id(number)): number for number in range(len(dataset))}
    except UnseeError as error:
        problem = str(error)

    def proof(row: Mapping[str, Any]) -> RenderedRow:
        if dataset is not None and row["id"] in numbers:
            return render_row(store, row, photo_of(dataset[numbers[row["id"]]]))
        if row["photo"] is not None and Path(row["photo"]).is_file():
            return render_row(store, row, _as_read(row))
        why = problem or f"it is no longer in {name}: bring it back"
        raise UnseeError(f"the picture of {row['id']} cannot be found: {why}")

    return proof
