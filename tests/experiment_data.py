"""Small data for experiments: drawn scenes (each is drawn once), noise, networks, cases."""

import json
from functools import cache

from pictures import Pictures, network
from unsee.classifier import Classifier
from unsee.datasets.menagerie import CLASSES, Menagerie
from unsee.datasets.picture import photo_of
from unsee.experiments.experiment import Case
from unsee.experiments.maps import Setup
from unsee.images import Squash
from unsee.masks.network_input import NetworkInput


class Drawn:
    """The first scenes of the menagerie, under the name of the whole."""

    def __init__(self, split, count):
        self.scenes = Menagerie(split, count)
        self.classes, self.kept = self.scenes.classes, {}
        self.left_out = 0
        self.described = {"name": "menagerie", "split": split, "classes": []}

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, index):
        if index not in self.kept:
            self.kept[index] = self.scenes[index]
        return self.kept[index]

    def id(self, index):
        return self.scenes.id(index)

    @cache  # noqa: B019
    def labels(self, index):
        return self.scenes.labels(index)


@cache
def drawn(split="test", count=24):
    """A data set that all tests share."""
    return Drawn(split, count)


def small_network(name="tiny"):
    """A small network with the menagerie's classes."""
    return Classifier(network(len(CLASSES)).net, size=(32, 32), class_names=tuple(CLASSES), name=name)


NOISE = Pictures(3)


def setup_of(*methods, classifiers=None):
    """Three images of noise and a small network."""
    return Setup(classifiers or (network(),), NOISE, methods, "fast", "label")


def case_of(sample, maps, target=(0,), numbers=None, network_inputs=None):
    """A case at an input of 32 × 32."""
    network_input = NetworkInput(photo_of(sample), (32, 32), 0, Squash(), (0.5, 0.5, 0.5), 0)
    truth = None if sample.label is None else (sample.label,)
    return Case(sample, network_input, target, sample.label, maps, network_inputs or {}, numbers or {}, truth)


def written(records):
    """Records as they are read from a file."""
    return json.loads(json.dumps(list(records)))
