"""DeconvNet (Zeiler and Fergus 2014): the gradient, with ReLU's way back max(g,0) whatever went in.

Own code for the reason that `guided_backprop` gives.
"""

from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.saliency.relu import strongest_slope
from unsee.saliency.targets import Targets


def deconvnet(
    classifier: Classifier, images: Float[Tensor, "b 3 h w"], targets: Targets
) -> Float[Tensor, "b h w"]:
    """Positive slopes alone are carried back, through open and closed units alike.

    Args:
        classifier: with a ReLU or ReLU6 in it.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        The maximum over the colours of the absolute slope of the logit; 0 and above.

    Raises:
        UnseeError: the network has no ReLU, or images or targets are none.
    """
    return strongest_slope(classifier, images, targets, guided=False, method="DeconvNet")
