"""Files that are written completely or not at all, and the folders that hold results."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from unsee.errors import UnseeError

UNFINISHED = ".aside-"
"""Prefix of the names of unfinished files and folders; a killed process can leave some behind."""

HOW_TO_REPLACE = "force=True (--force) replaces it, out=… (--out) writes elsewhere"
"""What to do about a result that is there already."""


def write_whole(file: Path, data: bytes) -> None:
    """Write a file under a temporary name in its folder, sync it to the disk, and rename it.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; an earlier file is left unchanged.
    """
    aside = file.with_name(f"{UNFINISHED}{uuid4().hex[:8]}")
    try:
        with aside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(file)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    with suppress(PermissionError):  # Windows opens no folders
        handle = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def staged_folder(folder: Path, last: str) -> Iterator[Path]:
    """Collect files in a temporary folder, and move them to their place when all of them are written.

    If the block fails, the folder keeps the files it had. If it succeeds, an older file called `last` is
    removed first and the new one is moved last, so a folder that holds it holds all the others.

    Args:
        folder: where the files go; it is made if necessary. Other files in it are kept.
        last: name of the file that marks the folder as complete.

    Yields:
        The temporary folder, inside `folder`.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as temporary:
        staged = Path(temporary)
        yield staged
        (folder / last).unlink(missing_ok=True)
        for file in sorted(staged.iterdir(), key=lambda file: file.name == last):
            shutil.move(file, folder / file.name)


def write_json(file: Path, record: object) -> None:
    """Write JSON values to a file by `write_whole`; makes its folder.

    Raises:
        UnseeError: the folder cannot be written to.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, (json.dumps(record, indent=1) + "\n").encode())
    except OSError as error:
        raise UnseeError(f"{file.parent} cannot be written to ({error.strerror or error})") from error


def folder_for(out: str | os.PathLike[str]) -> Path:
    """The folder that results go to; it need not exist.

    Raises:
        UnseeError: it is a file.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise UnseeError(f"{folder} is a file: out=… (--out) takes a folder")
    return folder


def folder_names(photos: Sequence[str | os.PathLike[str]]) -> list[str]:
    """A folder name for each photo: its file name without the ending, numbered where two are the same."""
    names: list[str] = []
    for photo in photos:
        stem = Path(photo).stem if Path(photo).stem.strip(". ") else "photo"
        count, name = 1, stem
        while name in names:
            count += 1
            name = f"{stem}-{count}"
        names.append(name)
    return names
