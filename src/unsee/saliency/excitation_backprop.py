"""Excitation backpropagation (Zhang et al. 2016), read at an eighth of the input's size (supplement, §3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.hooks import opened, watched
from unsee.layers import eighth_layer, layer_named
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.excitation import Excitation, reached
from unsee.saliency.targets import chosen, classes_of, on_device


@neutral()
def excitation_backprop(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    layer: str | None = None,
) -> Float[Tensor, "b hl wl"]:
    """The probability that a winner path from the target ends at each place of a layer, over its channels.

    Args:
        classifier: with convolutions.
        images: in [0,1].
        targets: a class, or a set of them that share the signal, for each image.
        layer: where the signal is read; by default the first layer at most an eighth of the input's size, the
            paper's `pool2` for BVLC GoogLeNet.

    Returns:
        0 and above, at the layer's own size; the sum is 1 where no signal is lost.

    Raises:
        UnseeError: no such layer, no layer that returns maps, or images or targets are invalid.
    """
    classes = classes_of(classifier, images, targets)
    classifier = opened(classifier)
    name = layer or eighth_layer(classifier)
    excitation = Excitation(classifier)
    with classifier.borrowed(), torch.enable_grad():
        inputs = on_device(classifier, images).requires_grad_()
        with watched(layer_named(classifier, name)) as outputs, excitation.overrides():
            logits = classifier.logits(inputs)
        top = chosen(logits.detach(), classes)
        signal = reached(classifier, name, logits, outputs, top / top.sum(dim=1, keepdim=True))
    return signal.sum(dim=1)
