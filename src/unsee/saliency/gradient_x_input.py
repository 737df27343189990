"""Gradient × input (Shrikumar et al. 2016) on the normalised input. Computed by Captum's InputXGradient."""

from jaxtyping import Float
from torch import Tensor, enable_grad

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.libraries import library
from unsee.saliency.targets import chosen, classes_of, on_device


@neutral()
def gradient_x_input(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets
) -> Float[Tensor, "b h w"]:
    """The gradient times the normalised input, summed over the colours, as in Captum.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        Contributions to the logit, of either sign.

    Raises:
        UnseeError: images or targets are invalid.
    """
    classes = classes_of(classifier, images, targets)

    def score(inputs: Tensor) -> Tensor:
        logits = classifier.answer(inputs)
        return (logits * chosen(logits, classes)).sum(dim=1)

    with classifier.borrowed(), enable_grad():
        inputs = classifier.normalised(on_device(classifier, images)).requires_grad_()
        products: Tensor = library("captum.attr").InputXGradient(score).attribute(inputs)
    return products.detach().sum(dim=1)
