"""Contrastive excitation backpropagation (Zhang et al. 2016): signal for a class minus signal against it."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import opened, watched
from unsee.layers import eighth_layer, layer_named
from unsee.methods import Targets, usable
from unsee.neutral import neutral
from unsee.saliency.excitation import Excitation, reached
from unsee.saliency.targets import chosen, classes_of, on_device


@neutral()
def contrastive_excitation_backprop(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    layer: str | None = None,
) -> Float[Tensor, "b hl wl"]:
    """Excitation from the last weighted layer, once with its weights and once with their negatives.

    The two are subtracted at that layer's input (`pool5/7x7_s1` in BVLC GoogLeNet). The difference is
    propagated to `layer`, summed over the channels, and clipped at 0 (supplement, §3).

    Args:
        classifier: with convolutions.
        images: in [0,1].
        targets: a class, or a set of them that share the signal, for each image.
        layer: where the signal is read; by default the first layer at most an eighth of the input's size.

    Returns:
        0 and above, at the layer's own size.

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
        top = top / top.sum(dim=1, keepdim=True)
        if not excitation.calls:
            raise UnseeError(
                f"{classifier.name} has no convolution or linear layer; "
                f"{usable(classifier, maps=False)} need none"
            )
        last = excitation.calls[-1]
        signals = []
        for last.negated in (False, True):
            signals.append(torch.autograd.grad(logits, last.given, top, retain_graph=True)[0])
        signal = reached(classifier, name, last.given, outputs, signals[0] - signals[1])
    return signal.sum(dim=1).clamp(min=0)
