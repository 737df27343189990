"""Occlusion (Zeiler and Fergus 2014) at the paper's setting: squares of the mean colour.

Own code: Captum's Occlusion has no squares that the border cuts off, so that it looks at 25 × 25 places
instead of 28 × 28.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.saliency.occluders import hide, mean_fall, squares
from unsee.saliency.targets import Targets, classes_of, on_device


def occlusion(
    classifier: Classifier,
    images: Float[Tensor, "b 3 h w"],
    targets: Targets,
    side: float = 35.0,
    stride: float = 8.0,
) -> Float[Tensor, "b h w"]:
    """The logit less its mean over the squares that cover a pixel (supplement, §3).

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        side: of the squares in pixels of a picture of 224; they grow with it.
        stride: from one to the next, likewise.

    Returns:
        Falls of the logit, of either sign.

    Raises:
        UnseeError: images or targets that are none.
    """
    rows = classes_of(images, targets)
    views = on_device(classifier, images)
    color = views.new_tensor(classifier.color)[:, None, None].expand(views.shape[1:])
    size = (views.shape[2], views.shape[3])
    with classifier.borrowed():
        maps = [
            mean_fall(hide(classifier, view, row, color, squares(size, side, stride)))
            for view, row in zip(views, rows, strict=True)
        ]
    return torch.stack(maps)
