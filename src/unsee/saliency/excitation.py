"""The rules of excitation backpropagation (Zhang et al. 2016): which units won, from the top down.

Own code: zennit's composite sees modules alone, so it misses sums and pooling that are called as functions
(shortcuts of ResNet, MobileNet and ConvNeXt), and there is no contrastive version. On networks of plain
modules the two agree.

For an operation that is linear with weights W, x ⊙ W⁺ᵀ(g / (W⁺x)) with 0/0 = 0; biases are left out, and so
is what is negative in x. Average pooling and sums are such operations, of positive weights to begin with.
Normalisations, activations and factors hand the signal through, max pooling to the winner.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.layers import is_map
from unsee.models.response_norm import response_norm
from unsee.saliency.overrides import Function, Rule, Rules, entered, without_attention

Operation = Callable[..., Tensor]

_LEAST = 1e-20
_WEIGHTED = (F.conv2d, F.linear)
AVERAGES = (F.avg_pool2d, F.adaptive_avg_pool2d, torch.mean, Tensor.mean)
_SUMS = (torch.add, Tensor.add, Tensor.add_)
PRODUCTS = (torch.mul, Tensor.mul, Tensor.mul_)
_ACTIVATIONS = (
    *(F.relu, torch.relu, Tensor.relu, torch.relu_, Tensor.relu_, F.relu6, F.hardtanh, F.leaky_relu, F.elu),
    *(
        F.selu,
        F.softplus,
        F.mish,
        F.sigmoid,
        torch.sigmoid,
        Tensor.sigmoid,
        F.hardsigmoid,
        torch.tanh,
        Tensor.tanh,
    ),
    *(F.tanh, F.celu, F.prelu, F.instance_norm, F.rms_norm),
    *(F.gelu, F.silu, F.hardswish, F.batch_norm, F.layer_norm, F.group_norm, F.local_response_norm),
    response_norm,
)
_IN_PLACE = (torch.relu_, Tensor.relu_, Tensor.add_, Tensor.mul_)


@dataclass(eq=False)
class Weighing:
    """A convolution or linear layer as it was called.

    Args:
        entered: what went in.
        negated: take −W for W on the way back, as the contrastive signal does at the top.
    """

    entered: Tensor
    negated: bool = False


@dataclass
class Excitation:
    """Runs a network under these rules and remembers its weighted layers, in the order of their calls."""

    classifier: Classifier
    calls: list[Weighing] = field(default_factory=list)

    def rules(self) -> Rules:
        """What stands in for torch's functions."""
        groups: tuple[tuple[tuple[Function, ...], Rule], ...] = (
            (_WEIGHTED, self._weighted),
            (AVERAGES, average),
            (_SUMS, _sum),
            (PRODUCTS, product),
            (_ACTIVATIONS, _activation),
        )
        refused = without_attention(self.classifier, "excitation backprop")
        return Rules(refused | {function: rule for functions, rule in groups for function in functions})

    def _weighted(self, function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
        x, further, named = entered(args, named)
        given = dict(zip(("weight", "bias"), further, strict=False)) | named
        weight, rest = given["weight"], further[2:]
        others = {name: value for name, value in named.items() if name not in ("weight", "bias")}
        call = Weighing(x)
        self.calls.append(call)

        def positive(seen: Tensor) -> Tensor:
            signed = -weight if call.negated else weight
            answer: Tensor = function(seen, signed.clamp(min=0), None, *rest, **others)
            return answer

        return _shared(lambda seen: function(seen, weight, given.get("bias"), *rest, **others), positive, x)


def average(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """The rule for pooling and means."""
    x, further, named = entered(args, named)

    def positive(seen: Tensor) -> Tensor:
        answer: Tensor = function(seen, *further, **named)
        return answer

    return _shared(positive, positive, x)


def _sum(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    first, second = args[:2] if len(args) > 1 else (args[0], named["other"])
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)) or len(args) > 2 or "alpha" in named:
        answer: Tensor = function(*args, **named)
        return answer
    answer = _shared(torch.add, torch.add, first, second)
    return first.copy_(answer) if function in _IN_PLACE else answer


def product(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """A factor, or a gate, hands the signal to what it scales."""
    first, second = args[:2] if len(args) > 1 else (args[0], named["other"])
    inputs = [part for part in (first, second) if isinstance(part, Tensor) and part.requires_grad]
    if not inputs:
        answer: Tensor = function(*args, **named)
        return answer
    scaled = max(inputs, key=Tensor.numel)
    answer = _Passed.apply(scaled, lambda _: first * second)
    return first.copy_(answer) if function in _IN_PLACE else answer


def _activation(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    x, further, named = entered(args, named)
    positional = function in (F.relu, F.relu6) and any(further)
    in_place = named.get("inplace", False) or positional or function in _IN_PLACE
    plain = torch.relu if function in _IN_PLACE else function
    rest = () if positional else further
    others = {name: value for name, value in named.items() if name != "inplace"}
    answer: Tensor = _Passed.apply(x, lambda seen: plain(seen, *rest, **others))
    return x.copy_(answer) if in_place else answer


def reached(classifier: Classifier, name: str, top: Tensor, given: list[Tensor], signal: Tensor) -> Tensor:
    """The signal at `top`, propagated back to the maps (B,C,H,W) that a layer returned.

    Args:
        classifier: for the error messages.
        name: of the layer.
        top: what the signal starts from.
        given: what the layer returned, call by call; the last counts.
        signal: of the shape of `top`.

    Raises:
        UnseeError: the layer returns no maps, or the top does not depend on them.
    """
    if not given or not is_map(given[-1].shape):
        shape = tuple(given[-1].shape) if given else "nothing"
        raise UnseeError(
            f"{name} of {classifier.name} returns {shape}, not maps (batch, channels, height, width)"
        )
    (found,) = torch.autograd.grad(top, given[-1], signal, allow_unused=True)
    if found is None:
        raise UnseeError(f"the score of {classifier.name} does not depend on its layer {name}")
    return found


def _shared(operation: Operation, positive: Operation, *inputs: Tensor) -> Tensor:
    shared: Tensor = _Shared.apply(operation, positive, *inputs)
    return shared


class _Shared(torch.autograd.Function):
    """The operation; its signal goes back to the inputs in proportion to their part in a positive one."""

    @staticmethod
    def forward(ctx: FunctionCtx, operation: Operation, positive: Operation, *inputs: Tensor) -> Tensor:
        ctx.positive = positive  # type: ignore[attr-defined]
        ctx.save_for_backward(*(part.clamp(min=0) for part in inputs))
        return operation(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        with torch.enable_grad():
            inputs = [part.detach().requires_grad_() for part in ctx.saved_tensors]
            total = ctx.positive(*inputs)
        share = torch.where(total > _LEAST, signal / total.clamp(min=_LEAST), 0.0)
        slopes = torch.autograd.grad(total, inputs, share)
        return None, None, *(x.detach() * slope for x, slope in zip(inputs, slopes, strict=True))


class _Passed(torch.autograd.Function):
    """The operation; its signal goes back unchanged."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, operation: Operation) -> Tensor:
        ctx.shape = x.shape  # type: ignore[attr-defined]
        return operation(x)

    @staticmethod
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return signal.sum_to_size(ctx.shape), None
