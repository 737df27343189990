"""Guided backpropagation (Springenberg et al. 2015): the gradient, with ReLU's backward pass max(g,0)·[x>0].

Own code: Captum's and zennit's versions see only `nn.ReLU` modules, and Captum's fails on in-place ones. On a
network of plain `nn.ReLU` modules it agrees with Captum's.
"""

from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.relu import rectified_gradient


@neutral()
def guided_backprop(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets
) -> Float[Tensor, "b h w"]:
    """The gradient, with only positive gradients passed back, through active units (supplement, §3).

    Args:
        classifier: with a ReLU or ReLU6 in it.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        The maximum over the colours of the absolute gradient of the logit; 0 and above.

    Raises:
        UnseeError: the network has no ReLU, or images or targets are invalid.
    """
    return rectified_gradient(classifier, images, targets, guided=True, method="guided backprop")
