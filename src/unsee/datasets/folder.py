"""A plain folder: all images in it and its subfolders, without classes."""

import os
from collections.abc import Iterator
from pathlib import Path

from unsee.datasets.files import existing_folder, is_picture, no_pictures, no_split
from unsee.datasets.listed import Listed


def open_folder(place: str, split: str | None) -> Listed:
    """All images below a folder, sorted by path; hidden files and folders are left out.

    Raises:
        UnseeError: there is no such folder, it holds no images, or a split was asked for.
    """
    no_split(split, place)
    folder = existing_folder(place)
    files = sorted(path.relative_to(folder).as_posix() for path in _below(folder))
    if not files:
        raise no_pictures(folder)
    return Listed(folder, tuple(files))


def _below(folder: Path) -> Iterator[Path]:
    seen = {os.path.realpath(folder)}
    for top, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [
            name for name in sorted(folders) if not name.startswith(".") and _is_new(top, name, seen)
        ]
        yield from (Path(top, name) for name in names if is_picture(name))


def _is_new(top: str, name: str, seen: set[str]) -> bool:
    """Whether a folder has not been visited yet, under any name."""
    place = os.path.realpath(Path(top, name))
    new = place not in seen
    seen.add(place)
    return new
