"""Blur occlusion (supplement, §4.1): occlusion with soft discs of blur in place of squares of one colour.

Own code: no library has it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.saliency.occluders import discs, hide, mean_fall, scale
from unsee.saliency.targets import Targets, classes_of, on_device
from unsee.tensors import smooth


def blur_occlusion(
    classifier: Classifier,
    images: Float[Tensor, "b 3 h w"],
    targets: Targets,
    diameter: float = 35.0,
    stride: float = 8.0,
    blur: float = 10.0,
) -> Float[Tensor, "b h w"]:
    """The logit less its mean over the discs that cover a pixel, each counted as far as it does.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        diameter: of the discs in pixels of a picture of 224; all sizes grow with it. They stand in the middle
            of the squares of `occlusion`.
        stride: from one to the next.
        blur: deviation of the Gaussian that softens the discs, and of the one that blurs the picture.

    Returns:
        Falls of the logit, of either sign.

    Raises:
        UnseeError: images or targets that are none.
    """
    rows = classes_of(images, targets)
    views = on_device(classifier, images)
    size = (views.shape[2], views.shape[3])
    unit = scale(size)
    places = [torch.arange(0, length / unit, stride) + (diameter - 1) / 2 for length in size]
    centers = torch.cartesian_prod(*places) * unit
    radii = torch.full((len(centers),), diameter / 2 * unit)
    with classifier.borrowed():
        maps = [
            mean_fall(
                hide(
                    classifier, view, row, smooth(view, blur * unit), discs(size, centers, radii, blur * unit)
                )
            )
            for view, row in zip(views, rows, strict=True)
        ]
    return torch.stack(maps)
