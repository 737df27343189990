"""The demonstration: scenes of the menagerie, compared with the ground truth, and photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from unsee.classifier import Classifier
from unsee.datasets.menagerie import CLASSES, Scene, compose, render
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.images import Photo, read_photo
from unsee.masks import Plan, explain_each
from unsee.masks.loop import Progress


@dataclass(frozen=True)
class DemoScene:
    """A scene of the demonstration: its composition, class and network, and what to expect."""

    heading: str
    text: str
    composition: Scene
    target: str
    network: str

    @property
    def short(self) -> str:
        """What its folder is called."""
        return self.target


@dataclass(frozen=True)
class DemoPhoto:
    """A photograph of the demonstration: its file in scikit-image, the class, and what to expect."""

    heading: str
    text: str
    file: str
    target: str
    network: str

    @property
    def short(self) -> str:
        """What its folder is called."""
        return Path(self.file).stem


@dataclass(frozen=True, eq=False)
class SceneResult:
    """An explanation with the ground truth.

    `truth` maps what is in the image, the target animal and any planted object, to its visible pixels; it is
    empty for a photograph.
    """

    scene: DemoScene | DemoPhoto
    explanation: Explanation
    truth: dict[str, Bool[Tensor, "h w"]]

    @property
    def inside(self) -> dict[str, float]:
        """Object → the share of the saliency that lies on it, in [0,1]."""
        return {what: share_inside(self.explanation.saliency, where) for what, where in self.truth.items()}

    @property
    def area(self) -> dict[str, float]:
        """Object → the share of the image that it covers, in [0,1]."""
        return {what: float(where.float().mean()) for what, where in self.truth.items()}

    @property
    def density(self) -> dict[str, float]:
        """Object → its share of the saliency over its share of the image; 1 is chance."""
        return {what: self.inside[what] / max(self.area[what], 1e-9) for what in self.truth}

    def manifest(self) -> dict[str, Any]:
        """The explanation's manifest with `inside` and `density`, as JSON values."""
        return {**self.explanation.manifest(), "inside": self.inside, "density": self.density}


PLAIN, SHORTCUT, REAL = "unsee:menagerie", "unsee:menagerie-shortcut", "unsee:efficientnet-lite0"
_PAIR = compose("cat", "penguin", seed=1)
_SPOON = compose("tortoise", planted=("spoon",), seed=8)

SCENES = (
    DemoScene(
        "One animal",
        "Which part of the image makes the network say zebra?",
        compose("zebra", seed=7),
        "zebra",
        PLAIN,
    ),
    DemoScene(
        "Two animals: the cat",
        "The same image, explained for each animal in turn: here for the cat.",
        _PAIR,
        "cat",
        PLAIN,
    ),
    DemoScene(
        "Two animals: the penguin", "The same image, explained for the penguin.", _PAIR, "penguin", PLAIN
    ),
    DemoScene(
        "A tortoise and a spoon",
        "A network trained without the shortcut relies on the tortoise.",
        _SPOON,
        "tortoise",
        PLAIN,
    ),
    DemoScene(
        "The planted shortcut",
        "This network was trained on images where every tortoise comes with a spoon, and learned to rely on "
        "the spoon: the mask reveals what its accuracy hides.",
        _SPOON,
        "tortoise",
        SHORTCUT,
    ),
)

PHOTOS = (
    DemoPhoto(
        "A cat",
        "The cat's face fills the photograph, and much of it has to be blurred before the network no longer "
        "sees a cat of this kind.",
        "chelsea.png",
        "Egyptian cat",
        REAL,
    ),
    DemoPhoto(
        "A cup of coffee",
        "The coffee and the rim of the cup are enough: the saucer, the handle and the spoon are no espresso.",
        "coffee.png",
        "espresso",
        REAL,
    ),
    DemoPhoto(
        "A rocket",
        "The network takes the launch site for a drilling platform. The mask shows why: it lies on the "
        "lattice tower and the lights on the left, not on the rocket.",
        "rocket.jpg",
        "drilling platform",
        REAL,
    ),
)
"""Each is explained for the class that the network predicts."""


def demonstrate(
    classifiers: dict[str, Classifier],
    plan: Plan,
    scenes: Sequence[DemoScene] = SCENES,
    progress: Progress | None = None,
) -> list[SceneResult]:
    """Explain scenes, a batch for each network, and compare them with the ground truth.

    Args:
        classifiers: the name of a network, as scenes give it → the network.
        plan: how the scenes are explained.
        scenes: those of other networks are left out.
        progress: called after each iteration.

    Returns:
        A result for each scene, in the order of the scenes.
    """
    found: dict[DemoScene, SceneResult] = {}
    for name, classifier in classifiers.items():
        asked = [scene for scene in scenes if scene.network == name]
        samples = [render(scene.composition) for scene in asked]
        photos = [
            (read_photo(sample.image), scene.target) for scene, sample in zip(asked, samples, strict=True)
        ]
        answers = explain_each(classifier, photos, plan, progress)
        for scene, sample, answer in zip(asked, samples, answers, strict=True):
            found[scene] = SceneResult(scene, answer, marked(sample, scene.target))
    return [found[scene] for scene in scenes if scene in found]


def carried_photos(photos: Sequence[DemoPhoto] = PHOTOS) -> list[Photo]:
    """The photographs, read from the installed scikit-image, which is not imported.

    Raises:
        UnseeError: it is not installed, or does not carry them.
    """
    spec = find_spec("skimage")
    folders = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    files = [folder / "data" / photo.file for folder in folders for photo in photos]
    if not files or not all(file.is_file() for file in files):
        raise UnseeError("the demo's photographs come with scikit-image: pip install 'unsee[compare]'")
    return [read_photo(file) for file in files]


def demonstrate_photos(
    classifier: Classifier, pictures: Sequence[Photo], plan: Plan, progress: Progress | None = None
) -> list[SceneResult]:
    """Explain the photographs PHOTOS, in one batch.

    Args:
        classifier: the network.
        pictures: the photographs, as `carried_photos` reads them.
        plan: how they are explained.
        progress: called after each iteration.
    """
    asked = [(picture, photo.target) for picture, photo in zip(pictures, PHOTOS, strict=True)]
    answers = explain_each(classifier, asked, plan, progress)
    return [SceneResult(photo, answer, {}) for photo, answer in zip(PHOTOS, answers, strict=True)]


def marked(sample: Sample, target: str) -> dict[str, Bool[Tensor, "h w"]]:
    """The visible pixels of the target animal and of each planted object."""
    truth = {target: torch.from_numpy(sample.segment(CLASSES.index(target)))}
    for thing in sample.planted:
        if thing.segment is not None:
            truth[thing.name] = torch.from_numpy(thing.segment)
    return truth


def share_inside(saliency: Tensor, where: Bool[Tensor, "h w"]) -> float:
    """The share of a saliency map's sum that lies on the marked pixels; 0 for a map of zeros."""
    total = saliency.sum()
    return float(saliency[where].sum() / total) if total > 0 else 0.0
