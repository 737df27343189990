"""Small random networks and photos, and the pictures made from them for both versions of the method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.fits import Squash
from unsee.images import Photo
from unsee.masks.edits.edit import Perturbation
from unsee.masks.learner import learn_each
from unsee.masks.loop import Progress
from unsee.masks.network_input import NetworkInput
from unsee.masks.outcome import Learned
from unsee.masks.requests import MaskRequest
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings

ACTIVATIONS = {"smooth": nn.Softplus, "relu": nn.ReLU}
COLOR = (0.45, 0.5, 0.4)


def small_net(classes: int = 7, activation: str = "smooth", seed: int = 0) -> nn.Module:
    """Two convolutions and a linear layer, float64, whose logits spread by a few units."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 5, 5, stride=2, padding=2),
            ACTIVATIONS[activation](),
            nn.Conv2d(5, 6, 3, stride=2, padding=1),
            ACTIVATIONS[activation](),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Linear(54, classes),
        ).double()
    with torch.no_grad():
        net[-1].weight *= 60
        net[-1].bias -= net(torch.zeros(1, 3, 48, 48, dtype=torch.float64))[0]
    return net


class Untrainable(nn.Module):
    """A network whose answers have no gradient, as one behind a server."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def learn_masks(
    classifier: Classifier,
    requests: Sequence[MaskRequest],
    settings: Settings,
    progress: Progress | None = None,
) -> list[Learned]:
    """One mask for each request, in order, all in one batch."""
    left = [list(requests)]

    def all_at_once(_: int) -> Sequence[MaskRequest]:
        return left.pop() if left else []

    found = dict(learn_each(classifier, all_at_once, settings, len(requests), progress=progress))
    return [found[request.id] for request in requests]


def small_photo(seed: int, size: tuple[int, int]) -> Photo:
    """Coloured blobs and some grain, float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.normal(size=(3, *size)), (0, 4, 4), mode="wrap")
    pixels = 0.5 + 0.25 * blobs / blobs.std() + 0.08 * rng.normal(size=(3, *size))
    return Photo(torch.from_numpy(pixels.clip(0, 1)).float(), f"photo {seed}", None, "0" * 64, ())


def input_of(photo: Photo, size: tuple[int, int], margin: int = 0, seed: int = 0) -> NetworkInput:
    """The photo squashed to the input, in float64."""
    return NetworkInput(photo, size, margin, Squash(), COLOR, seed, torch.float64)


@dataclass(frozen=True)
class Bench:
    """A classifier, photos at its input and their targets: what both versions are given."""

    classifier: Classifier
    inputs: tuple[NetworkInput, ...]
    targets: tuple[tuple[int, ...], ...]
    classes: int

    @property
    def net(self) -> Callable[[Tensor], Tensor]:
        """The black box from pictures in [0, 1] to logits, normalised by hand."""
        mean, std = (
            torch.tensor(v, dtype=torch.float64).reshape(1, 3, 1, 1)
            for v in (self.classifier.mean, self.classifier.std)
        )
        return lambda pictures: self.classifier.net((pictures - mean) / std)

    def noise(self, settings: Settings, iteration: int) -> Tensor | None:
        """What is added to the pictures in one iteration: the implementation's draws, in [0, 1]'s units."""
        draws = self.scoring(settings).noise_at(torch.full((len(self.inputs),), iteration))
        std = torch.tensor(self.classifier.std, dtype=torch.float64).reshape(1, 3, 1, 1)
        return None if draws is None else std * draws

    def scoring(self, settings: Settings) -> Scoring:
        """What the implementation scores masks against."""
        return Scoring.prepare(
            self.classifier,
            self.inputs,
            self.targets,
            self.classes,
            settings.perturbations,
            settings.objective.score_on("softmax"),
            settings.input_noise,
        )

    @property
    def requests(self) -> list[MaskRequest]:
        """The photos as the learner takes them."""
        pairs = zip(self.inputs, self.targets, strict=True)
        return [MaskRequest(row, one, target, self.classes) for row, (one, target) in enumerate(pairs)]

    def references(self, edits: Sequence[Perturbation], row: int, place: int) -> list[np.ndarray]:
        """The perturbed pictures of one photo: still where `place` is 0, on the canvas where it is 1."""
        return [edit.references(self.inputs[row])[place].numpy() for edit in edits]


def bench(
    settings: Settings,
    size: tuple[int, int] = (48, 48),
    ranks: tuple[tuple[int, ...], ...] = ((0,),),
    activation: str = "smooth",
    seed: int = 0,
    classes: int = 7,
) -> Bench:
    """One photo for each entry of `ranks`, no two of a size or a seed.

    The targets are the classes of these ranks, 0 for the best, on the clean photo.
    """
    inputs = tuple(
        input_of(small_photo(10 * seed + i, (60 + 7 * i, 70 - 5 * i)), size, settings.margin, seed + i)
        for i in range(len(ranks))
    )
    classifier = Classifier(small_net(classes, activation, seed), size=size, mean_color=COLOR)
    best = classifier.probabilities(torch.stack([one.plain for one in inputs])).argsort(descending=True)
    targets = tuple(tuple(row[list(wanted)].tolist()) for row, wanted in zip(best, ranks, strict=True))
    return Bench(classifier, inputs, targets, classes)
