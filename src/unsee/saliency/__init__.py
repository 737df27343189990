"""Every other way to look: each method is called `(classifier, images, targets)` and gives (B,H,W).

Images are (B,3,H,W) in [0,1], at the network's input size; targets are a class for each, or a set of classes.
Maps come at their own size, which for methods that read a layer is the layer's. High is salient.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.saliency.blur_occlusion import blur_occlusion
from unsee.saliency.cam import cam
from unsee.saliency.center import center
from unsee.saliency.contrastive_excitation_backprop import contrastive_excitation_backprop
from unsee.saliency.deconvnet import deconvnet
from unsee.saliency.excitation_backprop import excitation_backprop
from unsee.saliency.grad_cam import grad_cam
from unsee.saliency.gradient import gradient
from unsee.saliency.gradient_x_input import gradient_x_input
from unsee.saliency.guided_backprop import guided_backprop
from unsee.saliency.integrated_gradients import integrated_gradients
from unsee.saliency.lime import lime
from unsee.saliency.linear import linear
from unsee.saliency.lrp import lrp
from unsee.saliency.occlusion import occlusion
from unsee.saliency.rise import rise
from unsee.saliency.smooth_grad import smooth_grad
from unsee.saliency.targets import Targets
from unsee.saliency.variable_occlusion import variable_occlusion

__all__ = ["LAYERED", "METHODS", "SEEDED", "Method", "Targets"]


@runtime_checkable
class Method(Protocol):
    """A way to look at what moved a classifier."""

    def __call__(
        self, classifier: Classifier, images: Float[Tensor, "b 3 h w"], targets: Targets
    ) -> Float[Tensor, "b hm wm"]:
        """One map for each image, high where it is salient."""


METHODS: dict[str, Method] = {
    "gradient": gradient,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
    "gradient_x_input": gradient_x_input,
    "linear": linear,
    "excitation_backprop": excitation_backprop,
    "contrastive_excitation_backprop": contrastive_excitation_backprop,
    "grad_cam": grad_cam,
    "cam": cam,
    "lrp": lrp,
    "occlusion": occlusion,
    "blur_occlusion": blur_occlusion,
    "variable_occlusion": variable_occlusion,
    "lime": lime,
    "center": center,
    "integrated_gradients": integrated_gradients,
    "smooth_grad": smooth_grad,
    "rise": rise,
}
"""Name → method, the names of the command line."""

LAYERED = ("excitation_backprop", "contrastive_excitation_backprop", "grad_cam")
"""Those that read a layer, and take its name as `layer`."""

SEEDED = ("variable_occlusion", "lime", "smooth_grad", "rise")
"""Those that draw, and take a `seed`."""
