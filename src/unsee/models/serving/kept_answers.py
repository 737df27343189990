"""Answers of a served model on the disk, so that nothing is asked twice."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from unsee.errors import UnseeError

_FILE = "answers.sqlite"
_AT_ONCE = 500
"""Keys in one question to SQLite, which takes 999 in old versions."""
_PATIENCE_S = 60.0


class Kept(NamedTuple):
    """An answer, and when it was given, in seconds since 1970."""

    scores: Float32[np.ndarray, " k"]
    when: float


class KeptAnswers:
    """A table of answers in a folder, which several threads and processes may use at once.

    A process that is killed loses no answer for which `keep` has returned; a machine that loses its power
    may lose the last of them, and nothing else.

    Args:
        folder: is made if necessary.

    Raises:
        UnseeError: the folder cannot be written to, or its file is something else.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / _FILE
        self._lock = threading.Lock()
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            self._table = sqlite3.connect(self.file, timeout=_PATIENCE_S, check_same_thread=False)
            with suppress(sqlite3.OperationalError):  # another process is doing it just now
                self._table.execute("PRAGMA journal_mode=WAL")
            self._table.execute("PRAGMA synchronous=NORMAL")
            self._table.execute(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, scores BLOB, at REAL)"
            )
            self._table.commit()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Kept]:
        """The answers that are known."""
        found: dict[bytes, Kept] = {}
        for first in range(0, len(keys), _AT_ONCE):
            part = keys[first : first + _AT_ONCE]
            marks = ",".join("?" * len(part))
            with self._told():
                rows = self._table.execute(
                    f"SELECT key, scores, at FROM answers WHERE key IN ({marks})", part
                ).fetchall()
            found |= {key: Kept(np.frombuffer(scores, "<f4"), at) for key, scores, at in rows}
        return found

    def keep(self, answers: Mapping[bytes, Float32[np.ndarray, " k"]]) -> None:
        """Write answers; one that is known already stays as it is."""
        rows = [(key, scores.astype("<f4").tobytes(), time.time()) for key, scores in answers.items()]
        with self._told():
            self._table.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows)
            self._table.commit()

    @contextmanager
    def _told(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as error:
                raise UnseeError(
                    f"answers cannot be kept in {self.file} ({error}): write cache = another folder into the "
                    "service file, or remove the file if it is damaged"
                ) from error


def usual_folder() -> Path:
    """Where answers are kept unless the service file says so: in the user's cache, by XDG's rule."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "unsee" / "served"
