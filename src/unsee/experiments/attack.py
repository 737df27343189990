"""Adversarial images (§5.5): the iterative sign attack of Kurakin et al. 2016, as a data set."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset, description
from unsee.datasets.picture import dataset_for, photo_of
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.fits import Squash
from unsee.masks.network_input import photo_for
from unsee.neutral import neutral
from unsee.saliency.targets import on_device
from unsee.target_scores import SIGMOID, SOFTMAX

EPSILON = 8 / 255
_KEPT = 512


@neutral()
def attacked(
    classifier: Classifier, images: Float[Tensor, "b c h w"], epsilon: float, steps: int
) -> Float[Tensor, "b c h w"]:
    """Images attacked to lower the score of their best class: x ← clip(x + α·sign ∇L(x, best class of x₀)).

    Kurakin, Goodfellow & Bengio 2016, eq. (2): each step of α = 1.25·ε / steps raises the cross-entropy of
    the initially best class; x stays within ε of the image and in [0,1]. The result is rounded to 8 bits.

    Args:
        classifier: borrowed, and given back as it was.
        images: at the network's input, in [0,1].
        epsilon: the largest change of a pixel value, in (0,1).
        steps: number of steps; 1 is the fast gradient sign method.

    Raises:
        UnseeError: epsilon is outside (0,1), steps is below 1, or the network gives no gradient.
    """
    if not 0 < epsilon < 1 or steps < 1:
        raise UnseeError(f"an attack needs epsilon in (0,1) and at least one step, got {epsilon} and {steps}")
    check_attackable(classifier)
    first = on_device(classifier, images)
    low, high = (first - epsilon).clamp(min=0), (first + epsilon).clamp(max=1)
    changed = first
    with classifier.borrowed(), torch.enable_grad():
        best = classifier.logits(first).argmax(dim=1)
        for _ in range(steps):
            changed = changed.detach().requires_grad_(True)
            loss = _loss(classifier.logits(changed), best, classifier.reading.kind)
            (gradient,) = torch.autograd.grad(loss, changed)
            changed = (changed + 1.25 * epsilon / steps * gradient.sign()).clamp(low, high)
    return (changed.detach() * 255).round().div(255).float().cpu()


def check_attackable(classifier: Classifier) -> None:
    """Refuse a network whose images cannot be attacked.

    Raises:
        UnseeError: it gives no gradient.
    """
    if not classifier.reading.differentiable:
        raise UnseeError(f"{classifier.name} gives no gradient, and the attack on its images needs one")


def _loss(logits: Float[Tensor, "b c"], best: Int[Tensor, " b"], kind: str) -> Float[Tensor, ""]:
    """What the attack raises: the negative log-probability of a class, or its negative score."""
    if kind == SOFTMAX:
        return F.cross_entropy(logits, best, reduction="sum")
    own = logits.gather(1, best[:, None])
    return F.softplus(-own).sum() if kind == SIGMOID else -own.sum()


@dataclass(frozen=True, eq=False)
class Adversarial:
    """The images of a data set at the network's input, each changed by the attack.

    Ids and labels stay; objects are left out, since their boxes are in pixels of the original image.
    """

    dataset: Dataset
    classifier: Classifier
    epsilon: float = EPSILON
    steps: int = 10
    kept: OrderedDict[int, Sample] = field(default_factory=OrderedDict, repr=False)

    @property
    def described(self) -> dict[str, Any]:
        """The data set and the attack, as JSON values."""
        attack = {"epsilon": self.epsilon, "steps": self.steps, "network": self.classifier.name}
        return {**description(self.dataset), "attack": attack}

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return self.dataset.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        if index not in self.kept:
            self.kept[index] = self._changed(dataset_for(self.classifier, self.dataset)[index])
            if len(self.kept) > _KEPT:
                self.kept.popitem(last=False)
        return self.kept[index]

    def id(self, index: int) -> str:
        """The name of an image."""
        return self.dataset.id(index)

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes in an image."""
        return self.dataset.labels(index)

    def _changed(self, sample: Sample) -> Sample:
        photo = photo_for(self.classifier, photo_of(sample))
        image = Squash().apply(photo.pixels, self.classifier.size)
        pixels = attacked(self.classifier, image[None], self.epsilon, self.steps)[0]
        rounded = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0)
        return Sample(sample.id, np.ascontiguousarray(rounded.numpy()), sample.label)
