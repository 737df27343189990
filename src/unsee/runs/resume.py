"""A run from start to end: it keeps what a store has, and does only what is missing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import torch

from unsee.datasets.dataset import Dataset
from unsee.datasets.selection import SAMPLE_SEED, sampled
from unsee.errors import UnseeError
from unsee.masks.explain import versions
from unsee.runs.agreement import check_same_settings, earlier_format, part_size_of
from unsee.runs.engines.local import Engine, PartWritten
from unsee.runs.job import Job
from unsee.runs.ledger import Ledger, Missing, damage_of, missing_from
from unsee.runs.parts import Damage
from unsee.runs.rows import FORMAT
from unsee.runs.stale import stale_parts
from unsee.runs.store import HASH, RUN, Store


@dataclass(frozen=True)
class RunState:
    """What a run found when it started.

    Args:
        total: the number of rows that it will have.
        there: how many of them are there.
        errors: how many of those have an error instead of a map.
        damaged: parts that cannot be read, or whose photos have changed; they are done again.
        left_out: images without any class that the run explains.
        beyond: damaged parts of images beyond this run's limit; they stay as they are.
    """

    total: int
    there: int
    errors: int
    damaged: tuple[Damage, ...]
    left_out: int
    beyond: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class Extent:
    """How far a run goes, and how it is divided.

    Args:
        limit: only the first so many images; None for all.
        part_size: images in a part; by default what the store has, or what suits method and data set.
        retry: do parts again in which images failed.
        sample: only so many images, drawn at random without replacement; None for all. All, if there are
            fewer.

    Raises:
        UnseeError: a limit, sample or part size that is not a whole number, at least 1; or both a limit and
            a sample.
    """

    limit: int | None = None
    part_size: int | None = None
    retry: bool = False
    sample: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.sample is not None:
            raise UnseeError("give --limit or --sample, not both")
        for name, value in (("limit", self.limit), ("sample", self.sample), ("part size", self.part_size)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UnseeError(f"the {name} must be a whole number, at least 1, got {value!r}")

    def ordered(self, dataset: Dataset, seed: int) -> Dataset:
        """The data set in the order in which its images are taken: that of the sample, if there is one."""
        return dataset if self.sample is None else sampled(dataset, seed)

    @property
    def most(self) -> int | None:
        """The largest number of images, the first in that order; None for all."""
        return self.limit if self.sample is None else self.sample


class PartChecked(NamedTuple):
    """The first `done` parts have been read completely."""

    done: int
    total: int


class RowDone(NamedTuple):
    """One more row is computed; its part is not written yet."""


RunProgress = Callable[[PartChecked | RunState | RowDone | PartWritten], None]
"""Called after each part that is checked, then once with the state, then after each row and part."""


def resume(
    job: Job,
    address: str,
    engine: Engine,
    extent: Extent | None = None,
    progress: RunProgress | None = None,
) -> Store:
    """Do what a store lacks of a job, and return the store.

    Images are done in portions. Each portion becomes a part of the store, or is done again completely: a run
    that was stopped, in whatever way, ends with the same masks as one that was not.

    Args:
        job: the rows that the store should have.
        address: the store: a folder, or an address that fsspec knows.
        engine: does the portions.
        extent: how far the run goes; all images by default.
        progress: called with the events of the run.

    Raises:
        UnseeError: the store has other settings or an earlier format, another run is writing to it, it
            cannot be written to, or an error that affects every image.
    """
    extent, report = extent or Extent(), progress or _ignore
    with Store(address).storage.claimed():
        store = Store(address)
        size = part_size_of(job, store, extent.part_size)
        check_same_settings(job, store, extent.part_size)
        store = store.without(_damaged_parts(store, report))
        store = store.without([*store.damaged, *stale_parts(store)])
        ledger = Ledger.of(store)
        missing = missing_from(ledger, job, size, extent.most, extent.retry)
        if missing.total == 0:
            raise UnseeError("there is nothing to explain: no image has a class that the network knows")
        if store.format == FORMAT:
            ledger.tidy()
        elif missing.portions:
            raise earlier_format(store)
        again, beyond = damage_of(ledger, missing)
        report(RunState(missing.total, missing.there, store.count_errors(), again, missing.left_out, beyond))
        if store.format == FORMAT:
            _carry_out(job, ledger, engine, missing, (size, extent), report)
    return Store.open(address)


def _carry_out(
    job: Job, ledger: Ledger, engine: Engine, missing: Missing, cut: tuple[int, Extent], report: RunProgress
) -> None:
    """Record this start in the manifest, and do the missing portions."""
    store, (size, extent) = ledger.store, cut
    if missing.portions:
        job.check_readable([*missing.portions, *job.portions(size, extent.most)])
    start = _start(job, engine)
    store.write_manifest(_manifest(job, store, start, cut, missing))
    if not missing.portions:
        return
    notes = {HASH: job.settings_hash, "versions": json.dumps(start["versions"]), RUN: start[RUN]}
    for written in engine.run(job, store, missing.portions, notes, lambda: report(RowDone())):
        ledger.replace(written.part)
        report(written)


def _ignore(_: object) -> None:
    """Ignore progress."""


def _damaged_parts(store: Store, report: RunProgress) -> list[Damage]:
    """The parts that cannot be read; they stay until others replace them."""
    damaged = []
    for done, damage in enumerate(store.checked(), start=1):
        report(PartChecked(done, len(store.names)))
        if damage is not None:
            damaged.append(damage)
    return damaged


def _start(job: Job, engine: Engine) -> dict[str, Any]:
    """The manifest's entry for one start of a run."""
    return {
        RUN: uuid4().hex,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": str(job.classifier.device),
        "threads": torch.get_num_threads(),
        **engine.described(),
        "versions": versions(),
    }


def _manifest(
    job: Job, store: Store, start: Mapping[str, Any], cut: tuple[int, Extent], missing: Missing
) -> Mapping[str, Any]:
    known, (size, extent) = store.manifest if store.names else {}, cut
    sample = {}
    if SAMPLE_SEED in job.data:
        n = min(len(job.dataset), extent.most or len(job.dataset))
        sample = {"sample": {"n": max(n, known.get("sample", {}).get("n", 0)), "seed": job.data[SAMPLE_SEED]}}
    return {
        "format": FORMAT,
        "settings": job.settings,
        "settings_hash": job.settings_hash,
        **sample,
        "part_size": size,
        "rows_wanted": max(missing.total, known.get("rows_wanted", 0)),
        "left_out": missing.left_out,
        "starts": [*known.get("starts", []), start],
    }
