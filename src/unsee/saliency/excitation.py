"""The rules of excitation backpropagation (Zhang et al. 2016): winner-take-all signals, top down.

Own code: zennit's composite sees only modules, so it misses sums and pooling that are called as functions
(shortcuts of ResNet, MobileNet and ConvNeXt), and it has no contrastive version. On networks of plain modules
the two agree.

For an operation that is linear with weights W, the signal becomes x ⊙ W⁺ᵀ(g / (W⁺x)) with 0/0 = 0, without
biases and negative x. Average pooling and sums are such operations with positive weights. Normalisations,
activations and products pass the signal on unchanged; max pooling passes it to the winner.
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
from unsee.saliency.overrides import Function, FunctionOverrides, Override, first_argument, without_attention

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
class WeightedCall:
    """A convolution or linear layer as it was called.

    Args:
        given: its input.
        negated: use −W for W in the backward pass, as the contrastive signal does at the top.
    """

    given: Tensor
    negated: bool = False


@dataclass
class Excitation:
    """Runs a network under these rules and records the calls of its weighted layers, in order."""

    classifier: Classifier
    calls: list[WeightedCall] = field(default_factory=list)

    def overrides(self) -> FunctionOverrides:
        """What replaces torch's functions."""
        groups: tuple[tuple[tuple[Function, ...], Override], ...] = (
            (_WEIGHTED, self._weighted),
            (AVERAGES, average),
            (_SUMS, _sum),
            (PRODUCTS, product),
            (_ACTIVATIONS, _activation),
        )
        refused = without_attention(self.classifier, "excitation backprop")
        table = {function: override for functions, override in groups for function in functions}
        return FunctionOverrides(refused | table)

    def _weighted(self, function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
        x, further, named = first_argument(args, named)
        given = dict(zip(("weight", "bias"), further, strict=False)) | named
        weight, rest = given["weight"], further[2:]
        others = {name: value for name, value in named.items() if name not in ("weight", "bias")}
        call = WeightedCall(x)
        self.calls.append(call)

        def positive(x: Tensor) -> Tensor:
            signed = -weight if call.negated else weight
            answer: Tensor = function(x, signed.clamp(min=0), None, *rest, **others)
            return answer

        return _shared(lambda x: function(x, weight, given.get("bias"), *rest, **others), positive, x)


def average(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """The rule for average pooling and means."""
    x, further, named = first_argument(args, named)

    def positive(x: Tensor) -> Tensor:
        answer: Tensor = function(x, *further, **named)
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
    """The rule for products: a factor or gate passes the signal to what it scales."""
    first, second = args[:2] if len(args) > 1 else (args[0], named["other"])
    inputs = [part for part in (first, second) if isinstance(part, Tensor) and part.requires_grad]
    if not inputs:
        answer: Tensor = function(*args, **named)
        return answer
    scaled = max(inputs, key=Tensor.numel)
    answer = _Passed.apply(scaled, lambda _: first * second)
    return first.copy_(answer) if function in _IN_PLACE else answer


def _activation(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    x, further, named = first_argument(args, named)
    positional = function in (F.relu, F.relu6) and any(further)
    in_place = named.get("inplace", False) or positional or function in _IN_PLACE
    plain = torch.relu if function in _IN_PLACE else function
    rest = () if positional else further
    others = {name: value for name, value in named.items() if name != "inplace"}
    answer: Tensor = _Passed.apply(x, lambda x: plain(x, *rest, **others))
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
    output: Tensor = _Shared.apply(operation, positive, *inputs)
    return output


class _Shared(torch.autograd.Function):
    """The operation; its backward pass shares the signal by the inputs' parts in a positive operation."""

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
        gradients = torch.autograd.grad(total, inputs, share)
        return None, None, *(x.detach() * gradient for x, gradient in zip(inputs, gradients, strict=True))


class _Passed(torch.autograd.Function):
    """The operation; its backward pass leaves the signal unchanged."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, operation: Operation) -> Tensor:
        ctx.shape = x.shape  # type: ignore[attr-defined]
        return operation(x)

    @staticmethod
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return signal.sum_to_size(ctx.shape), None
