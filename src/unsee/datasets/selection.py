"""A subset of a data set: the first images of some classes, or a sample."""

import re
from array import array
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from unsee.choices import did_you_mean, nearest
from unsee.datasets.dataset import Dataset, description, position, read_as
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.words import counted

SAMPLE_SEED = "sample_seed"
"""The key, in the description of a data set, for the seed of a sample's order."""
_MOST = 30  # how many classes an error lists
_SAMPLE = 1


class Selection:
    """Images of `dataset` by their indices in it, in that order.

    `described` identifies them, as JSON values: with "name", "split" and "classes" they can be opened again.
    `left_out` counts the images of the whole data set that a blacklist removed.
    """

    def __init__(
        self, dataset: Dataset, numbers: Sequence[int], described: Mapping[str, Any] | None = None
    ) -> None:
        self.dataset = dataset
        self.numbers = numbers
        self.described = dict(described or description(dataset))
        self.left_out: int = getattr(dataset, "left_out", 0)

    def __repr__(self) -> str:
        known = {key: value for key, value in self.described.items() if key != SAMPLE_SEED}
        called = " ".join(str(value) for value in known.values() if value)
        if SAMPLE_SEED in self.described:
            called += f", a sample with seed {self.described[SAMPLE_SEED]}"
        return f"<{called or type(self.dataset).__name__}: {counted(len(self), 'image')}>"

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return self.dataset.classes

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self._number(index)]

    def id(self, index: int) -> str:
        """The name of an image."""
        return self.dataset.id(self._number(index))

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes in an image."""
        return self.dataset.labels(self._number(index))

    def reading(self, channels: int, value_range: tuple[float, float]) -> "Selection":
        """The same images as a network takes them (see `read_as`)."""
        dataset = read_as(self.dataset, channels, value_range)
        return self if dataset is self.dataset else Selection(dataset, self.numbers, self.described)

    def sample(self, n: int, seed: int = 0) -> "Selection":
        """At most `n` of these images, drawn at random without replacement; see `sampled`."""
        return sampled(self, seed, n)

    def _number(self, index: int) -> int:
        return self.numbers[position(index, len(self))]


def sampled(dataset: Dataset, seed: int, n: int | None = None) -> Selection:
    """The first `n` images of a data set in an order drawn at random; no image is read.

    A larger sample with the same seed begins with the smaller one. The order depends only on the seed and on
    the number of images.

    Args:
        dataset: the images to choose from.
        seed: of the order, at least 0; recorded in `described`.
        n: the largest number of images; None for all, in that order.

    Raises:
        UnseeError: `n` is not a whole number from 1, the seed not one from 0, or the data set is a sample
            already or no data set.
    """
    if not isinstance(dataset, Dataset):
        raise UnseeError(
            f"a sample is drawn from a data set, not {dataset!r}: open one as in "
            "unsee.open_dataset('folder:photos')"
        )
    if n is not None and (type(n) is not int or n < 1):
        raise UnseeError(f"a sample of {n!r} leaves no image; give a whole number, at least 1")
    if type(seed) is not int or seed < 0:
        raise UnseeError(f"the seed of a sample must be a whole number, at least 0, got {seed!r}")
    known = description(dataset)
    if SAMPLE_SEED in known:
        raise UnseeError("the data set is a sample already: take the sample of the whole data set")
    keys = Dice(seed, _SAMPLE).bytes(len(dataset), 8).view("<u8")[:, 0]
    order = array("q", keys.argsort(kind="stable").astype("q").tobytes())
    return Selection(dataset, order[:n], {**known, SAMPLE_SEED: seed})


def select(
    dataset: Dataset,
    classes: Sequence[str],
    limit: int | None,
    name: str,
    described: Mapping[str, Any],
) -> Selection:
    """The first images that show one of some classes, or of all.

    Args:
        dataset: the images to choose from.
        classes: names or indices; none for all classes.
        limit: the largest number of images; None for all.
        name: what errors call the data set.
        described: identifies the data set; the classes are added by their canonical names.

    Raises:
        UnseeError: the data set has no such class, or no image of it.
    """
    wanted = {_index(text, dataset, name) for text in classes}
    described = {**described, "classes": [_name(index, dataset) for index in sorted(wanted)]}
    if not classes:
        count = len(dataset) if limit is None else min(limit, len(dataset))
        return Selection(dataset, range(count), described)
    shown = (i for i in range(len(dataset)) if not wanted.isdisjoint(dataset.labels(i)))
    numbers = tuple(islice(shown, limit))
    if not numbers:
        raise UnseeError(f"{name!r} has no image of {', '.join(map(repr, classes))}: choose other classes")
    return Selection(dataset, numbers, described)


def _name(index: int, dataset: Dataset) -> str:
    """The name by which `_index` finds a class, or its index if its name is not unique."""
    names = [known.casefold() for known in dataset.classes]
    return dataset.classes[index] if names and names.count(names[index]) == 1 else str(index)


def _index(text: str, dataset: Dataset, name: str) -> int:
    """The class by its name, its WordNet id if it has one, or its index."""
    wanted = text.strip().casefold()
    for names in (dataset.classes, getattr(dataset, "wnids", ())):
        found = [i for i, known in enumerate(names) if known.casefold() == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnseeError(
                f"{name!r} has several classes called {text!r}: give {' or '.join(map(str, found))}"
            )
    index = int(wanted) if re.fullmatch("[0-9]{1,9}", wanted) else None
    if index is not None and (not dataset.classes or index < len(dataset.classes)):
        return index
    if not dataset.classes:
        raise UnseeError(f"{name!r} has no class names: give {text!r} as an index")
    close = nearest(wanted, [known.casefold() for known in dataset.classes])
    few = len(dataset.classes) <= _MOST
    choice = f"choose from {', '.join(dataset.classes)}" if few else "give the whole name, or an index"
    raise UnseeError(f"{name!r} has no class called {text!r}; {did_you_mean(close, choice)}")
