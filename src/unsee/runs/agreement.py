"""Whether a run may continue a store: the same settings, and parts of the same size."""

from collections.abc import Mapping
from typing import Any

from unsee.datasets.selection import SAMPLE_SEED
from unsee.errors import UnseeError
from unsee.records import differences, few
from unsee.runs.job import Job
from unsee.runs.store import Store

_MOST_PARTS, _MOST_DIFFERENCES = 4096, 6


def part_size_of(job: Job, store: Store, wanted: int | None) -> int:
    """The number of images in a part: the store's, else the one wanted, else one that suits the job.

    Raises:
        UnseeError: the folder has parts without a manifest, or files that are no store.
    """
    known = store.manifest
    if not known and store.names:
        raise UnseeError(f"{store.storage.address} holds parts without a manifest: name another store")
    if not known and (other := store.storage.others()):
        raise UnseeError(
            f"{store.storage.address} has other files ({', '.join(other[:3])}): name a folder that is empty "
            "or does not exist yet"
        )
    if store.names:
        return int(known["part_size"])
    if wanted is not None:
        return wanted
    portion = job.method.portion
    return portion * max(1, -(-len(job.dataset) // (_MOST_PARTS * portion)))


def check_same_settings(job: Job, store: Store, part_size: int | None) -> None:
    """Check that a store with parts has the settings of a job.

    Raises:
        UnseeError: it has other settings or another part size.
    """
    if not store.names:
        return
    known = store.manifest
    changed = _changed(known["settings"], job.settings)
    if part_size not in (None, known["part_size"]):
        changed.append(f"part_size: {known['part_size']} → {part_size}")
    if changed:
        raise UnseeError(
            f"{store.storage.address} has other settings ({few(changed, _MOST_DIFFERENCES)}): give the same "
            "settings, or name another store"
        )


def earlier_format(store: Store) -> UnseeError:
    """The error for a store that an earlier version has written, and from which rows are missing."""
    return UnseeError(
        f"{store.storage.address} was written by an earlier version (format {store.format}): it can be "
        "read, but not continued; name another store"
    )


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How settings differ, without what follows from another method, preset, list of images or order."""
    hidden = set()
    if old["method"] != new["method"]:
        hidden = {*old, *new} - ({*old} & {*new}) | {"batch_size"}
    elif old.get("preset") != new.get("preset"):
        hidden = {"mask"}
    before, after = ({k: v for k, v in own.items() if k not in hidden} for own in (old, new))
    lines = differences(before, after)
    if any(line.startswith(("data.pictures", f"data.{SAMPLE_SEED}")) for line in lines):
        lines = [line for line in lines if not line.startswith("data.ids")]
    return lines
