"""Blur occlusion (supplement, §4.1): occlusion with soft discs of blur instead of squares of one colour.

Own code: no library has it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.occluders import discs, hide, mean_fall, scale
from unsee.saliency.targets import classes_of, on_device
from unsee.tensors import smooth


@neutral()
def blur_occlusion(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    diameter: float = 35.0,
    stride: float = 8.0,
    blur: float = 10.0,
) -> Float[Tensor, "b h w"]:
    """The logit minus its mean over the discs that cover a pixel, weighted by how much each covers it.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        diameter: of the discs, in pixels of a 224-pixel image; all sizes scale with the image. The discs have
            the centres of the squares of `occlusion`.
        stride: from one disc to the next.
        blur: standard deviation of the Gaussian that softens the discs, and of the one that blurs the image.

    Returns:
        How far the logit falls, of either sign.

    Raises:
        UnseeError: images or targets are invalid.
    """
    rows = classes_of(classifier, images, targets)
    inputs = on_device(classifier, images)
    size = (inputs.shape[2], inputs.shape[3])
    unit = scale(size)
    places = [torch.arange(0, length / unit, stride) + (diameter - 1) / 2 for length in size]
    centers = torch.cartesian_prod(*places) * unit
    radii = torch.full((len(centers),), diameter / 2 * unit)
    with classifier.borrowed():
        maps = [
            mean_fall(
                hide(
                    classifier,
                    image,
                    row,
                    smooth(image, blur * unit),
                    discs(size, centers, radii, blur * unit),
                )
            )
            for image, row in zip(inputs, rows, strict=True)
        ]
    return torch.stack(maps)
