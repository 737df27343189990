"""The gradient of the score for each pixel (Simonyan et al. 2014). Computed by Captum's Saliency."""

from jaxtyping import Float
from torch import Tensor, enable_grad

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.libraries import library
from unsee.saliency.targets import classes_of, on_device, score_of


@neutral()
def gradient(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets
) -> Float[Tensor, "b h w"]:
    """S₁ of §3.2 as in the supplement's §3: the maximum over the colours of |∂z/∂x|.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        The absolute gradient of the logit with respect to the image in [0,1]; 0 and above.

    Raises:
        UnseeError: images or targets are invalid.
    """
    classes = classes_of(classifier, images, targets)
    with classifier.borrowed(), enable_grad():
        inputs = on_device(classifier, images).requires_grad_()
        gradients: Tensor = library("captum.attr").Saliency(score_of(classifier, classes)).attribute(inputs)
    return gradients.detach().amax(dim=1)
