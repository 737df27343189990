"""Helpers of the readers: folders, image files, text files and splits."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from unsee.decoding import shown_name
from unsee.errors import UnseeError

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".pgm",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
    ".avif",
    ".jp2",
)
"""File name extensions of images, in upper or lower case."""
ARRAYS = ".npy"
"""The extension of arrays, which are read as images where a folder holds no others."""


def is_picture(path: str) -> bool:
    """Whether a file's name is that of an image; hidden files do not count."""
    return path.lower().endswith(SUFFIXES) and not os.path.basename(path).startswith(".")  # noqa: PTH119


def is_array(path: str) -> bool:
    """Whether a file's name is that of an array; hidden files do not count."""
    return path.lower().endswith(ARRAYS) and not os.path.basename(path).startswith(".")  # noqa: PTH119


def existing_folder(place: str) -> Path:
    """An existing folder; `~` is the user's home.

    Raises:
        UnseeError: there is no such folder.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return folder
    problem = "is not a folder" if folder.exists() else "does not exist"
    raise UnseeError(f"{shown_name(folder)} {problem}: give a folder of images")


def existing_file(place: str) -> Path:
    """An existing file; `~` is the user's home.

    Raises:
        UnseeError: there is no such file.
    """
    file = Path(place).expanduser()
    if file.is_file():
        return file
    problem = "is not a file" if file.exists() else "does not exist"
    raise UnseeError(f"{shown_name(file)} {problem}: check the path")


def folders_in(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones are left out.

    Raises:
        UnseeError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != ".")
    except OSError as error:
        raise UnseeError(f"{shown_name(folder)} cannot be listed ({error.strerror}): check it") from error


def no_pictures(folder: Path) -> UnseeError:
    """The error for a folder without images."""
    return UnseeError(
        f"{shown_name(folder)} holds no images ({' '.join((*SUFFIXES, ARRAYS))}): check the path"
    )


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        UnseeError: it is missing, or not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnseeError(f"{shown_name(path)} cannot be read ({error.strerror}): check it") from error
    except UnicodeDecodeError as error:
        raise UnseeError(f"{shown_name(path)} is not UTF-8 text: save it as UTF-8") from error


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, stripped, each with its number.

    Raises:
        UnseeError: it is missing, or not text.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def whole(text: str) -> int | None:
    """A number of at most nine digits, None for other text."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def read_json(path: Path) -> Any:  # noqa: ANN401
    """The contents of a JSON file.

    Raises:
        UnseeError: it is missing, or not JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UnseeError(f"{shown_name(path)} is not JSON ({error}): download it again") from error


def repeated(names: Iterable[str]) -> str | None:
    """The first name that is repeated, if any is."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def no_split(split: str | None, shown: object) -> None:
    """Refuse a split for a data set without splits.

    Raises:
        UnseeError: a split was asked for.
    """
    if split is not None:
        raise UnseeError(f"{shown_name(shown)} has no splits: leave out {split!r}")


def pick_split(split: str | None, splits: Sequence[str], shown: object) -> str:
    """The requested split, or the only one.

    Raises:
        UnseeError: there is no such split, or several and none was named.
    """
    listed = ", ".join(splits)
    if split is None:
        if len(splits) == 1:
            return splits[0]
        raise UnseeError(f"{shown_name(shown)} has several splits: choose from {listed}")
    if split not in splits:
        raise UnseeError(f"{shown_name(shown)} has no split {split!r}; choose from {listed}")
    return split
