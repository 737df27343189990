"""A folder with `labels.csv`, which lists images and their classes, and optionally `boxes.json`."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unsee.datasets.files import read_json, read_text, repeated, whole
from unsee.datasets.imagenet.classes import WNIDS, index_of
from unsee.datasets.imagenet.dataset import ImageNet, TableNotes
from unsee.datasets.listed import Listed
from unsee.datasets.sample import Box
from unsee.datasets.xml_boxes import Annotation, Noted, within
from unsee.decoding import shown_name
from unsee.errors import UnseeError

TABLE, BOXES = "labels.csv", "boxes.json"

TableRow = Mapping[str | None, str | list[str] | None]


def read_table(root: Path) -> ImageNet:
    """The images of `labels.csv`, in its order.

    It needs the columns `file`, a path relative to the folder, and `wnid` or `index`; `width` and `height`
    are those of the image that the boxes belong to. `boxes.json` maps files to lists of boxes, half-open
    [x0, y0, x1, y1].

    Raises:
        UnseeError: a column or value is missing or wrong.
    """
    table = root / TABLE
    reader = csv.DictReader(io.StringIO(read_text(table), newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UnseeError(f"{shown_name(table)}, line {reader.line_num}: is not CSV ({error})") from error
    columns = reader.fieldnames or []
    if "file" not in columns or not {"wnid", "index"} & set(columns):
        raise UnseeError(f"{shown_name(table)} needs a column `file` and a column `wnid` or `index`")
    if not rows:
        raise UnseeError(f"{shown_name(table)} lists no images")
    places = [(f"{shown_name(table)}, line {number}", row) for number, row in rows]
    files = tuple(_text(row, "file", where) for where, row in places)
    again = repeated(files)
    if again is not None:
        raise UnseeError(f"{shown_name(table)} lists {again!r} twice")
    targets = tuple(_label(row, where) for where, row in places)
    sizes = {file: _size(row, where) for file, (where, row) in zip(files, places, strict=True)}
    notes = _notes(root / BOXES, dict(zip(files, targets, strict=True)), sizes)
    return ImageNet(Listed(root, files, targets), TableNotes(notes))


def _text(row: TableRow, column: str, where: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        raise UnseeError(f"{where}: has nothing in the column `{column}`")
    return value.strip()


def _whole(row: TableRow, column: str, where: str) -> int:
    text = _text(row, column, where)
    number = whole(text)
    if number is None:
        raise UnseeError(f"{where}: {shown_name(text)!r} in the column `{column}` is not a whole number")
    return number


def _label(row: TableRow, where: str) -> int:
    index = _whole(row, "index", where) if "index" in row else None
    label = index_of(_text(row, "wnid", where), where) if "wnid" in row else index
    if label is None or not 0 <= label < len(WNIDS):
        raise UnseeError(f"{where}: class {label} is not there: ImageNet has classes 0 to {len(WNIDS) - 1}")
    if index not in (None, label):
        raise UnseeError(f"{where}: {WNIDS[label]} is class {label}, not {index}")
    return label


def _size(row: TableRow, where: str) -> tuple[int, int] | None:
    if "width" not in row or "height" not in row:
        return None
    return _whole(row, "width", where), _whole(row, "height", where)


def _notes(
    path: Path, labels: Mapping[str, int], sizes: Mapping[str, tuple[int, int] | None]
) -> dict[str, Annotation]:
    if not path.exists():
        return {}
    boxes = read_json(path)
    if not isinstance(boxes, dict):
        raise UnseeError(f"{shown_name(path)} is not a mapping of files to boxes")
    if boxes and not boxes.keys() & labels:
        raise UnseeError(f"{shown_name(path)} names no file of {TABLE}: give paths as they stand there")
    notes = {}
    for file, found in boxes.items():
        if file in labels:
            shown = f"{shown_name(path)}, {shown_name(file)}"
            several = found if isinstance(found, list) else [found]
            noted = (Noted(WNIDS[labels[file]], _box(box, sizes[file], shown)) for box in several)
            notes[file] = Annotation(path, sizes[file], tuple(noted))
    return notes


def _box(found: Any, size: tuple[int, int] | None, shown: str) -> Box:  # noqa: ANN401
    """A box, cropped to the image."""
    several = found if isinstance(found, list) else []
    numbers = [n for n in several if type(n) in (int, float) and -math.inf < n < math.inf]
    if len(numbers) != 4 or len(several) != 4 or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise UnseeError(f"{shown}: {shown_name(found)} is not a box [x0, y0, x1, y1]")
    box = within((numbers[0], numbers[1], numbers[2], numbers[3]), size)
    if box is None:
        raise UnseeError(f"{shown}: {shown_name(found)} is a box outside of the image")
    return box
