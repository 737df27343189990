"""The engine for several processes or machines: Ray Data streams portions through actors."""

import copy
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from unsee.errors import UnseeError
from unsee.memory import keep_freed
from unsee.optional import library
from unsee.runs.engines.local import PartWritten, write
from unsee.runs.job import Job, OnRow, Portion
from unsee.runs.store import RUN, Store

_MOST_BLOCKS, _READER, _TRIES, _PATIENCE = 4096, 1, 3, 10.0
_MOST_PER_CORE = 4
"""The largest number of threads for each core of this machine; more would only slow each other down."""


@dataclass(frozen=True)
class OnRay:
    """Ray's workers, each with its own copy of the network.

    If RAY_ADDRESS names a running cluster, that is joined. Otherwise Ray is started on this machine for the
    duration of the run.

    Args:
        workers: the number of actors.
        threads: CPU threads of each actor.
        gpus: GPUs of each actor; may be a fraction.
    """

    workers: int
    threads: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.threads < 1 or self.gpus < 0:
            raise UnseeError(
                "Ray needs at least one worker, at least one thread, and GPUs ≥ 0, got "
                f"{self.workers}, {self.threads}, {self.gpus}"
            )

    def described(self) -> dict[str, str | int]:
        """Its name and options, for the record of a run."""
        return {"engine": "ray", "workers": self.workers, "threads": self.threads, "gpus": str(self.gpus)}

    def run(
        self,
        job: Job,
        store: Store,
        portions: Sequence[Portion],
        notes: Mapping[str, str],
        on_row: OnRow | None = None,  # noqa: ARG002
    ) -> Iterator[PartWritten]:
        """Yield each part once a worker has written it; a worker that dies is restarted and its part redone.

        Args:
            job: sent to each worker, with a copy of its network.
            store: must be visible to all workers.
            portions: in any order.
            notes: the metadata of each part.
            on_row: not called: workers report whole parts.

        Raises:
            UnseeError: Ray is not installed, its cluster cannot be joined or has no room for the workers,
                workers cannot see the store, or an error affects every image.
        """
        if not store.storage.shared:
            raise UnseeError(
                f"{store.storage.address} is in the memory of one process: give Ray's workers a folder or an "
                "address that all of them can see"
            )
        ray, data = library("ray", "ray"), library("ray.data", "ray")
        began = _start(ray, data, self)
        try:
            check_room(ray, self)
            net = copy.deepcopy(job.classifier.net).to("cpu")
            payload = ray.put((replace(job, classifier=replace(job.classifier, net=net)), list(portions)))
            setup = WorkerSetup(
                store.storage.whole_address, str(Path.cwd()), dict(notes), self.threads, self.gpus > 0
            )
            for row in self._written(data, len(portions), payload, setup).iter_rows():
                if row["failure"]:
                    raise UnseeError(row["failure"])
                yield PartWritten(row["part"], row["rows"], row["errors"])
        except ray.exceptions.RayActorError as error:
            raise UnseeError(
                "a Ray worker died again and again at the same images (out of memory, or a crash): the same "
                "call continues the run, and engine=Local() (--engine local) shows at which image"
            ) from error
        finally:
            if began:
                ray.shutdown()

    def _written(self, data: Any, count: int, payload: Any, setup: "WorkerSetup") -> Any:  # noqa: ANN401
        """Ray's data set of the rows that workers return, one for each portion; nothing has run yet.

        Args:
            data: the module `ray.data`.
            count: of the portions.
            payload: the job and the portions, as `ray.put` gives them.
            setup: what each worker needs to start.
        """
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            return data.range(count, override_num_blocks=min(count, _MOST_BLOCKS)).map_batches(
                Worker,
                fn_constructor_args=(payload, setup),
                batch_size=1,
                compute=data.ActorPoolStrategy(size=self.workers),
                num_cpus=self.threads,
                num_gpus=self.gpus,
                ray_remote_args_fn=_tries,
            )


class WorkerSetup(NamedTuple):
    """What a worker needs to start.

    Args:
        address: of the store.
        folder: the working directory in which the run was started.
        notes: the metadata of each part.
        threads: CPU threads.
        gpu: whether the worker has a GPU.
    """

    address: str
    folder: str
    notes: dict[str, str]
    threads: int
    gpu: bool


class Worker:
    """An actor: keeps job and network, and writes a part for each portion that it is sent."""

    def __init__(self, payload: Any, setup: WorkerSetup) -> None:  # noqa: ANN401
        torch.set_num_threads(setup.threads)
        keep_freed()
        with suppress(OSError):
            os.chdir(setup.folder)
        job, self.portions = library("ray", "ray").get(payload)
        if setup.gpu:
            job = replace(job, classifier=replace(job.classifier, net=job.classifier.net.to("cuda")))
        self.job: Job = job
        self.setup = setup

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Do the portions with these numbers; an error that the user can correct is returned as `failure`."""
        answers = [self._answer(int(number)) for number in batch["id"]]
        return {name: [answer[name] for answer in answers] for name in answers[0]}

    def _answer(self, number: int) -> dict[str, str | int]:
        try:
            self.store()
            portion = self.portions[number]
            rows = self.job.rows(portion)
            written = write(self.store(), portion, rows, self.setup.notes)
        except UnseeError as error:
            return {"part": "", "rows": 0, "errors": 0, "failure": str(error)}
        return {**written._asdict(), "failure": ""}

    def store(self) -> Store:
        """The store, unless a later run has taken it over: a worker can outlive the run that started it.

        Raises:
            UnseeError: a later run has taken it over.
        """
        store = Store(self.setup.address)
        if not store.belongs_to(self.setup.notes[RUN]):
            raise UnseeError(f"another run has taken over {self.setup.address}: this one ends")
        return store


def _start(ray: Any, data: Any, wanted: OnRay) -> bool:  # noqa: ANN401
    """Join or start Ray; returns whether it was started here, and so has to be stopped."""
    data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address := os.environ.get("RAY_ADDRESS"):
        try:
            _check_listening(address)
            ray.init(**quiet)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise UnseeError(
                f"Ray's cluster at {address} cannot be joined ({reason}): check RAY_ADDRESS, and set "
                "RAY_AUTH_MODE=token where the cluster asks for its token"
            ) from error
        return True
    for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_BACKEND_LOG_LEVEL", "fatal")):
        os.environ.setdefault(name, value)
    threads, cores = wanted.workers * wanted.threads, os.cpu_count() or 1
    if threads > _MOST_PER_CORE * cores:
        raise UnseeError(
            f"{wanted.workers} workers with {wanted.threads} threads each are too many for the {cores} cores "
            f"here: ask for at most {_MOST_PER_CORE * cores} threads in all, by workers=… and threads=… "
            "(--workers, --threads)"
        )
    ray.init(address="local", num_cpus=threads + _READER, include_dashboard=False, **quiet)
    return True


def _check_listening(address: str) -> None:
    """Check quickly that something listens at host:port; Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()


def _tries() -> dict[str, int]:
    """How often a worker is restarted, and a portion sent again, before the run fails."""
    return {"max_restarts": _TRIES, "max_task_retries": _TRIES}


def check_room(ray: Any, wanted: OnRay) -> None:  # noqa: ANN401
    """Check that Ray has room for every worker; it would wait forever for those that do not fit.

    Raises:
        UnseeError: Ray has too few CPUs or GPUs.
    """
    available = ray.cluster_resources()
    for name, each in (("CPU", wanted.threads), ("GPU", wanted.gpus)):
        if wanted.workers * each > available.get(name, 0):
            have = available.get(name, 0)
            raise UnseeError(
                f"{wanted.workers} workers of {each:g} {name} each do not fit: Ray has {have:g}; ask for "
                "fewer by workers=… (--workers)"
            )
