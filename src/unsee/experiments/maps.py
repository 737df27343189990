"""Which maps an experiment reads: one of each method, or those that it asks for itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset
from unsee.experiments.experiment import Experiment
from unsee.masks import PRESETS
from unsee.masks.settings import Settings

MASK, MASK_TOP5 = "mask", "mask_top5"
TOP5, EACH = "top5", "each"


@dataclass(frozen=True, eq=False)
class Setup:
    """What an experiment is done with.

    Args:
        classifiers: the networks, at least one.
        dataset: the pictures.
        methods: names in `unsee.METHODS`, or "mask_top5": the mask of the five best classes
            with the λ1 and β that the paper has for localisation; where each class is asked about, as in
            pointing, that class's mask with the same λ1 and β.
        preset: how masks are learned.
        target: what is asked about each picture.
    """

    classifiers: tuple[Classifier, ...]
    dataset: Dataset
    methods: tuple[str, ...]
    preset: str
    target: str


@dataclass(frozen=True, eq=False)
class MapSource:
    """A method that looks at a data set: the maps of one store.

    Args:
        name: what its maps are called.
        method: a name in `unsee.METHODS`.
        dataset: the pictures.
        classifier: the network.
        preset: how the mask is learned; other methods have no use for it.
        target: what is asked about each picture.
    """

    name: str
    method: str
    dataset: Dataset
    classifier: Classifier
    preset: str | Settings
    target: str


class Picture(Enum):
    """What the first pictures of an experiment are drawn as: maps with edited pictures, boxes, keypoints."""

    MAPS = "maps"
    BOXES = "boxes"
    POINTS = "points"


@runtime_checkable
class OwnMaps(Experiment, Protocol):
    """An experiment that asks for its own maps, and has pictures to show."""

    @property
    def shows(self) -> Picture:
        """How its first pictures are drawn."""

    def map_sources(self, setup: Setup) -> Sequence[MapSource]:
        """The maps that it reads; those of the first look say what was asked."""


def of_methods(setup: Setup) -> list[MapSource]:
    """One look for each method, by the first network."""
    return [_of_method(setup, method) for method in setup.methods]


def _of_method(setup: Setup, method: str) -> MapSource:
    network = setup.classifiers[0]
    if method == MASK_TOP5:
        target = setup.target if setup.target == EACH else TOP5
        return MapSource(method, MASK, setup.dataset, network, five_best(), target)
    return MapSource(method, method, setup.dataset, network, setup.preset, setup.target)


def five_best() -> Settings:
    """The objective of the preset `top5`, reached the fast way."""
    published = PRESETS["top5"]
    return replace(PRESETS["fast"], objective=published.objective, targets=published.targets)


def heat_of(method: str, saliency: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """A heatmap in [0,1]: a mask's as it was learned, another's min-max normalised."""
    if method in (MASK, MASK_TOP5):
        return saliency.float()
    low, high = saliency.float().aminmax()
    return (saliency.float() - low) / (high - low) if high > low else torch.zeros_like(saliency.float())
