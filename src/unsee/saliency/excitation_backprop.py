"""Excitation backpropagation (Zhang et al. 2016), read at an eighth of the picture (supplement, §3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.layers import eighth_layer, layer_named, watched
from unsee.saliency.excitation import Excitation, reached
from unsee.saliency.targets import Targets, chosen, classes_of, on_device


def excitation_backprop(
    classifier: Classifier,
    images: Float[Tensor, "b 3 h w"],
    targets: Targets,
    layer: str | None = None,
) -> Float[Tensor, "b hl wl"]:
    """The probability that the way down from the target ends at each place of a layer, over its channels.

    Args:
        classifier: with convolutions.
        images: in [0,1].
        targets: a class, or a set of them that share the signal, for each image.
        layer: where the signal is read; the first layer of an eighth of the picture's size unless told, which
            is the paper's `pool2` for BVLC GoogLeNet.

    Returns:
        0 and above, at the layer's own size; the sum is 1 where no signal is lost on the way.

    Raises:
        UnseeError: no such layer, none that gives maps, or images or targets that are none.
    """
    classes = classes_of(images, targets)
    name = layer or eighth_layer(classifier)
    excitation = Excitation(classifier)
    with classifier.borrowed(), torch.enable_grad():
        views = on_device(classifier, images).requires_grad_()
        with watched(layer_named(classifier, name)) as given, excitation.rules():
            logits = classifier.logits(views)
        top = chosen(logits.detach(), classes)
        signal = reached(classifier, name, logits, given, top / top.sum(dim=1, keepdim=True))
    return signal.sum(dim=1)
