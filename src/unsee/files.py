"""Files that appear whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".aside-"
"""How the names of files that are being written begin; a killed process can leave some."""


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
