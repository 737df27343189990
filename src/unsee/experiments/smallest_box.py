"""Minimality (§5.3): the smallest box, fitted to a saliency map, that suppresses the score."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.masked_scores import scores_under
from unsee.fits import Fit
from unsee.tensors import Box, fitted_box, smooth

STEPS = 100
_SAME_SCORE = 1e-6
_NEAR = 1e-6


@dataclass(frozen=True)
class SmallestBox:
    """A box [x0, y0, x1, y1) in pixels of the network's input, and the score with it blurred."""

    box: Box
    score: float
    suppression: float

    @property
    def area(self) -> int:
        """Its area in pixels of the network's input."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


def smallest_box(
    classifier: Classifier,
    image: Float[Tensor, "c h w"],
    saliency: Float[Tensor, "hm wm"],
    target: tuple[int, ...],
    share: float = 0.9,
    blur: float = 10.0,
) -> SmallestBox | None:
    """The smallest box whose blurring removes a share of the score.

    The map, resized to the input, is min-max normalised and thresholded at 0, 0.01, …, 1; each threshold
    gives the tightest box around the rest (§5.3; the step is that of the authors' code).

    Args:
        classifier: evaluated once for each distinct box.
        image: at the input's size, in [0,1].
        saliency: at any size, high where salient.
        target: the classes whose probabilities are summed.
        share: of the normalised score to remove, in (0, 1].
        blur: standard deviation of the Gaussian, in pixels.

    Returns:
        None if no box suffices, or if blurring the whole image lowers the score by less than 1e-6.

    Raises:
        UnseeError: share is outside (0, 1], or the map is not finite.
    """
    return smallest_boxes(classifier, image, saliency, target, (share,), blur)[0]


def smallest_boxes(
    classifier: Classifier,
    image: Float[Tensor, "c h w"],
    saliency: Float[Tensor, "hm wm"],
    target: tuple[int, ...],
    shares: tuple[float, ...],
    blur: float = 10.0,
) -> list[SmallestBox | None]:
    """`smallest_box` for several shares of the score, with the evaluations of one.

    Args:
        classifier, image, saliency, target, blur: as in `smallest_box`.
        shares: of the normalised score to remove, each in (0, 1].

    Returns:
        A box for each share, or None where none suffices.

    Raises:
        UnseeError: a share is outside (0, 1], or the map is not finite.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise UnseeError(f"share must be in (0, 1], got {share}")
    found = blurred_boxes(classifier, image, saliency, target, blur)
    return [smallest_of(found, share) for share in shares]


@torch.no_grad()
def blurred_boxes(
    classifier: Classifier,
    image: Float[Tensor, "c h w"],
    saliency: Float[Tensor, "hm wm"],
    target: tuple[int, ...],
    blur: float = 10.0,
) -> list[SmallestBox]:
    """Every distinct box of a map's thresholds, with the score after blurring it, the largest first.

    The list is empty if blurring the whole image lowers the score by less than 1e-6.

    Args:
        classifier: evaluated once for each distinct box.
        image: at the input's size, in [0,1].
        saliency: at any size, high where salient.
        target: the classes whose probabilities are summed.
        blur: standard deviation of the Gaussian, in pixels.

    Raises:
        UnseeError: the map is not finite.
    """
    moved = image.to(classifier.device, classifier.dtype)
    boxes = boxes_of(saliency, (image.shape[1], image.shape[2]), STEPS)
    keep = torch.ones(len(boxes) + 2, *image.shape[1:], device=moved.device, dtype=moved.dtype)
    keep[-1] = 0
    for row, (left, top, right, bottom) in zip(keep, boxes, strict=False):
        row[top:bottom, left:right] = 0
    scores = scores_under(classifier, moved, smooth(moved, blur), keep, target)
    original, reference = float(scores[-2]), float(scores[-1])
    if original - reference < _SAME_SCORE:
        return []
    return [
        SmallestBox(box, score, (original - score) / (original - reference))
        for box, score in zip(boxes, scores[:-2].tolist(), strict=True)
    ]


def smallest_of(found: Iterable[SmallestBox], share: float) -> SmallestBox | None:
    """The smallest box that removes a share of the score, None if none does."""
    return min((box for box in found if box.suppression >= share), key=lambda box: box.area, default=None)


def boxes_of(saliency: Float[Tensor, "hm wm"], size: tuple[int, int], steps: int = STEPS) -> list[Box]:
    """The distinct boxes around the part of a map above each of `steps` thresholds, the largest first.

    Raises:
        UnseeError: the map is not finite.
    """
    small = saliency[None, None].float().cpu()
    large = F.interpolate(small, size, mode="bilinear", align_corners=False)[0, 0]
    whole = (0, 0, size[1], size[0])
    return list(dict.fromkeys([whole, *(fitted_box(large, step / steps) for step in range(1, steps + 1))]))


def box_on_photo(box: Box, fit: Fit, photo: tuple[int, int], size: tuple[int, int]) -> Box:
    """A box in pixels of the network's input as the smallest box in pixels of the photo that covers it.

    Args:
        box: [x0, y0, x1, y1).
        fit: how the photo was fitted to the input.
        photo: height and width of the photo.
        size: height and width of the input.
    """
    left, top, right, bottom = fit.window(photo, size)
    across, down = (right - left) / size[1], (bottom - top) / size[0]
    corners = zip((left, top) * 2, box, (across, down) * 2, strict=True)
    x0, y0, x1, y1 = (start + place * unit for start, place, unit in corners)
    return math.floor(x0 + _NEAR), math.floor(y0 + _NEAR), math.ceil(x1 - _NEAR), math.ceil(y1 - _NEAR)
