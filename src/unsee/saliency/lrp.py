"""Layer-wise relevance propagation (Bach et al. 2015), in zennit's composite EpsilonPlusFlat.

zennit has the rules for modules. What networks call as functions goes by it: for sums and average pooling
called so, each input gets relevance in proportion to its part, as zennit does for modules of its own.
"""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.saliency.excitation import AVERAGES, average
from unsee.saliency.libraries import library
from unsee.saliency.rules import Function, Rules, without_attention
from unsee.saliency.targets import Targets, chosen, classes_of, on_device
from unsee.tuning import folded

_EPSILON = 1e-6


def lrp(classifier: Classifier, images: Float[Tensor, "b 3 h w"], targets: Targets) -> Float[Tensor, "b h w"]:
    """The target's logit, handed down: ε in linear layers, z⁺ in convolutions, flat in the first.

    Done on a private copy, BatchNorm folded into the convolutions before it.

    Args:
        classifier: without attention.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        Relevance of either sign, summed over the colours.

    Raises:
        UnseeError: a network with attention, or that cannot be copied, or images or targets that are none.
    """
    classes = classes_of(images, targets)
    with classifier.borrowed(), torch.enable_grad():
        inputs = classifier.normalised(on_device(classifier, images)).requires_grad_()
        net = _copied(classifier)
        table = without_attention(classifier, "LRP")
        table |= dict.fromkeys((torch.add, Tensor.add, Tensor.add_), _summed)
        rules = Rules(table | dict.fromkeys(AVERAGES, average))
        with library("zennit.composites").EpsilonPlusFlat().context(net) as modified:
            with rules:
                answer = modified(inputs.to(classifier.net_dtype))
            logits = getattr(answer, "logits", answer)
            top = chosen(logits.detach(), classes) * logits.detach()
            (relevance,) = torch.autograd.grad(logits, inputs, top)
    return relevance.sum(dim=1)


def _copied(classifier: Classifier) -> nn.Module:
    try:
        net = copy.deepcopy(classifier.net)
    except (RuntimeError, TypeError, AttributeError, copy.Error) as error:
        raise UnseeError(f"LRP works on a copy, and {classifier.name} cannot be copied ({error})") from error
    try:
        return folded(net)
    except Exception:
        return net


def _summed(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    tensors = len(args) == 2 and not named and all(isinstance(part, Tensor) for part in args)
    if not tensors or args[0].shape != args[1].shape:
        answer: Tensor = function(*args, **named)
        return answer
    total: Tensor = _Proportional.apply(*args)
    return args[0].copy_(total) if function is Tensor.add_ else total


class _Proportional(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first.clone(), second)
        return first + second

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        first, second = ctx.saved_tensors
        total = first + second
        share = relevance / (total + torch.where(total < 0, -_EPSILON, _EPSILON))
        return first * share, second * share
