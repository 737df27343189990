"""A small network and some drawn scenes for whole experiments; every scene is drawn once."""

from functools import cache

from pictures import network
from unsee.classifier import Classifier
from unsee.datasets.menagerie import CLASSES, Menagerie


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
