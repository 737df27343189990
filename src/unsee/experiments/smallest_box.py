"""Minimality (§5.3): how small a box suppresses the score, when it is fitted to a saliency map."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.scoring import scores_under
from unsee.tensors import Box, fitted_box, smooth

STEPS = 100
_SAME_SCORE = 1e-6


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
    view: Float[Tensor, "3 h w"],
    saliency: Float[Tensor, "hm wm"],
    target: tuple[int, ...],
    share: float = 0.9,
    blur: float = 10.0,
) -> SmallestBox | None:
    """The smallest box whose blurring takes away a share of the score.

    The map, brought to the input's size, is min-max normalised and cut at 0, 0.01, …, 1; each cut gives the
    tightest box round all that is left (§5.3; the authors' code has this step). None where no box will do, or
    where blurring the whole picture does not lower the score by 1e-6.

    Args:
        classifier: asked about each different box once.
        view: the picture at the input's size, in [0,1].
        saliency: at any size, high where salient; it is not changed.
        target: the classes whose probabilities are summed.
        share: of the normalised score that is to go, in (0,1].
        blur: deviation in pixels of the Gaussian.

    Raises:
        UnseeError: a share outside (0,1], or a map that is not finite.
    """
    return smallest_boxes(classifier, view, saliency, target, (share,), blur)[0]


def smallest_boxes(
    classifier: Classifier,
    view: Float[Tensor, "3 h w"],
    saliency: Float[Tensor, "hm wm"],
    target: tuple[int, ...],
    shares: tuple[float, ...],
    blur: float = 10.0,
) -> list[SmallestBox | None]:
    """`smallest_box` for several shares of the score, for the evaluations of one.

    Raises:
        UnseeError: a share outside (0,1], or a map that is not finite.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise UnseeError(f"a share of the score lies above 0 and up to 1, not {share}")
    found = blurred_boxes(classifier, view, saliency, target, blur)
    return [smallest_of(found, share) for share in shares]


@torch.no_grad()
def blurred_boxes(
    classifier: Classifier,
    view: Float[Tensor, "3 h w"],
    saliency: Float[Tensor, "hm wm"],
    target: tuple[int, ...],
    blur: float = 10.0,
) -> list[SmallestBox]:
    """Every different box that a map's cuts give, with the score that its blurring leaves, the largest first.

    None at all where blurring the whole picture does not lower the score by 1e-6.

    Raises:
        UnseeError: a map that is not finite.
    """
    picture = view.to(classifier.device, classifier.dtype)
    boxes = boxes_of(saliency, (view.shape[1], view.shape[2]), STEPS)
    keep = torch.ones(len(boxes) + 2, *view.shape[1:], device=picture.device, dtype=picture.dtype)
    keep[-1] = 0
    for row, (left, top, right, bottom) in zip(keep, boxes, strict=False):
        row[top:bottom, left:right] = 0
    scores = scores_under(classifier, picture, smooth(picture, blur), keep, target)
    original, reference = float(scores[-2]), float(scores[-1])
    if original - reference < _SAME_SCORE:
        return []
    return [
        SmallestBox(box, score, (original - score) / (original - reference))
        for box, score in zip(boxes, scores[:-2].tolist(), strict=True)
    ]


def smallest_of(found: Iterable[SmallestBox], share: float) -> SmallestBox | None:
    """The smallest box that takes away a share of the score, None where none does."""
    return min((box for box in found if box.suppression >= share), key=lambda box: box.area, default=None)


def boxes_of(saliency: Float[Tensor, "hm wm"], size: tuple[int, int], steps: int = STEPS) -> list[Box]:
    """The different boxes round what is left of a map at each of `steps` thresholds, the largest first.

    Raises:
        UnseeError: a map that is not finite.
    """
    small = saliency[None, None].float().cpu()
    large = F.interpolate(small, size, mode="bilinear", align_corners=False)[0, 0]
    whole = (0, 0, size[1], size[0])
    return list(dict.fromkeys([whole, *(fitted_box(large, step / steps) for step in range(1, steps + 1))]))
