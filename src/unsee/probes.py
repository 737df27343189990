"""What a network's answers to probe images say about it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.answers import Answer, answer_of
from unsee.errors import UnseeError
from unsee.heads import Head, Reading, read_head
from unsee.network_wrappers import afresh

_SAME = {torch.float16: 2e-2, torch.bfloat16: 2e-2, torch.float64: 1e-6}
_SAME_IN_FLOAT32, _SAME_IN_TF32 = 1e-3, 2e-2
"""Differences against the spread of all scores that rounding explains; GPUs may convolve in TF32."""
_FAINT = 0.1
_MOST_WORDS = 200

Ask = Callable[[Tensor], object]
"""Images in [0,1], (B,C,H,W) → what the network returns for them."""


@torch.enable_grad()
def probed(ask: Ask, images: Float[Tensor, "1 c h w"], head: Head, names: int | None) -> Reading:
    """What a network's answers to two images, alone and together, say about it.

    The images are as different as images can be that both have structure: the second is the first at a tenth
    of its brightness. What a network makes of an image in a batch with the other shows whether it depends on
    the others.

    Args:
        ask: evaluates the network.
        images: one probe image in [0,1].
        head: as the user gave it.
        names: how many class names there are; None if there are none.

    Raises:
        UnseeError: the network fails on them, or its head cannot be told.
    """
    bright = images.clone().requires_grad_()
    faint = _FAINT * images

    def answer(given: Tensor) -> Answer:
        output = ask(given)
        return answer_of(head(output) if callable(head) else output, len(given), names)

    first = answer(bright)
    with afresh():
        again = answer(images)
    second = answer(faint)
    singles = torch.cat([first.rows, second.rows])
    random = differ(first.rows, again.rows, singles)
    reading = read_head(singles, first.rows, head, names)
    return replace(
        reading,
        random=random,
        alone="" if random else _alone(answer, torch.cat([images, faint]), singles),
        taken=_taken(first.among),
        differentiable=_has_gradient(first.rows, bright),
    )


def _alone(
    answer: Callable[[Tensor], Answer], pair: Float[Tensor, "2 c h w"], singles: Float[Tensor, "2 k"]
) -> str:
    """Why the network needs one image at a time; empty if it does not."""
    try:
        with afresh():
            rows = answer(pair).rows
    except UnseeError:
        return "it takes one image at a time"
    if rows.shape != singles.shape or differ(rows, singles, singles):
        return "its answer to an image depends on the others in the batch"
    return ""


def differ(some: Tensor, others: Tensor, singles: Tensor, on_gpu: bool = False) -> bool:
    """Whether scores differ by more than rounding, against the spread of all scores.

    Args:
        some, others: scores of the same images, of one shape.
        singles: the scores whose spread counts.
        on_gpu: whether they may come from a GPU, though they lie on the CPU.
    """
    values = singles.detach().double()
    spread = torch.maximum(values.std(correction=0), 1e-3 * values.abs().max())
    apart = (some.detach().double() - others.detach().double()).abs().max()
    exact = _SAME_IN_TF32 if on_gpu or singles.device.type != "cpu" else _SAME_IN_FLOAT32
    return bool(apart > _SAME.get(singles.dtype, exact) * spread)


def _has_gradient(rows: Tensor, images: Tensor) -> bool:
    if not rows.requires_grad:
        return False
    try:
        return torch.autograd.grad(rows.sum(), images, allow_unused=True)[0] is not None
    except RuntimeError:
        return False


def _taken(among: tuple[int, ...]) -> str:
    if len(set(among)) < 2:
        return ""
    return f"the tensor of {among[0]} scores among those of {', '.join(map(str, among))}"


def asked(net: nn.Module, given: Float[Tensor, "b c h w"], name: str) -> object:
    """The network's answer to probe images.

    Args:
        net: the network.
        given: normalised images.
        name: the network's, for the error.

    Raises:
        UnseeError: it fails.
    """
    try:
        return net(given.clone())
    except (MemoryError, torch.OutOfMemoryError, UnseeError):
        raise
    except Exception as error:
        words = str(error).strip().splitlines()
        said = words[0][:_MOST_WORDS] if words else type(error).__name__
        raise UnseeError(
            f"{name} failed on an input of shape {tuple(given.shape)}: {said}; "
            "check size= (--size) and channels= (--channels)"
        ) from error
