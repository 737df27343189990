"""Grad-CAM (Selvaraju et al. 2017): a layer's maps, weighted with their mean gradients.

Own code: Captum's LayerGradCam averages tokens as if they were channels, so it cannot read a transformer.
On maps the two agree.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import opened, watched
from unsee.layers import last_spatial_layer, layer_named, maps_at
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.targets import classes_of, on_device, score_of


@neutral()
def grad_cam(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    layer: str | None = None,
) -> Float[Tensor, "b hl wl"]:
    """ReLU(Σ α·A): A are the layer's maps, α the mean over each map of the logit's gradient.

    Args:
        classifier: with a layer that returns maps, or tokens on a grid.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        layer: by default the last that returns maps, as in the paper (`inception5b` for BVLC GoogLeNet), in a
            ViT the first normalisation of the last block.

    Returns:
        0 and above, at the layer's own size (7 × 7 for GoogLeNet).

    Raises:
        UnseeError: no such layer, no layer that returns maps, or images or targets that are invalid.
    """
    classes = classes_of(classifier, images, targets)
    classifier = opened(classifier)
    name = layer or last_spatial_layer(classifier)
    with classifier.borrowed(), torch.enable_grad():
        inputs = on_device(classifier, images).requires_grad_()
        with watched(layer_named(classifier, name)) as outputs:
            scores = score_of(classifier, classes)(inputs)
        if not outputs:
            raise UnseeError(f"{name} of {classifier.name} returns no tensor that Grad-CAM could read")
        (gradients,) = torch.autograd.grad(scores.sum(), outputs[-1], allow_unused=True)
    if gradients is None:
        raise UnseeError(f"the score of {classifier.name} does not depend on its layer {name}")
    found = maps_at(classifier, name, outputs[-1].detach(), gradients)
    if found is None:
        raise UnseeError(
            f"{name} of {classifier.name} returns {tuple(gradients.shape)}: Grad-CAM reads maps "
            "(batch, channels, height, width) or tokens on a known grid; name another with layer"
        )
    maps, gradients = found
    return (gradients.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).clamp(min=0)
