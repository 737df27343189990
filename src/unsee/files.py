"""Files that are written completely or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".aside-"
"""Prefix of the names of unfinished files; a killed process can leave some behind."""


def write_whole(file: Path, data: bytes) -> None:
    """Write a file under a temporary name in its folder, sync it to the disk, and rename it.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; an earlier file is left unchanged.
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
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as temporary:
        staged = Path(temporary)
        yield staged
        (folder / last).unlink(missing_ok=True)
        for file in sorted(staged.iterdir(), key=lambda file: file.name == last):
            shutil.move(file, folder / file.name)
