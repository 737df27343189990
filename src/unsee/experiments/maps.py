"""Which maps an experiment reads: one for each method, or maps that it makes itself."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset
from unsee.defaults import DEFAULT_PRESET
from unsee.masks import PRESETS
from unsee.masks.photos import TOP5
from unsee.masks.settings import Settings
from unsee.methods import METHODS
from unsee.runs.targets import EACH

MASK, MASK_TOP5 = "mask", "mask_top5"


@dataclass(frozen=True, eq=False)
class Setup:
    """What an experiment runs on.

    Args:
        classifiers: the networks, at least one.
        dataset: the images.
        methods: names in `unsee.METHODS`, or "mask_top5": the mask of the five best classes
            with the λ1 and β that the paper has for localisation; if each class is explained, as in pointing,
            the mask of that class with the same λ1 and β.
        preset: how masks are learned.
        target: what is explained in each image.
    """

    classifiers: tuple[Classifier, ...]
    dataset: Dataset
    methods: tuple[str, ...]
    preset: str
    target: str


@dataclass(frozen=True, eq=False)
class MapSource:
    """A method run over a data set: the maps of one store.

    Args:
        name: what its maps are called.
        method: a name in `unsee.METHODS`.
        dataset: the images.
        classifier: the network.
        preset: how masks are learned; other methods ignore it.
        target: what is explained in each image.
    """

    name: str
    method: str
    dataset: Dataset
    classifier: Classifier
    preset: str | Settings
    target: str


def of_methods(setup: Setup) -> list[MapSource]:
    """A source for each method, with the first network."""
    return [_of_method(setup, method) for method in setup.methods]


def _of_method(setup: Setup, method: str) -> MapSource:
    network = setup.classifiers[0]
    if method == MASK_TOP5:
        target = setup.target if setup.target == EACH else TOP5
        return MapSource(method, MASK, setup.dataset, network, five_best(setup.preset), target)
    return MapSource(method, method, setup.dataset, network, setup.preset, setup.target)


def five_best(preset: str = DEFAULT_PRESET) -> Settings:
    """A preset with the objective and the targets of `top5`."""
    published = PRESETS["top5"]
    own = look_up(PRESETS, preset, "preset")
    return replace(own, objective=published.objective, targets=published.targets)


def insistent(preset: str | Settings) -> Settings:
    """A preset that begins masks that have not converged again, once, as the preset `paper` does."""
    settings = look_up(PRESETS, preset, "preset") if isinstance(preset, str) else preset
    paper = PRESETS["paper"]
    start = paper.start.scaled(settings.perturbations[0].start_scale)
    return settings.until_converged(start, paper.optimiser)


def heat_of(method: str, saliency: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """A heatmap in [0,1]: masks as they are, other maps min-max normalised."""
    if method == MASK_TOP5 or METHODS[method].learned:
        return saliency.float()
    low, high = saliency.float().aminmax()
    return (saliency.float() - low) / (high - low) if high > low else torch.zeros_like(saliency.float())
