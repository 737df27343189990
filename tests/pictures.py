"""Small data sets and runs that other processes can be sent, without pytest."""

import numpy as np
import torch
from torch import nn

from unsee.classifier import Classifier
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.masks import PRESETS, adjusted
from unsee.runs.learn import learn

BRIEF = adjusted(PRESETS["fast"], iterations=4)
NAMES = ("ant", "bee", "cat", "tiger cat", "dog")


class Pictures:
    """`count` pictures of noise; those in `broken` cannot be read, those in `faulty` fail in another way."""

    def __init__(self, count, broken=(), faulty=(), labels=None, classes=NAMES, own=True):
        self.count, self.broken, self.faulty = count, set(broken), set(faulty)
        self.given, self.classes, self.own = labels, classes, own
        self.read = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.read.append(index)
        if index in self.broken:
            raise UnseeError(f"{self.id(index)} is truncated: fetch it anew")
        if index in self.faulty:
            raise RuntimeError("the reader stumbled")
        pixels = np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        label = self.labels(index)[0] if self.own and self.labels(index) else None
        return Sample(self.id(index), pixels, label)

    def id(self, index):
        return f"picture-{index:04d}"

    def labels(self, index):
        return () if self.given is None else self.given[index]


def network(classes=5):
    """The same small network in every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 5, padding=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, classes),
        )
        with torch.no_grad():
            net[-1].weight.mul_(8)
    return Classifier(net.eval(), size=(32, 32), class_names=NAMES[:classes], name="tiny")


def work(address, count, broken=(), preset=BRIEF):
    """A run from start to end, as a process of its own."""
    torch.set_num_threads(1)
    learn(network(), Pictures(count, broken), address, part_size=4, batch_size=4, preset=preset)


def content(store):
    """Everything in a store that a run decides: (id, asked) → the map's bytes, its scores, its failure."""
    rows = list(store.rows())
    found = {
        (row["id"], row["asked"]): (
            None if row["mask"] is None else row["mask"].tobytes(),
            row["target"],
            row["perturbed_score"],
            row["error"],
        )
        for row in rows
    }
    assert len(found) == len(rows), "a row is there twice"
    return found
