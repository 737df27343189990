"""The center baseline of the pointing game (Zhang et al. 2016): the centre of every image."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.targets import checked_classes


@neutral()
def center(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
) -> Float[Tensor, "b h w"]:
    """1 in the centre, falling with the distance to 0 in the corners; the network is not evaluated.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        In [0,1], the same for every image.

    Raises:
        UnseeError: images or targets are invalid.
    """
    checked_classes(classifier.input_shape[0], images, targets)
    rows, columns = (
        torch.arange(side, device=images.device, dtype=images.dtype) - (side - 1) / 2
        for side in images.shape[-2:]
    )
    distance = torch.hypot(rows[:, None], columns)
    return (1 - distance / distance.max().clamp(min=1)).expand(len(images), -1, -1).clone()
