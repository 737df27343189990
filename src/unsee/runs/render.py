"""Rows of a store as images, with their photos found again."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from unsee.datasets.dataset import read_as
from unsee.datasets.opening import open_dataset
from unsee.datasets.picture import photo_of
from unsee.errors import UnseeError
from unsee.images import Photo, read_photo
from unsee.pixels import UNIT
from unsee.runs.job import text_of
from unsee.runs.rendered_row import RenderedRow, photo_changed, render_row
from unsee.runs.store import Store

Renderer = Callable[[Mapping[str, Any]], RenderedRow]
_FIRST = 6


def render(store: Store, ids: Sequence[str] = ()) -> list[RenderedRow]:
    """Rows with their images, one for each target.

    Args:
        store: the store that has the rows.
        ids: images by their ids; by default the first six that have a map.

    Raises:
        UnseeError: an unknown id, a row without a map, or a photo that is gone or has changed.
    """
    render_one = renderer(store)
    found = []
    for name in ids or _first_ids(store):
        rows = store.find(name)
        failed = [row for row in rows if row["error"] is not None]
        if failed:
            raise UnseeError(f"{name} has no map: {failed[0]['error'].splitlines()[-1]}")
        found += [render_one(row) for row in rows]
    return found


def renderer(store: Store) -> Renderer:
    """A function that renders rows, with photos from the store's data set or else from the photos' files.

    Raises:
        UnseeError: by the returned function, if a photo cannot be found or is not the one explained.
    """
    dataset, numbers, problem = None, {}, ""
    data = store.manifest["settings"]["data"]
    name = str(data.get("name"))
    form = _form(store)
    try:
        dataset = read_as(open_dataset(name, data.get("split"), data.get("classes", ())), *form)
        numbers = {text_of(dataset.id(number)): number for number in range(len(dataset))}
    except UnseeError as error:
        problem = str(error)

    def render_one(row: Mapping[str, Any]) -> RenderedRow:
        if dataset is not None and row["id"] in numbers:
            return render_row(store, row, photo_of(dataset[numbers[row["id"]]]))
        if row["photo"] is not None and Path(row["photo"]).is_file():
            return render_row(store, row, _photo_from_file(row, *form))
        why = problem or f"it is no longer in {name}: bring it back"
        raise UnseeError(f"the photo of {row['id']} cannot be found: {why}")

    return render_one


def _first_ids(store: Store) -> list[str]:
    table = store.table(["id", "error"])
    with_map = table.filter(pc.is_null(table["error"]))["id"].to_pylist()
    if not with_map:
        raise UnseeError(f"{store.storage.address} has no map yet: there is nothing to show")
    return list(dict.fromkeys(with_map))[:_FIRST]


def _form(store: Store) -> tuple[int, tuple[float, float]]:
    """The channels and the value range of the network that a store's maps are of."""
    settings = store.manifest["settings"]
    low, high = settings.get("value_range", UNIT)
    return len(settings["color"]), (low, high)


def _photo_from_file(row: Mapping[str, Any], channels: int, value_range: tuple[float, float]) -> Photo:
    """The photo of a row from its file: upright, or as its pixels are stored, whichever has the row's size.

    Raises:
        UnseeError: neither has.
    """
    for upright in (True, False):
        photo = read_photo(row["photo"], upright, channels=channels, value_range=value_range)
        if list(photo.pixels.shape[1:]) == row["photo_size"]:
            return photo
    raise UnseeError(photo_changed(row))
