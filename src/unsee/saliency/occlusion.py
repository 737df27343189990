"""Occlusion (Zeiler and Fergus 2014) at the paper's setting: squares of the mean colour.

Own code: Captum's Occlusion has no squares that the border crops, so it evaluates 25 × 25 positions
instead of 28 × 28.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.occluders import hide, mean_fall, squares
from unsee.saliency.targets import classes_of, on_device


@neutral()
def occlusion(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    side: float = 35.0,
    stride: float = 8.0,
) -> Float[Tensor, "b h w"]:
    """The logit minus its mean over the squares that cover a pixel (supplement, §3).

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        side: of the squares, in pixels of a 224-pixel image; it scales with the image.
        stride: from one square to the next, likewise.

    Returns:
        How far the logit falls, of either sign.

    Raises:
        UnseeError: images or targets are invalid.
    """
    rows = classes_of(classifier, images, targets)
    inputs = on_device(classifier, images)
    color = inputs.new_tensor(classifier.color)[:, None, None].expand(inputs.shape[1:])
    size = (inputs.shape[2], inputs.shape[3])
    with classifier.borrowed():
        maps = [
            mean_fall(hide(classifier, image, row, color, squares(size, side, stride)))
            for image, row in zip(inputs, rows, strict=True)
        ]
    return torch.stack(maps)
