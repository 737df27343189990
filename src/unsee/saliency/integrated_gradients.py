"""Integrated gradients (Sundararajan et al. 2017). Computed by Captum's IntegratedGradients."""

from jaxtyping import Float
from torch import Tensor, cat, enable_grad

from unsee.classifier import Classifier
from unsee.memory import BATCH_SIZE
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.libraries import library
from unsee.saliency.targets import classes_of, on_device, score_of


@neutral()
def integrated_gradients(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets, steps: int = 50
) -> Float[Tensor, "b h w"]:
    """Mean gradients on the line from the mean colour to the image, times the difference, over the colours.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        steps: points on the line (Gauss-Legendre); each costs one forward and backward pass.

    Returns:
        Contributions, of either sign; they add up to the image's logit minus that of the mean colour.

    Raises:
        UnseeError: images or targets are invalid.
    """
    classes = classes_of(classifier, images, targets)
    maps: list[Tensor] = []
    with classifier.borrowed(), enable_grad():
        inputs = on_device(classifier, images)
        start = inputs.new_tensor(classifier.color)[None, :, None, None].expand(1, *inputs.shape[1:])
        for image, row in zip(inputs, classes, strict=True):
            method = library("captum.attr").IntegratedGradients(score_of(classifier, [row]))
            maps.append(method.attribute(image[None], start, n_steps=steps, internal_batch_size=BATCH_SIZE))
    summed: Tensor = cat(maps).detach().sum(dim=1)
    return summed
