"""The folder of an experiment's results: only that experiment, with the same settings, may write to it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unsee.errors import UnseeError
from unsee.experiments.experiment import Experiment
from unsee.records import described, differences
from unsee.runs.storage import Storage
from unsee.runs.store import Store

RECORD = "experiment.json"
"""The file with the experiment's parameters, the settings of its maps, and its sample."""


class FolderTakenError(UnseeError):
    """The folder holds something else than the results that would be written there."""


def check_free(folder: Path, storage: Storage, maps: str) -> None:
    """Refuse a folder that holds other files.

    Args:
        folder: the folder.
        storage: the same, as a storage.
        maps: the name of the folder of maps, which may be there already.

    Raises:
        FolderTakenError: it does.
    """
    others = [name for name in storage.others() if name != maps]
    if others and RECORD not in others:
        refuse_other_files(folder, others)


def refuse_other_files(folder: Path, others: Sequence[str]) -> None:
    """Say that a folder holds other files.

    Raises:
        FolderTakenError: always.
    """
    few = ", ".join(others[:3])
    raise FolderTakenError(f"{folder} holds other files ({few}): name a new or an empty folder")


def check_unchanged(
    folder: Path,
    storage: Storage,
    experiment: Experiment,
    stores: Mapping[str, Store],
    sample: Mapping[str, int] | None = None,
) -> None:
    """Write what decides the records, or compare it with what an earlier run wrote.

    Args:
        folder: the folder.
        storage: the same, as a storage.
        experiment: its parameters are recorded.
        stores: name of a map source → its store, whose settings are recorded.
        sample: the number "n" of images and the "seed" they were drawn with, None if they are the first ones;
            another seed is another experiment, another number is not.

    Raises:
        FolderTakenError: the folder holds another experiment.
    """
    about = experiment.about
    parameters = {**described(experiment), "name": about.name, "target": about.target}
    hashes = {name: store.manifest["settings_hash"] for name, store in stores.items()}
    drawn = {} if sample is None else {"sample": dict(sample)}
    wanted = json.loads(json.dumps({"experiment": parameters, "maps": hashes, **drawn}))
    kept = None
    try:
        kept = json.loads(storage.read(RECORD))
    except FileNotFoundError:
        pass
    except ValueError:
        raise FolderTakenError(f"{folder / RECORD} is damaged: name another folder") from None
    if kept is not None and (changed := _changes(kept, wanted)):
        raise FolderTakenError(f"{folder} holds {changed}: name another folder")
    if kept != wanted:
        storage.write(RECORD, json.dumps(wanted, indent=1).encode())


def _changes(kept: Any, wanted: Any) -> str:  # noqa: ANN401
    """How the experiment in a folder differs from the one that is run, "" if it does not."""
    before, after = (own["experiment"]["name"] for own in (kept, wanted))
    if before != after:
        return f"the experiment {before}, not {after}"
    maps = [
        name
        for name in {**kept["maps"], **wanted["maps"]}
        if kept["maps"].get(name) != wanted["maps"].get(name)
    ]
    lines = differences(kept["experiment"], wanted["experiment"])
    old, new = (own.get("sample", {}).get("seed") for own in (kept, wanted))
    lines += differences(old, new, "sample.seed")
    lines += [f"other maps of {', '.join(maps)}"] if maps else []
    return f"another experiment ({'; '.join(lines)})" if lines else ""
