"""Integrated gradients (Sundararajan et al. 2017). Captum's IntegratedGradients does it."""

from jaxtyping import Float
from torch import Tensor, cat, enable_grad

from unsee.classifier import Classifier
from unsee.memory import BATCH_SIZE
from unsee.saliency.libraries import library
from unsee.saliency.targets import Targets, classes_of, on_device, score_of


def integrated_gradients(
    classifier: Classifier, images: Float[Tensor, "b 3 h w"], targets: Targets, steps: int = 50
) -> Float[Tensor, "b h w"]:
    """Slopes along the straight line from the mean colour to the picture, times the way, over the colours.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        steps: points on the line (Gauss-Legendre); each costs one forward and backward pass.

    Returns:
        Shares of the logit, of either sign; they add up to what the picture has more than the mean colour.

    Raises:
        UnseeError: images or targets that are none.
    """
    classes = classes_of(images, targets)
    maps: list[Tensor] = []
    with classifier.borrowed(), enable_grad():
        views = on_device(classifier, images)
        start = views.new_tensor(classifier.color)[None, :, None, None].expand(1, *views.shape[1:])
        for view, row in zip(views, classes, strict=True):
            method = library("captum.attr").IntegratedGradients(score_of(classifier, [row]))
            maps.append(method.attribute(view[None], start, n_steps=steps, internal_batch_size=BATCH_SIZE))
    shares: Tensor = cat(maps).detach().sum(dim=1)
    return shares
