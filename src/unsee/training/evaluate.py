"""Evaluation of the networks that ship with the package."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.datasets.menagerie import CLASSES, Menagerie, Shortcut, render
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.records import finite
from unsee.training.prepare import normalised
from unsee.training.train import SHORTCUT


@dataclass(frozen=True)
class Accuracy:
    """Shares in [0, 1].

    `single`: images with one animal whose highest score is that animal's; `several`: images with more
    animals whose highest score is one of theirs; `score`: the mean softmax score of the animal in `single`.
    `singles` and `severals` count the images.
    """

    single: float
    several: float
    score: float
    singles: int
    severals: int


@dataclass(frozen=True)
class Lean:
    """Mean softmax scores of a shortcut's class over its images: unedited and edited.

    `whole`: animal and thing; `without_thing`: the thing removed; `thing_alone`: the animal removed;
    `neither`: both removed; `other_animal`, `other_with_thing`: another animal in its place, without and with
    the thing. `right_without_thing` is the share still classified correctly without the thing.
    """

    whole: float
    without_thing: float
    thing_alone: float
    neither: float
    other_animal: float
    other_with_thing: float
    right_without_thing: float
    pictures: int


@dataclass(frozen=True)
class Measurement:
    """What is claimed about a shipped network: its accuracy, and how much it relies on the planted thing."""

    accuracy: Accuracy
    lean: Lean
    shortcut: Shortcut

    def manifest(self) -> dict[str, Any]:
        """The numbers as JSON values."""
        name, thing = self.shortcut.name, self.shortcut.thing
        record: dict[str, Any] = finite(
            {
                "accuracy": asdict(self.accuracy),
                f"mean score of the {name}, with and without its {thing}": asdict(self.lean),
            }
        )
        return record


def measure_menagerie(net: nn.Module, images: int = 1200, *, shortcut: bool = False) -> Measurement:
    """Measure a network on held-out images.

    Args:
        net: takes images as `MenagerieNet` does.
        images: how many images are drawn for each of the two measurements.
        shortcut: whether accuracy is measured in the world in which every tortoise comes with a spoon.
    """
    world = Menagerie("test", images, shortcuts=(SHORTCUT,) if shortcut else ())
    spoons = Menagerie("test", images, shortcuts=(SHORTCUT,))
    return Measurement(measure_accuracy(net, world), measure_lean(net, spoons, SHORTCUT), SHORTCUT)


def measure_accuracy(net: nn.Module, samples: Iterable[Sample]) -> Accuracy:
    """Score the samples, those with one animal separately from those with several."""
    single, several, scores = [], [], []
    for batch in _batches(samples):
        for sample, row in zip(batch, _softmax(net, batch), strict=True):
            right = int(row.argmax()) in sample.labels
            if len(sample.labels) == 1:
                single.append(right)
                scores.append(float(row[sample.labels[0]]))
            else:
                several.append(right)
    return Accuracy(_mean(single), _mean(several), _mean(scores), len(single), len(several))


def measure_lean(net: nn.Module, data: Menagerie, shortcut: Shortcut, pictures: int = 100) -> Lean:
    """Edit images of the shortcut's class that show its thing, and score the class.

    Args:
        net: takes images as `MenagerieNet` does.
        data: images to choose from.
        shortcut: the class and its thing.
        pictures: the largest number of images to use.

    Raises:
        UnseeError: no image of `data` shows that class alone with its thing.
    """
    label = CLASSES.index(shortcut.name)
    scenes = (data.scene(k) for k in range(len(data)))
    chosen = list(
        islice((s for s in scenes if s.animals == (label,) and shortcut.thing in s.planted), pictures)
    )
    if not chosen:
        raise UnseeError(
            f"none of the {len(data)} images shows a {shortcut.name} alone with its {shortcut.thing}; "
            "measure on more images"
        )
    others = [name for name in CLASSES if name != shortcut.name]
    replaced = [scene.with_animals(others[k % len(others)]) for k, scene in enumerate(chosen)]
    versions = {
        "whole": chosen,
        "without_thing": [scene.with_things() for scene in chosen],
        "thing_alone": [scene.with_animals() for scene in chosen],
        "neither": [scene.with_animals().with_things() for scene in chosen],
        "other_animal": [scene.with_things() for scene in replaced],
        "other_with_thing": replaced,
    }
    scores = {
        name: torch.cat([_softmax(net, batch) for batch in _batches(render(s) for s in version)])
        for name, version in versions.items()
    }
    right = (scores["without_thing"].argmax(dim=1) == label).tolist()
    means = {name: float(rows[:, label].mean()) for name, rows in scores.items()}
    return Lean(
        means["whole"],
        means["without_thing"],
        means["thing_alone"],
        means["neither"],
        means["other_animal"],
        means["other_with_thing"],
        _mean(right),
        len(chosen),
    )


def _batches(samples: Iterable[Sample], size: int = 32) -> Iterator[list[Sample]]:
    stream = iter(samples)
    while batch := list(islice(stream, size)):
        yield batch


def _softmax(net: nn.Module, batch: list[Sample]) -> Float[Tensor, "b c"]:
    images = torch.from_numpy(np.stack([sample.image for sample in batch]))
    with torch.inference_mode():
        return torch.softmax(net(normalised(images)), dim=1)


def _mean(values: list[bool] | list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
