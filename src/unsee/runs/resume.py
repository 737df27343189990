"""A run from start to end: what is there already is kept, and only what is missing is done."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import torch

from unsee.errors import UnseeError
from unsee.masks.explain import versions
from unsee.records import differences
from unsee.runs.engines.local import Engine, PartWritten
from unsee.runs.job import Job, Portion
from unsee.runs.parts import Damage, part_name, part_number
from unsee.runs.stale import stale_parts
from unsee.runs.store import FORMAT, HASH, RUN, Store

_MOST_PARTS, _DIFFERENCES = 4096, 6


@dataclass(frozen=True)
class RunState:
    """What a run found when it began.

    Args:
        total: rows that there will be.
        there: of these, how many are there already.
        errors: of those, how many say why there is no map.
        damaged: parts that cannot be read, or whose pictures have changed; they are done again.
        left_out: pictures that show no class which is asked about.
        beyond: parts like the damaged ones, of pictures beyond this run's limit; they stay as they are.
    """

    total: int
    there: int
    errors: int
    damaged: tuple[Damage, ...]
    left_out: int
    beyond: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class Extent:
    """How far a run goes, and how it is cut.

    Args:
        limit: only the first so many pictures; all where it is None.
        part_size: pictures to a part; what the store has, or else what suits batch and data set.
        retry: do parts again in which pictures failed.
    """

    limit: int | None = None
    part_size: int | None = None
    retry: bool = False

    def __post_init__(self) -> None:
        for name, value in (("limit", self.limit), ("part size", self.part_size)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UnseeError(f"a {name} of {value!r} makes no run: give a whole number, at least 1")


class PartChecked(NamedTuple):
    """So many of the parts that are there have been read whole."""

    done: int
    total: int


class RowDone(NamedTuple):
    """One more row is there, though its part is not written yet."""


Progress = Callable[[PartChecked | RunState | RowDone | PartWritten], None]
"""Told of each part that is checked, then what there is to do, then of rows and of parts written."""


def resume(
    job: Job, address: str, engine: Engine, extent: Extent | None = None, progress: Progress | None = None
) -> Store:
    """Do what a store lacks of a job, and return the store.

    Pictures are done in portions, each of which becomes a part of the store, or is done again as a whole:
    a run that was stopped, however it was, ends with the masks of one that was not.

    Raises:
        UnseeError: the store holds rows of other settings, another run is writing to it, it cannot be
            written to, or what ails every picture alike.
    """
    extent, tell = extent or Extent(), progress or _nobody
    with Store(address).storage.claimed():
        store = Store(address)
        size = _agreed(job, store, extent)
        store = store.without(_checked(store, tell))
        store = store.without([*store.damaged, *stale_parts(store)])
        ledger = Ledger.of(store)
        todo = _to_do(job, ledger, size, extent)
        if todo.total == 0:
            raise UnseeError("there is nothing to ask: no picture has a class that the network knows")
        again, beyond = _sorted(ledger, todo)
        tell(RunState(todo.total, todo.there, store.count_errors(), again, todo.left_out, beyond))
        if todo.missing:
            job.prove([*todo.missing, *job.portions(size, extent.limit)])
        start = _start(job, engine)
        store.keep(_manifest(job, store, start, size, todo))
        if todo.missing:
            notes = {
                HASH: job.settings_hash,
                "versions": json.dumps(start["versions"]),
                RUN: start[RUN],
            }
            for written in engine.run(job, store, todo.missing, notes, lambda: tell(RowDone())):
                ledger.replace(written.part)
                tell(written)
    return Store.open(address)


@dataclass(frozen=True)
class Ledger:
    """The parts of a store by the number of their portion: all that there are, and the whole one."""

    store: Store
    names: dict[int, list[str]]
    whole: dict[int, str]

    @classmethod
    def of(cls, store: Store) -> "Ledger":
        """What a store holds; beside a whole part nothing else of its portion stays."""
        names: dict[int, list[str]] = {}
        for name in store.names:
            names.setdefault(part_number(name), []).append(name)
        ledger = cls(store, names, {part_number(name): name for name in store.parts})
        for name in store.parts:
            ledger.replace(name)
        return ledger

    def has(self, number: int, keys: list[tuple[str, str]]) -> bool:
        """Whether a portion's rows are all there."""
        name = self.whole.get(number)
        if name is None or name == part_name(number, keys):
            return name is not None
        return set(keys) <= set(self.store.keys_of(name))

    def replace(self, part: str) -> None:
        """Take away what else there is of a part's portion, now that the part is there."""
        number = part_number(part)
        for name in self.names.get(number, ()):
            if name != part:
                self.store.storage.remove(name)
        self.names[number] = [part]


class ToDo(NamedTuple):
    """The portions that are missing, whole; how many rows there will be, and are; pictures without one."""

    missing: list[Portion]
    total: int
    there: int
    left_out: int


def _to_do(job: Job, ledger: Ledger, size: int, extent: Extent) -> ToDo:
    """Portions of which anything is missing are done again as a whole, in the company they would have had."""
    again = set(map(part_number, ledger.store.parts_with_errors())) if extent.retry else set()
    missing, total, there, left_out = [], 0, 0, 0
    for portion in job.portions(size, extent.limit):
        keys = [item.key for item in job.items(portion)]
        total += len(keys)
        left_out += portion.stop - portion.first - len({id for id, _ in keys})
        if not keys:
            continue
        if not ledger.has(portion.number, keys):
            missing.append(portion)
        elif portion.number in again:
            missing.append(_as_large_as_kept(job, ledger, portion, size))
        else:
            there += len(keys)
    return ToDo(missing, total, there, left_out)


def _sorted(ledger: Ledger, todo: ToDo) -> tuple[tuple[Damage, ...], tuple[Damage, ...]]:
    """What is damaged: the parts that are done again, and those that stay as they are."""
    wanted = {portion.number for portion in todo.missing}
    damaged = {damage: part_number(damage.part) for damage in ledger.store.damaged}
    again = (damage for damage, number in damaged.items() if number in wanted)
    beyond = (damage for damage, number in damaged.items() if number not in wanted | ledger.whole.keys())
    return tuple(again), tuple(beyond)


def _as_large_as_kept(job: Job, ledger: Ledger, portion: Portion, size: int) -> Portion:
    """A portion cut by this run's limit, as far as an earlier run has gone."""
    kept = ledger.whole[portion.number]
    for stop in range(portion.stop, min(portion.first + size, len(job.dataset)) + 1):
        larger = portion._replace(stop=stop)
        if part_name(portion.number, [item.key for item in job.items(larger)]) == kept:
            return larger
    return portion


def _agreed(job: Job, store: Store, extent: Extent) -> int:
    """Pictures to a part.

    Raises:
        UnseeError: the store was begun with other settings, or cut otherwise.
    """
    known = store.manifest
    if not known and store.names:
        raise UnseeError(f"{store.storage.address} holds parts without a manifest: name another store")
    if not known and (other := store.storage.others()):
        raise UnseeError(
            f"{store.storage.address} has other files ({', '.join(other[:3])}): name a folder that is empty "
            "or not there yet"
        )
    if not store.names:
        return extent.part_size or _part_size(job.method.portion, len(job.dataset))
    changed = _in_short(known["settings"], job.settings)
    if extent.part_size not in (None, known["part_size"]):
        changed.append(f"part_size: {known['part_size']} → {extent.part_size}")
    if changed:
        raise UnseeError(
            f"{store.storage.address} was begun with other settings ({'; '.join(changed)}): give the same "
            "again, or name another store"
        )
    return int(known["part_size"])


def _in_short(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How settings differ, without what follows from another method, preset or list of pictures."""
    hidden = set()
    if old["method"] != new["method"]:
        hidden = {*old, *new} - ({*old} & {*new}) | {"batch_size"}
    elif old.get("preset") != new.get("preset"):
        hidden = {"mask"}
    before, after = ({k: v for k, v in own.items() if k not in hidden} for own in (old, new))
    lines = differences(before, after)
    if any(line.startswith("data.pictures") for line in lines):
        lines = [line for line in lines if not line.startswith("data.ids")]
    more = len(lines) - _DIFFERENCES
    return lines if more <= 0 else [*lines[:_DIFFERENCES], f"and {more} more"]


def _part_size(portion: int, pictures: int) -> int:
    """What suits the work, or some of it where there would be too many parts."""
    return portion * max(1, -(-pictures // (_MOST_PARTS * portion)))


def _nobody(_: object) -> None:
    """Nobody wants to know."""


def _checked(store: Store, tell: Progress) -> list[Damage]:
    """The parts that cannot be read; they stay until others take their place."""
    damaged = []
    for done, damage in enumerate(store.checked(), start=1):
        tell(PartChecked(done, len(store.names)))
        if damage is not None:
            damaged.append(damage)
    return damaged


def _start(job: Job, engine: Engine) -> dict[str, Any]:
    """What the manifest says of one start of a run."""
    return {
        RUN: uuid4().hex,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": str(job.classifier.device),
        "threads": torch.get_num_threads(),
        **engine.described(),
        "versions": versions(),
    }


def _manifest(job: Job, store: Store, start: Mapping[str, Any], size: int, todo: ToDo) -> Mapping[str, Any]:
    known = store.manifest if store.names else {}
    return {
        "format": FORMAT,
        "settings": job.settings,
        "settings_hash": job.settings_hash,
        "part_size": size,
        "rows_wanted": max(todo.total, known.get("rows_wanted", 0)),
        "left_out": todo.left_out,
        "starts": [*known.get("starts", []), start],
    }
