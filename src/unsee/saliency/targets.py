"""Checked images, the target classes of each, and their score: the sum of their logits."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.words import classes_below, counted

ImageScore = Callable[[Tensor], Tensor]
"""Images (B,C,H,W) in [0,1] → scores (B,)."""

_OUTSIDE = 1e-3
"""How far a resized image may lie outside [0,1]."""


def classes_of(classifier: Classifier, images: object, targets: object) -> list[tuple[int, ...]]:
    """The target classes of each image, after checking both; the network's head is known from then on.

    Args:
        classifier: says how many channels images have.
        images: (B,C,H,W) in [0,1].
        targets: a class, or a set of them, for each image.

    Raises:
        UnseeError: images or targets are invalid, or their numbers differ.
    """
    found = checked_classes(classifier.input_shape[0], images, targets)
    _ = classifier.reading  # before hooks and overrides that would see the probe images
    return found


def checked_classes(channels: int, images: object, targets: object) -> list[tuple[int, ...]]:
    """The same for images of some channels, without a network.

    Raises:
        UnseeError: images or targets are invalid, or their numbers differ.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != channels:
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise UnseeError(f"saliency takes images of shape (batch, {channels}, height, width), not {shape}")
    if len(images) == 0:
        raise UnseeError("saliency takes at least one image, got none")
    if not images.is_floating_point():
        raise UnseeError(f"saliency takes images in [0,1] as floats, not {images.dtype}")
    low, high = (float(end) for end in images.detach().aminmax())
    if low < -_OUTSIDE or high > 1 + _OUTSIDE:
        raise UnseeError(f"saliency takes images in [0,1], not from {low:.3g} to {high:.3g}")
    listed = targets.tolist() if isinstance(targets, Tensor | np.ndarray) else targets
    if not isinstance(listed, list | tuple):
        raise UnseeError(f"targets are a list, one for each image, not {type(targets).__name__}")
    if len(listed) != len(images):
        raise UnseeError(
            f"{counted(len(images), 'image')} and {counted(len(listed), 'target')}: give one for each"
        )
    return [_classes(target) for target in listed]


def _classes(target: object) -> tuple[int, ...]:
    several = tuple(target) if isinstance(target, list | tuple | set | frozenset) else (target,)
    whole = all(isinstance(index, int | np.integer) and index >= 0 for index in several)
    if not several or not whole or any(isinstance(index, bool) for index in several):
        raise UnseeError(f"a target is a class index or a non-empty set of them, got {target!r}")
    return tuple(map(int, several))


def chosen(logits: Float[Tensor, "b c"], classes: Sequence[tuple[int, ...]]) -> Float[Tensor, "b c"]:
    """1 for each target class of each image, 0 elsewhere.

    Raises:
        UnseeError: the network has no such class.
    """
    highest = max(max(row) for row in classes)
    if highest >= logits.shape[1]:
        raise UnseeError(f"the network has no class {highest}: it has {classes_below(logits.shape[1])}")
    marks = torch.zeros_like(logits)
    for row, indices in zip(marks, classes, strict=True):
        row[list(indices)] = 1
    return marks


def score_of(classifier: Classifier, classes: Sequence[tuple[int, ...]]) -> ImageScore:
    """The sum of the target classes' logits, as a function of the images alone.

    Where a method evaluates every image several times in a row, each copy keeps its image's classes.
    """

    def score(images: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        times = len(images) // len(classes)
        logits = classifier.logits(images)
        return (logits * chosen(logits, [row for row in classes for _ in range(times)])).sum(dim=1)

    return score


def on_device(classifier: Classifier, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The images on the network's device, detached from their history; gradients can pass them."""
    given = images.detach().to(classifier.device, classifier.dtype)
    return given.clone() if given.is_inference() else given
