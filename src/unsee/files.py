"""Files that appear whole or not at all, and the folders that hold them."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from unsee.errors import UnseeError

UNFINISHED = ".aside-"
"""How the names of files that are being written begin; a killed process can leave some."""

HOW_TO_REPLACE = "--force (force=True) replaces it, --out (out=…) writes elsewhere"
"""What to do about a result that is there already."""


def write_whole(file: Path, data: bytes) -> None:
    """Write a file beside its final place, sync it to the disk, and rename it.

    Raises:
        OSError: there is no room, or the folder may not be written to; what was there is as it was.
    """
    aside = file.with_name(f"{UNFINISHED}{uuid4().hex[:8]}-{file.name}")
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
        raise UnseeError(f"{folder} is a file: --out (out=…) takes a folder")
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
