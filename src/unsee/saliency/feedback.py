"""Feedback (Cao et al. 2015): gates behind every ReLU learned to raise the score, then the gradient.

Gates z ∈ {0,1} on what the ReLUs return make the score S(z); S(z) − λ‖z‖₀ is maximised from z = 1. Each
step is one of gradient ascent, projected to [0,1], in all layers at once. ∂S/∂z of a gate is what its unit
returns, times the gradient there.

λ and the step are chosen here, not taken from the paper: λ arbitrarily small and the step arbitrarily large;
each step then closes the gates with ∂S/∂z ≤ 0, whatever the scale of the logits. A closed gate stays
closed, as in the authors' Caffe code (FeedbackCNN-demo); otherwise nothing bounds the score: that of
BVLC GoogLeNet went from 10 to 34,000 in twenty steps. The authors' code also closes gates at the borders of
maps and, on request, those whose gradient is below a multiple of the mean; this one does not.

Own code: no maintained library has it.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import opened
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.relu import relu_overrides, without_relu
from unsee.saliency.targets import ImageScore, classes_of, on_device, score_of


@neutral()
def feedback(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets, passes: int = 50
) -> Float[Tensor, "b h w"]:
    """The gradient of the network that is left when all units that lower the score are switched off.

    Args:
        classifier: with a ReLU or ReLU6 in it.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        passes: forward and backward passes at most, 1 and above; it stops when no gate closes, with BVLC
            GoogLeNet after 10 to 13. One pass alone is the gradient.

    Returns:
        The maximum over the colours of the absolute gradient of the logit, under the gates; 0 and above.

    Raises:
        UnseeError: the network has no ReLU or calls its ReLUs differently each time, `passes` is below 1, or
            images or targets are invalid.
    """
    if passes < 1:
        raise UnseeError(f"feedback takes at least one pass, not {passes}")
    classes = classes_of(classifier, images, targets)
    classifier = opened(classifier)
    with classifier.borrowed(), torch.enable_grad():
        inputs, score = on_device(classifier, images), score_of(classifier, classes)
        gates: list[Tensor] = []
        for number in range(passes):
            gated = _gated(score, inputs, gates, first=number == 0)
            if not gated.gates:
                raise without_relu(classifier, "feedback")
            gates = [_left(gate, effect) for gate, effect in zip(gated.gates, gated.effects, strict=True)]
            if all(map(torch.equal, gates, gated.gates)):
                break
    return gated.gradients.abs().amax(dim=1)


class _Gated(NamedTuple):
    """The gradients of the score in a network with gates, and the gates in the order of the ReLUs' calls."""

    gradients: Tensor
    gates: list[Tensor]
    effects: list[Tensor]
    """∂S/∂z of each gate."""


def _gated(score: ImageScore, inputs: Tensor, gates: list[Tensor], first: bool) -> _Gated:
    """One forward and backward pass; all gates are open in the first.

    Raises:
        UnseeError: the network calls its ReLUs differently than in the pass that the gates are from.
    """
    given = iter(gates)
    used: list[Tensor] = []

    def relu(x: Tensor, high: float, in_place: bool) -> Tensor:
        gate = torch.ones_like(x) if first else next(given, None)
        if gate is None or gate.shape != x.shape:
            raise _unsteady()
        used.append(gate.detach().requires_grad_())
        answer: Tensor = _Gate.apply(x, used[-1], high, in_place)
        return answer

    images = inputs.detach().requires_grad_()
    with relu_overrides(relu):
        scores = score(images)
    if next(given, None) is not None:
        raise _unsteady()
    gradients, *effects = torch.autograd.grad(scores.sum(), [images, *used], materialize_grads=True)
    return _Gated(gradients, [gate.detach() for gate in used], effects)


def _unsteady() -> UnseeError:
    return UnseeError(
        "feedback needs a network that calls the same ReLUs each time; gradient, integrated_gradients and "
        "smooth_grad serve any network"
    )


def _left(gate: Tensor, effect: Tensor) -> Tensor:
    """1 where a gate stays open: it is open, and what passes it raises the score."""
    return gate * (effect > 0)


class _Gate(torch.autograd.Function):
    """z·ReLU(x), up to `most`; differentiable with respect to x and the gate z."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gate: Tensor, most: float, in_place: bool) -> Tensor:
        active = x.clamp(0, most)
        ctx.most = most  # type: ignore[attr-defined]
        ctx.save_for_backward(active, gate)
        if not in_place:
            return active * gate
        ctx.mark_dirty(x)
        return x.copy_(active * gate)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        active, gate = ctx.saved_tensors
        passed = (active > 0) & (active < ctx.most)
        return gradient * gate * passed, gradient * active, None, None
