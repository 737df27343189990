"""What a store costs compared with the bare loop, and what a second worker gains.

Prints Markdown for docs/stores.md and docs/cluster.md; `--pictures 0`, `--rows 0` and `--masks 0` leave a
part out. Exits with 1 if a store takes too much time, or if its memory grows during the run.
"""

import argparse
import gc
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.datasets import open_dataset
from unsee.datasets.dataset import Dataset
from unsee.datasets.picture import photo_of
from unsee.datasets.sample import Sample
from unsee.masks import PRESETS, Plan
from unsee.masks.photos import learn_photos
from unsee.memory import keep_freed
from unsee.runs.engines.local import PartWritten
from unsee.runs.engines.ray import OnRay
from unsee.runs.learn import learn
from unsee.runs.rows import Row
from unsee.runs.store import Store

_BATCH, _TENTHS, _SIDE, _TURNS, _PART = 16, 10, 32, 3, 4096
_MOST_TIMES_THE_BARE_LOOP = 1.1
_MOST_MIB_MORE_AFTER_A_TENTH = 32


class Noise:
    """Images of noise, 32 by 32 pixels, made on access."""

    classes: tuple[str, ...] = ()

    def __init__(self, first: int, count: int) -> None:
        self.first, self.count = first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        dice = np.random.default_rng(self.first + index)
        pixels = dice.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
        return Sample(self.id(index), pixels, None)

    def id(self, index: int) -> str:
        """The number of an image."""
        return f"{self.first + index:08d}"

    def labels(self, index: int) -> tuple[int, ...]:  # noqa: ARG002
        """Noise has no labels."""
        return ()


def trivial() -> Classifier:
    """One convolution and one linear layer."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 8, 5, padding=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, 5),
    )
    return Classifier(nn.Sequential(*layers).eval(), size=(_SIDE, _SIDE), name="trivial")


def resident() -> int:
    """MiB of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 >> 20


class Spent(NamedTuple):
    """Seconds of wall time and of CPU time."""

    wall: float
    cpu: float


def spent(work: Callable[[], object]) -> Spent:
    """The time that a function takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def bare(classifier: Classifier, noise: Noise) -> None:
    """The loop that a store is compared with: masks are learned and discarded."""
    photos = ((photo_of(noise[number]), None) for number in range(len(noise)))
    deque(learn_photos(classifier, photos, Plan(PRESETS["fast"], batch_size=_BATCH)), maxlen=0)


def overhead(pictures: int) -> list[str]:
    """Print the store's cost: half of the bare loop, one store of all images, the other half.

    What is done once per process is done before.

    Returns:
        What takes too much time or memory, as sentences.
    """
    classifier, held = trivial(), []

    def note(event: object) -> None:
        if isinstance(event, PartWritten):
            held.append(resident())

    bare(classifier, Noise(0, _TENTHS * _BATCH))
    half = pictures // 2
    with tempfile.TemporaryDirectory() as folder:
        first = spent(partial(bare, classifier, Noise(0, half)))
        noise = Noise(0, 2 * half)
        kept = spent(partial(learn, classifier, noise, folder, batch_size=_BATCH, progress=note))
        second = spent(partial(bare, classifier, Noise(half, half)))
    print("| | bare loop | store | ratio |")
    print("|---|---|---|---|")
    for name, one, other, whole in zip(Spent._fields, first, second, kept, strict=True):
        print(f"| {name} | {one + other:.1f} s | {whole:.1f} s | {whole / (one + other):.3f} |")
    tenths = [held[-(-len(held) * k // _TENTHS) - 1] for k in range(1, _TENTHS + 1)]
    listed = ", ".join(map(str, tenths))
    print(f"\n{2 * half} images; MiB held after each tenth of the store's parts: {listed}\n", flush=True)
    return beyond_limits(kept.wall / (first.wall + second.wall), tenths)


def beyond_limits(ratio: float, tenths: Sequence[int]) -> list[str]:
    """What exceeds the limits: the ratio to the bare loop's time, or the memory held after each tenth."""
    found = []
    if ratio > _MOST_TIMES_THE_BARE_LOOP:
        found.append(f"a store takes {ratio:.3f} times as long as the bare loop")
    more = tenths[-1] - tenths[0]
    if more > _MOST_MIB_MORE_AFTER_A_TENTH:
        found.append(f"a store holds {more} MiB more at the end than after a tenth")
    return found


def rate(workers: int, dataset: Dataset, masks: int) -> tuple[float, float]:
    """Masks per second of Ray's workers with one thread each: without start-up, and with it.

    The first is a lower bound. Its time begins when there are as many parts as workers; what the other
    workers had done of their next parts by then is subtracted.
    """
    written: list[tuple[float, int]] = []
    began = time.perf_counter()

    def note(event: object) -> None:
        if isinstance(event, PartWritten):
            written.append((time.perf_counter() - began, event.rows))

    with tempfile.TemporaryDirectory() as folder:
        learn(
            unsee.load("unsee:menagerie"),
            dataset,
            folder,
            limit=masks,
            batch_size=_BATCH,
            part_size=_BATCH,
            engine=OnRay(workers),
            progress=note,
        )
    done = time.perf_counter() - began
    late = sum(rows for _, rows in written[2 * workers - 1 :]) / (written[-1][0] - written[workers - 1][0])
    return late, masks / done


def speedup(masks: int) -> None:
    """Print what a second worker gains; one worker and two take turns."""
    menagerie = open_dataset("menagerie")
    found = [[rate(workers, menagerie, masks) for workers in (1, 2)] for _ in range(_TURNS)]
    print("| masks per second | one worker with one thread | two | ratio |")
    print("|---|---|---|---|")
    for name, part in (("without start-up", 0), ("with starting Ray", 1)):
        one, two = (median(turn[workers][part] for turn in found) for workers in (0, 1))
        each = ", ".join(f"{turn[1][part] / turn[0][part]:.2f}" for turn in found)
        print(f"| {name} | {one:.2f} | {two:.2f} | {two / one:.2f} (repetitions: {each}) |")


def reading(rows: int) -> None:
    """Print the time and memory that statistics over a store of so many rows take."""
    dice = np.random.default_rng(0)
    maps = dice.random((_PART, _SIDE * _SIDE // 4)).astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for first in range(0, rows, _PART):
            part = [
                Row(
                    id=f"{first + k:08d}",
                    asked="top1",
                    settings_hash="none",
                    label=k % 1000,
                    mask=maps[k],
                    mask_shape=(_SIDE // 2, _SIDE // 2),
                    suppression=float(maps[k, 0]),
                    area=float(maps[k, 1]),
                )
                for k in range(min(_PART, rows - first))
            ]
            store.add(first // _PART, part, {})
        store, before = Store(folder), resident()
        began = time.perf_counter()
        table = store.table(["label", "suppression", "area"])
        means = table.group_by("label").aggregate([("suppression", "mean"), ("area", "mean")])
        done = time.perf_counter() - began
        held = resident() - before
        print(
            f"{len(table)} rows, {store.bytes >> 20} MiB: means of {len(means)} classes in {done:.2f} s, "
            f"{held} MiB more memory\n",
            flush=True,
        )


def main() -> int:
    """Measure everything; 1 if something takes too much time or memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000, help="images of noise")
    parser.add_argument("--masks", type=int, default=256, help="menagerie images for Ray's workers")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the store that is read")
    asked = parser.parse_args()
    keep_freed()
    problems = overhead(asked.pictures) if asked.pictures else []
    gc.collect()
    if asked.rows:
        reading(asked.rows)
    if asked.masks:
        speedup(asked.masks)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
