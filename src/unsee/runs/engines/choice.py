"""An engine by name, with workers, threads and GPUs shared out over this machine."""

import os

import torch

from unsee.choices import look_up
from unsee.errors import UnseeError
from unsee.runs.engines.local import Engine, Local
from unsee.runs.engines.ray import OnRay


def engine_named(
    name: str,
    workers: int | None = None,
    threads: int | None = None,
    gpus: float | None = None,
    device: str = "cpu",
) -> Engine:
    """An engine by name; for "local" this process's CPU threads are set.

    Args:
        name: "local" or "ray".
        workers: of Ray; by default one for each GPU, or for each share of the cores.
        threads: CPU threads of each worker; by default the cores are shared out.
        gpus: GPUs of each worker; by default one if the device is a GPU.
        device: the kind of device that the network is on.

    Raises:
        UnseeError: an unknown engine, or several workers or GPUs for the local one.
    """
    look_up(dict.fromkeys(("local", "ray")), name, "engine")
    if name == "local":
        if workers not in (None, 1) or gpus is not None:
            raise UnseeError(
                "the local engine is one process: engine ray (--engine ray) takes workers and gpus"
            )
        if threads is not None:
            torch.set_num_threads(threads)
        return Local()
    each = gpus if gpus is not None else float(device == "cuda")
    cores = os.cpu_count() or 1
    shared = max(int(torch.cuda.device_count() / each), 1) if each else max(cores // (threads or 1), 1)
    count = workers or shared
    return OnRay(count, threads or max(cores // count, 1), each)
