"""A plain folder: all images in it and its subfolders, without classes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from unsee.datasets.files import existing_folder, is_array, is_picture, no_pictures, no_split
from unsee.datasets.listed import Listed


def open_folder(place: str, split: str | None) -> Listed:
    """All images below a folder, sorted by path; hidden files and folders are left out.

    If there are none, all .npy files: next to images they may be anything, such as maps of saliency.

    Raises:
        UnseeError: there is no such folder, it holds no images, or a split was asked for.
    """
    no_split(split, place)
    folder = existing_folder(place)
    for suits in (is_picture, is_array):
        files = sorted(path.relative_to(folder).as_posix() for path in _below(folder, suits))
        if files:
            return Listed(folder, tuple(files))
    raise no_pictures(folder)


def _below(folder: Path, suits: Callable[[str], bool]) -> Iterator[Path]:
    seen = {os.path.realpath(folder)}
    for top, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [
            name for name in sorted(folders) if not name.startswith(".") and _is_new(top, name, seen)
        ]
        yield from (Path(top, name) for name in names if suits(name))


def _is_new(top: str, name: str, seen: set[str]) -> bool:
    """Whether a folder has not been visited yet, under any name."""
    place = os.path.realpath(Path(top, name))
    new = place not in seen
    seen.add(place)
    return new
