"""Insertion and deletion curves (Petsiuk et al. 2018, RISE, §4.2), for comparison with newer work."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.memory import BATCH_SIZE
from unsee.metrics.maps import heights
from unsee.neutral import neutral
from unsee.tensors import smooth
from unsee.words import classes_below

STEPS = 224
_BLUR, _REACH = 5.0, 5


class Curve(NamedTuple):
    """Scores while pixels are replaced, the most salient first; on the CPU.

    `shares` are the fractions of pixels replaced, from 0 to 1; `scores` the summed probabilities of the
    target classes at each; `area` the area under the curve, by trapezoids.
    """

    shares: Float[Tensor, " k"]
    scores: Float[Tensor, "b k"]
    area: Float[Tensor, " b"]


@neutral()
def deletion(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    saliency: Float[Tensor, "b hm wm"],
    targets: Sequence[tuple[int, ...]],
    steps: int = STEPS,
    blank: Float[Tensor, "b c h w"] | None = None,
) -> Curve:
    """Deletion, from the image to a blank one: the lower the area, the better.

    Args:
        classifier: evaluated `steps` + 1 times for each image.
        images: at the network's input size, in [0,1].
        saliency: at any size, resized to the image bilinearly; ties are ordered row by row from the top.
        targets: the classes of each image whose probabilities are summed.
        steps: equal portions of the pixels, up to rounding.
        blank: the replacement; by default the classifier's mean colour, as in RISE.

    Raises:
        UnseeError: images, maps and targets do not fit together, or a map is not finite.
    """
    if blank is None:
        color = images.new_tensor(classifier.color)[:, None, None]
        blank = color.expand_as(images)
    return _exchanged(classifier, images, blank, saliency, targets, steps)


@neutral()
def insertion(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    saliency: Float[Tensor, "b hm wm"],
    targets: Sequence[tuple[int, ...]],
    steps: int = STEPS,
    start: Float[Tensor, "b c h w"] | None = None,
) -> Curve:
    """Insertion, from a blurred image to the image: the higher the area, the better.

    Args:
        classifier: evaluated `steps` + 1 times for each image.
        images: at the network's input size, in [0,1].
        saliency: at any size, resized to the image bilinearly; ties are ordered row by row from the top.
        targets: the classes of each image whose probabilities are summed.
        steps: equal portions of the pixels, up to rounding.
        start: the image that pixels are inserted into; by default blurred with a Gaussian of 5 pixels,
            truncated to 11 × 11.

    Raises:
        UnseeError: images, maps and targets do not fit together, or a map is not finite.
    """
    if start is None:
        start = smooth(images, _BLUR, _REACH)
    return _exchanged(classifier, start, images, saliency, targets, steps)


@torch.no_grad()
def _exchanged(
    classifier: Classifier,
    first: Float[Tensor, "b c h w"],
    last: Float[Tensor, "b c h w"],
    saliency: Float[Tensor, "b hm wm"],
    targets: Sequence[tuple[int, ...]],
    steps: int,
) -> Curve:
    """Scores while the pixels of one image are replaced with those of another."""
    height, width = first.shape[2], first.shape[3]
    if first.shape != last.shape:
        raise UnseeError(f"{tuple(last.shape)} pixels cannot replace {tuple(first.shape)}")
    if not len(first) == len(saliency) == len(targets) or len(first) == 0:
        counts = f"{len(first)}, {len(saliency)} and {len(targets)}"
        raise UnseeError(f"curves take as many images as maps and targets, at least 1; not {counts}")
    if not 1 <= steps <= height * width:
        raise UnseeError(f"{height * width} pixels take 1 to {height * width} steps, not {steps}")
    rank = pixel_ranks(saliency, (height, width)).to(classifier.device)
    gone = torch.arange(steps + 1) * (height * width) // steps
    start, end = (part.to(classifier.device, classifier.dtype) for part in (first, last))
    scores = []
    with classifier.borrowed():
        for some in torch.split(torch.arange(len(first) * (steps + 1)), BATCH_SIZE):
            rows = (some // (steps + 1)).to(rank.device)
            exchanged = rank[rows] < gone[some % (steps + 1)].to(rank)[:, None, None]
            logits = classifier.logits(torch.where(exchanged[:, None], end[rows], start[rows]))
            marks = _marks(logits, [targets[row] for row in rows.tolist()])
            scores.append(classifier.reading.target_scores(logits, marks))
    table = torch.cat(scores).cpu().double().reshape(len(first), steps + 1)
    shares = gone.double() / (height * width)
    return Curve(shares, table, torch.trapezoid(table, shares, dim=1))


def pixel_ranks(saliency: Float[Tensor, "b hm wm"], size: tuple[int, int]) -> Int[Tensor, "b h w"]:
    """The rank of each pixel, from the most salient to the least."""
    order = heights(saliency, size).flatten(1).argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).reshape(-1, *size)


def _marks(logits: Float[Tensor, "b c"], targets: Sequence[tuple[int, ...]]) -> Float[Tensor, "b c"]:
    """1 for each target class of each image, 0 elsewhere."""
    wanted = [index for row in targets for index in row]
    if not all(targets) or not 0 <= min(wanted) <= max(wanted) < logits.shape[1]:
        raise UnseeError(
            f"a target is not a class of the network, which has {classes_below(logits.shape[1])}"
        )
    marks = torch.zeros_like(logits)
    for row, classes in zip(marks, targets, strict=True):
        row[list(classes)] = 1
    return marks
