"""Small runs, disturbed in many ways, for tests."""

import os
import resource
import subprocess
import time

import pyarrow.parquet as pq
import pytest
import torch

from pictures import BRIEF, Pictures, network, work
from unsee.errors import UnseeError
from unsee.runs.learn import learn

COUNT = 22
BROKEN = (5, 11)


def flipped(folder, column):
    """Flip the last bit of a column in the second part, whose name is returned."""
    path = sorted(folder.glob("part-*"))[1]
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunks = (group.column(k) for k in range(group.num_columns))
    chunk = next(c for c in chunks if c.path_in_schema.split(".")[0] == column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[start + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    return path.name


def started(server, folder, preset=BRIEF):
    process = server.Process(target=work, args=(str(folder), COUNT, BROKEN, preset))
    process.start()
    return process


def finished(server, folder, preset=BRIEF):
    process = started(server, folder, preset)
    process.join()
    assert process.exitcode == 0


def quick(folder, pictures=None, preset=BRIEF, **options):
    pictures = pictures or Pictures(COUNT, BROKEN)
    return learn(network(), pictures, folder, part_size=4, batch_size=4, preset=preset, **options)


class mounted:  # noqa: N801
    """A small file system in memory, where this process may mount one."""

    def __init__(self, place, options):
        self.place, self.options = place, options

    def __enter__(self):
        command = ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.place)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")

    def __exit__(self, *failure):
        subprocess.run(["umount", str(self.place)], check=True)


def within(address, size):
    """A run in which no file may grow past a size; leaves with 7 if that is said."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        work(address, COUNT)
    except UnseeError as error:
        os._exit(7 if "cannot be written to (File too large)" in str(error) else 8)


def await_start(folder, process):
    while not (folder / "_manifest.json").exists():
        assert process.is_alive()
        time.sleep(0.005)


def mean(classifier):
    return torch.tensor(classifier.mean)[:, None, None]


def std(classifier):
    return torch.tensor(classifier.std)[:, None, None]


class Stumble:
    def __init__(self, picture):
        self.picture = picture

    def __call__(self, net, inputs):
        if any(torch.allclose(each, self.picture, atol=1e-4) for each in inputs[0]):
            raise RuntimeError("not this one")


class Always:
    def __call__(self, net, inputs):
        raise RuntimeError("never")
