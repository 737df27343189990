"""A text file with an image and its class on each line."""

from pathlib import Path

from unsee.datasets.files import existing_file, existing_folder, lines_of, no_split, whole
from unsee.datasets.listed import Listed
from unsee.decoding import shown_name
from unsee.errors import UnseeError


def open_list(place: str, split: str | None) -> Listed:
    """The images of a list, in its order.

    Each line is `path label`: the last word is the index of the class, everything before it the path, which
    may contain spaces. Paths are relative to the list's folder, or to ROOT if the place is FILE@ROOT.

    Raises:
        UnseeError: there is no such list, it is empty, or a line cannot be parsed or names an image again.
    """
    no_split(split, place)
    file, folder = _place(place)
    lines: dict[str, tuple[int, int]] = {}
    for number, line in lines_of(file):
        path, label = _entry(line, f"{shown_name(file)}, line {number}")
        if path in lines:
            raise UnseeError(f"{shown_name(file)}, line {number}: repeats the image of line {lines[path][0]}")
        lines[path] = number, label
    if not lines:
        raise UnseeError(f"{shown_name(file)} is empty: give `path label` on each line")
    return Listed(folder, tuple(lines), tuple(label for _, label in lines.values()))


def _place(place: str) -> tuple[Path, Path]:
    name, at, root = place.rpartition("@")
    if at and not Path(place).expanduser().is_file():
        return existing_file(name), existing_folder(root)
    file = existing_file(place)
    return file, file.parent


def _entry(line: str, where: str) -> tuple[str, int]:
    path, *words = line.rsplit(maxsplit=1)
    label = whole("".join(words))
    if label is None:
        raise UnseeError(
            f"{where}: must be `path label`, with the label as an index, got {shown_name(line)!r}"
        )
    return path, label
