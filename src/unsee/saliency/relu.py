"""Other backward passes for ReLU, however a network calls it: as a module, as a function, in place."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import opened
from unsee.methods import Targets, usable
from unsee.saliency.overrides import Function, FunctionOverrides, first_argument
from unsee.saliency.targets import classes_of, on_device, score_of

_IN_PLACE = (torch.relu_, Tensor.relu_)
_FUNCTIONS = (F.relu, torch.relu, Tensor.relu, F.relu6, F.hardtanh, *_IN_PLACE)

ReluRule = Callable[[Tensor, float, bool], Tensor]
"""(input, the value that it is clipped to, whether in place: the input then holds the answer) → answer."""


def rectified_gradient(
    classifier: Classifier, images: Tensor, targets: Targets, guided: bool, method: str
) -> Tensor:
    """The maximum over the colours of |∂z/∂x|, with another backward pass through ReLU.

    Args:
        classifier: borrowed.
        images: (B,C,H,W) in [0,1].
        targets: a class, or a set of them, for each image.
        guided: require [x > 0] of the ReLU's input as well as a positive gradient.
        method: its name, for the error message.

    Raises:
        UnseeError: the network has no ReLU.
    """
    classes = classes_of(classifier, images, targets)
    classifier = opened(classifier)
    calls = 0

    def relu(x: Tensor, high: float, in_place: bool) -> Tensor:
        nonlocal calls
        calls += 1
        answer: Tensor = _Relu.apply(x, high, guided, in_place)
        return answer

    with classifier.borrowed(), torch.enable_grad():
        inputs = on_device(classifier, images).requires_grad_()
        with relu_overrides(relu):
            scores = score_of(classifier, classes)(inputs)
        if calls == 0:
            raise without_relu(classifier, method)
        (gradients,) = torch.autograd.grad(scores.sum(), inputs)
    return gradients.abs().amax(dim=1)


def relu_overrides(rule: ReluRule) -> FunctionOverrides:
    """A context in which a rule takes the place of ReLU and ReLU6, in each call of the network."""

    def relu(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
        x, low, high, in_place = _called(function, args, named)
        if low != 0:
            return F.hardtanh(x, low, high, in_place)
        alone = in_place and not x._is_view()
        answer = rule(x, high, alone)
        return x.copy_(answer) if in_place and not alone else answer

    return FunctionOverrides(dict.fromkeys(_FUNCTIONS, relu))


def without_relu(classifier: Classifier, method: str) -> UnseeError:
    """The error of a method that changes ReLU, for a network that has none."""
    return UnseeError(f"{classifier.name} has no ReLU for {method} to change; {usable(classifier)} need none")


def _called(
    function: Function, args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Tensor, float, float, bool]:
    """The input of a ReLU, the range it clips to, and whether it works in place."""
    x, further, named = first_argument(args, named)
    if function is F.hardtanh:
        given = dict(zip(("min_val", "max_val", "inplace"), further, strict=False)) | named
        return x, given.get("min_val", -1.0), given.get("max_val", 1.0), given.get("inplace", False)
    in_place = function in _IN_PLACE or bool((*further, *named.values(), False)[0])
    return x, 0.0, 6.0 if function is F.relu6 else torch.inf, in_place


class _Relu(torch.autograd.Function):
    """ReLU up to `most`; the backward pass is max(g,0), times [0 < x < most] if guided."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, most: float, guided: bool, in_place: bool) -> Tensor:
        answer = x.clamp_(0, most) if in_place else x.clamp(0, most)
        if in_place:
            ctx.mark_dirty(x)
        ctx.guided, ctx.most = guided, most  # type: ignore[attr-defined]
        ctx.save_for_backward(answer)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        (answer,) = ctx.saved_tensors
        kept = gradient.clamp(min=0)
        if ctx.guided:
            kept = torch.ops.aten.threshold_backward(kept, answer, 0)
            if ctx.most < torch.inf:
                kept.masked_fill_(answer >= ctx.most, 0)
        return kept, None, None, None
