"""DeconvNet (Zeiler and Fergus 2014): the gradient, with ReLU's backward pass max(g,0) for any input.

Own code, for the same reason as `guided_backprop`.
"""

from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.relu import rectified_gradient


@neutral()
def deconvnet(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets
) -> Float[Tensor, "b h w"]:
    """The gradient, with only positive gradients passed back, through active and inactive units.

    Args:
        classifier: with a ReLU or ReLU6 in it.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        The maximum over the colours of the absolute gradient of the logit; 0 and above.

    Raises:
        UnseeError: the network has no ReLU, or images or targets are invalid.
    """
    return rectified_gradient(classifier, images, targets, guided=False, method="DeconvNet")
