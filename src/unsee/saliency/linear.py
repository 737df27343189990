"""The local linear explanation S₂ (§3.2): a linear model of the score under deletion of pixels."""

from jaxtyping import Float
from torch import Tensor, enable_grad

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.libraries import library
from unsee.saliency.targets import classes_of, on_device, score_of


@neutral()
def linear(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets
) -> Float[Tensor, "b h w"]:
    """S₂(x₀) = d f(x₀ ⊙ m)/dm at m = 1, one m for the three colours of a pixel: Σ_colour ∇f ⊙ x₀.

    The image x₀ is in [0,1], so m deletes towards black; `gradient_x_input` deletes towards the mean colour.
    Captum's InputXGradient computes the product.

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
    with classifier.borrowed(), enable_grad():
        inputs = on_device(classifier, images).requires_grad_()
        products: Tensor = (
            library("captum.attr").InputXGradient(score_of(classifier, classes)).attribute(inputs)
        )
    return products.detach().sum(dim=1)
