"""Layer-wise relevance propagation (Bach et al. 2015), in zennit's composite EpsilonPlusFlat.

zennit has the rules for modules and misses what networks call as functions. For sums and average pooling
called as functions, each input gets relevance in proportion to its part, as in zennit's own modules.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import copied, opened
from unsee.methods import Targets, usable
from unsee.neutral import neutral
from unsee.saliency.excitation import AVERAGES, PRODUCTS, product
from unsee.saliency.libraries import library
from unsee.saliency.overrides import Function, FunctionOverrides, Override, first_argument, without_attention
from unsee.saliency.targets import chosen, classes_of, on_device
from unsee.tuning import folded

_EPSILON = 1e-6


@neutral()
def lrp(classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets) -> Float[Tensor, "b h w"]:
    """The target's logit, propagated back: ε in linear layers, z⁺ in convolutions, flat in the first layer.

    Works on a private copy, with BatchNorm folded into the convolutions before it.

    Args:
        classifier: without attention.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        Relevance of either sign, summed over the colours.

    Raises:
        UnseeError: the network has attention or layer normalisation or cannot be copied, or images or targets
            are invalid.
    """
    classes = classes_of(classifier, images, targets)
    classifier = opened(classifier)
    with classifier.borrowed(), torch.enable_grad():
        inputs = classifier.normalised(on_device(classifier, images)).requires_grad_()
        net = _copied(classifier)
        table = without_attention(classifier, "LRP")
        table |= dict.fromkeys((torch.add, Tensor.add, Tensor.add_), _summed)
        table |= {function: product for function in PRODUCTS}
        table |= {function: _averaged for function in AVERAGES}
        overrides = FunctionOverrides(table | {F.layer_norm: _no_layer_norm(classifier)})
        with library("zennit.composites").EpsilonPlusFlat().context(net) as modified:
            with overrides:
                answer = modified(inputs.to(classifier.net_dtype))
            logits = getattr(answer, "logits", answer)
            top = chosen(logits.detach(), classes) * logits.detach()
            (relevance,) = torch.autograd.grad(logits, inputs, top)
    return relevance.sum(dim=1)


def _copied(classifier: Classifier) -> nn.Module:
    try:
        net = copied(classifier.net)
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


def _averaged(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    x, further, named = first_argument(args, named)
    mean: Tensor = _Averaged.apply(x, lambda x: function(x, *further, **named))
    return mean


def _no_layer_norm(classifier: Classifier) -> Override:
    def refuse(_function: Function, _args: tuple[Any, ...], _named: dict[str, Any]) -> Any:  # noqa: ANN401
        raise UnseeError(
            f"LRP has no rule for layer normalisation, which {classifier.name} has; {usable(classifier)} "
            "serve such networks"
        )

    return refuse


class _Averaged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.function = function  # type: ignore[attr-defined]
        ctx.save_for_backward(x)
        return function(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            mean = ctx.function(x)
        (gradient,) = torch.autograd.grad(mean, x, relevance / _off_zero(mean.detach()))
        return x.detach() * gradient, None


def _off_zero(values: Tensor) -> Tensor:
    """Values with ε added in the direction of their sign."""
    return values + torch.where(values < 0, -_EPSILON, _EPSILON)


class _Proportional(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first.clone(), second)
        return first + second

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        first, second = ctx.saved_tensors
        share = relevance / _off_zero(first + second)
        return first * share, second * share
