"""Runs on Ray in a process of its own: `python ray_runs.py killed STORE`, or `… refused FOLDER`."""

import os
import signal
import sys
from pathlib import Path

import ray
import torch

from pictures import Pictures, network
from unsee.errors import UnseeError
from unsee.masks import PRESETS, adjusted
from unsee.runs.engines.local import PartWritten
from unsee.runs.engines.ray import OnRay
from unsee.runs.learn import learn

COUNT, BROKEN = 48, (5,)
SETTINGS = adjusted(PRESETS["paper"], iterations=40)
MARK = "UNSEE_RAY_RUN"


def workers():
    """The processes in which Ray's actors of this run are."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = []
    for place in Path("/proc").iterdir():
        try:
            ours = place.name.isdigit() and mark in (place / "environ").read_bytes().split(b"\0")
            if ours and (place / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(place.name))
        except OSError:
            continue
    return found


def killed(address):
    """Two workers, of which one is killed once a part is there."""
    victims = []

    def kill(event):
        if isinstance(event, PartWritten) and not victims:
            victims.extend(workers()[:1])
            os.kill(victims[0], signal.SIGKILL)

    data = Pictures(COUNT, BROKEN)
    options = {"part_size": 4, "batch_size": 4, "preset": SETTINGS, "engine": OnRay(2)}
    learn(network(), data, address, progress=kill, **options)
    assert len(victims) == 1
    assert data.read == [0]


def wrong(address):
    """A network that no picture can be asked about."""
    net = network()
    net.net.append(torch.nn.Flatten(0))
    said(net, Pictures(8), address, OnRay(1))


class Deadly(Pictures):
    """The picture with number 5 kills the process that reads it."""

    def __getitem__(self, index):
        if index == 5:
            os._exit(1)
        return super().__getitem__(index)


def deadly(address):
    """A picture that kills its worker."""
    said(network(), Deadly(8), address, OnRay(1))


def elsewhere(address):
    """A store whose address fsspec takes for no folder, of pictures of which the first portion is broken."""
    options = {"part_size": 4, "batch_size": 4, "preset": SETTINGS, "engine": OnRay(2)}
    learn(network(), Pictures(8, range(4)), address, **options)


SAMPLE = {"sample": 6, "seed": 3, "method": "gradient", "part_size": 4, "batch_size": 4}
"""A sample of 20 pictures, of which two fill the second part only half."""


def sampled(address):
    """A sample."""
    learn(network(), Pictures(20), address, engine=OnRay(2), **SAMPLE)


def crowded(address):
    """More workers than any machine has room for."""
    said(network(), Pictures(8), address, OnRay(10_000))
    assert not ray.is_initialized()


def said(net, data, address, engine):
    try:
        learn(net, data, address, batch_size=4, part_size=4, preset=SETTINGS, engine=engine)
    except UnseeError as error:
        sys.stdout.write(f"SAID of {Path(address).name}: {error}\n")


def refused(folder):
    """What cannot be done, an address that is no folder, and a sample, on one Ray that is joined by all."""
    crowded(f"{folder}/crowded")
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    for run in (wrong, deadly):
        run(f"{folder}/{run.__name__}")
    elsewhere(f"simplecache::file://{folder}/elsewhere")
    sampled(f"{folder}/sampled")
    assert ray.is_initialized()
    ray.shutdown()


if __name__ == "__main__":
    os.environ[MARK] = str(os.getpid())
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    {run.__name__: run for run in (killed, refused)}[sys.argv[1]](sys.argv[2])
