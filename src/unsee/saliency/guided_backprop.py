"""Guided backpropagation (Springenberg et al. 2015): the gradient, with ReLU's way back max(g,0)·[x>0].

Own code: Captum's and zennit's versions see `nn.ReLU` modules alone, and Captum's fails on those that work in
place. On a network of plain `nn.ReLU` modules it agrees with Captum's.
"""

from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.saliency.relu import strongest_slope
from unsee.saliency.targets import Targets


def guided_backprop(
    classifier: Classifier, images: Float[Tensor, "b 3 h w"], targets: Targets
) -> Float[Tensor, "b h w"]:
    """Where a rise of the score comes through open units alone (supplement, §3).

    Args:
        classifier: with a ReLU or ReLU6 in it.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        The maximum over the colours of the absolute slope of the logit; 0 and above.

    Raises:
        UnseeError: the network has no ReLU, or images or targets are none.
    """
    return strongest_slope(classifier, images, targets, guided=True, method="guided backprop")
