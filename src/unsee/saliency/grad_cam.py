"""Grad-CAM (Selvaraju et al. 2017): a layer's maps, weighted with their mean slopes.

Own code: Captum's LayerGradCam averages tokens as if they were channels, so it cannot read a transformer.
On maps the two agree.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.layers import is_map, last_spatial_layer, layer_named, watched
from unsee.saliency.targets import Targets, classes_of, on_device, score_of

_FEW = 8


def grad_cam(
    classifier: Classifier,
    images: Float[Tensor, "b 3 h w"],
    targets: Targets,
    layer: str | None = None,
) -> Float[Tensor, "b hl wl"]:
    """ReLU(Σ α·A): A the layer's maps, α the mean over each map of the logit's slope.

    Args:
        classifier: with a layer that gives maps, or tokens on a square grid.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        layer: the last that gives maps unless told: `inception5b` for BVLC GoogLeNet, as in the paper.

    Returns:
        0 and above, at the layer's own size (7 × 7 for GoogLeNet).

    Raises:
        UnseeError: no such layer, none that gives maps, or images or targets that are none.
    """
    classes = classes_of(images, targets)
    name = layer or last_spatial_layer(classifier)
    with classifier.borrowed(), torch.enable_grad():
        views = on_device(classifier, images).requires_grad_()
        with watched(layer_named(classifier, name)) as given:
            scores = score_of(classifier, classes)(views)
        if not given:
            raise UnseeError(f"{name} of {classifier.name} gives nothing that could be read")
        (slopes,) = torch.autograd.grad(scores.sum(), given[-1], allow_unused=True)
    if slopes is None:
        raise UnseeError(f"the score of {classifier.name} does not depend on its layer {name}")
    maps, slopes = (_maps(part.detach(), name, classifier) for part in (given[-1], slopes))
    return (slopes.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).clamp(min=0)


def _maps(given: Tensor, name: str, classifier: Classifier) -> Float[Tensor, "b c hl wl"]:
    """Maps as they are; tokens (B,N,D) as maps, without the class tokens that come before the grid's."""
    if is_map(given.shape):
        return given
    side = math.isqrt(given.shape[1]) if given.ndim == 3 else 0
    if side < 2 or given.shape[1] - side**2 > _FEW:
        raise UnseeError(
            f"{name} of {classifier.name} gives {tuple(given.shape)}: Grad-CAM reads maps "
            "(batch, channels, height, width) or tokens on a square grid; name another with layer"
        )
    tokens = given[:, -(side**2) :].transpose(1, 2)
    return tokens.reshape(*tokens.shape[:2], side, side)
