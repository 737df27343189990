"""Parts whose photos have changed since they were explained."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from unsee.runs.parts import Damage
from unsee.runs.store import Store


def stale_parts(store: Store) -> list[Damage]:
    """The parts with a row whose photo is newer than the part and has another hash.

    Photos that are gone, and images that were never files, count as unchanged.
    """
    found = []
    for name in store.parts:
        rows = store.columns(name, ["id", "photo", "file_hash"]).to_pylist()
        written = _seconds(store.storage.fs.modified(store.storage.path(name)))
        changed = [row["id"] for row in rows if row["photo"] and _differs(Path(row["photo"]), row, written)]
        if changed:
            found.append(Damage(name, f"{changed[0]} has changed since", "is out of date"))
    return found


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _differs(photo: Path, row: dict[str, str], written: float) -> bool:
    try:
        if photo.stat().st_mtime < written:
            return False
        return hashlib.sha256(photo.read_bytes()).hexdigest() != row["file_hash"]
    except OSError:
        return False
