"""Images blurred with several widths, read between them: the mask is the width at each pixel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.classifier import Classifier
from unsee.masks.edits.edit import Edit
from unsee.masks.network_input import NetworkInput


@dataclass(frozen=True, eq=False)
class BlurStack(Edit):
    """B images, each with its levels of blur.

    Args:
        still: at the network's input size, in [0,1].
        moving: on the larger canvas that jittered windows are cut from, normalised.
        shares: the width of each level over the largest, from 0 to 1.
        normalise: brings images in [0,1] to what the network takes.
    """

    still: Float[Tensor, "b n c h w"]
    moving: Float[Tensor, "b n c hc wc"]
    shares: Float[Tensor, " n"]
    normalise: Callable[[Tensor], Tensor]

    @classmethod
    def of(
        cls, classifier: Classifier, stacks: Sequence[tuple[Tensor, Tensor]], shares: Float[Tensor, " n"]
    ) -> "BlurStack":
        """Images that are blurred already, brought to the classifier's device.

        Args:
            classifier: whose input they become.
            stacks: of each image, its levels at the network's input size and on the canvas, in [0,1].
            shares: see the class.
        """
        device = classifier.device
        return cls(
            still=torch.stack([still.to(device) for still, _ in stacks]),
            moving=torch.stack([classifier.normalised(moving.to(device)) for _, moving in stacks]),
            shares=shares.to(device, classifier.dtype),
            normalise=classifier.normalised,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of the network's input."""
        return self.still.shape[-2], self.still.shape[-1]

    def apply(
        self, masks: Float[Tensor, "b h w"], offsets: Int[Tensor, "b 2"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The network's input: each pixel of the image, or of its window at `offsets`, at its own blur."""
        if offsets is None:
            return self.normalise(between(self.still, self.shares, masks))
        return between(self.moving, self.shares, masks, offsets)

    def logits(self, classifier: Classifier, given: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The classifier's logits for its input."""
        return classifier.answer(given)

    def select(self, rows: Int[Tensor, " k"]) -> "BlurStack":
        """Some of the images."""
        return BlurStack(self.still[rows], self.moving[rows], self.shares, self.normalise)

    def joined(self, other: "BlurStack") -> "BlurStack":
        """These images and others of the same size."""
        still, moving = torch.cat([self.still, other.still]), torch.cat([self.moving, other.moving])
        return BlurStack(still, moving, self.shares, self.normalise)


def photo_between(
    network_input: NetworkInput,
    levels: Float[Tensor, "n c h w"],
    shares: Float[Tensor, " n"],
    mask: Float[Tensor, "hp wp"],
) -> Float[Tensor, "c hp wp"]:
    """The photo under a mask of its size, in [0,1]; outside the network's view it stays.

    Args:
        network_input: of the photo.
        levels: of its input, the first without blur.
        shares: the width of each level over the largest.
        mask: in [0,1].
    """
    photo, fit = network_input.photo.pixels, network_input.fit
    size = (photo.shape[-2], photo.shape[-1])
    blurred = [fit.back(one, size, 0.0).clamp(0, 1).float() for one in levels[1:]]
    left, top, right, bottom = fit.window(size, network_input.size)
    inside = torch.zeros(size)
    inside[round(top) : round(bottom), round(left) : round(right)] = 1
    keep = torch.where(inside > 0, mask, 1.0)
    return between(torch.stack([photo, *blurred])[None], shares.to(photo), keep[None])[0]


def between(
    levels: Float[Tensor, "b n c hc wc"],
    shares: Float[Tensor, " n"],
    masks: Float[Tensor, "b h w"],
    offsets: Int[Tensor, "b 2"] | None = None,
) -> Float[Tensor, "b c h w"]:
    """Each pixel between the two levels that are nearest to its width 1 - m; only the mask has a gradient.

    Args:
        levels: one image at several widths of blur.
        shares: these widths over the largest, rising from 0 to 1.
        masks: in [0,1], 1 for the first level.
        offsets: where in the levels each image's window begins; None for their corner.
    """
    if offsets is None:
        offsets = torch.zeros(len(masks), 2, dtype=torch.long, device=masks.device)
    blended: Tensor = _Between.apply(masks, levels, shares, offsets)
    return blended


class _Between(torch.autograd.Function):
    """Piecewise linear in the mask: two look-ups a pixel forwards, one product backwards."""

    @staticmethod
    def forward(ctx: FunctionCtx, masks: Tensor, levels: Tensor, shares: Tensor, offsets: Tensor) -> Tensor:
        batch, count, channels, rows, columns = levels.shape
        height, width = masks.shape[-2:]
        share = (1 - masks).clamp(0, 1)
        lower = (torch.bucketize(share, shares, right=True) - 1).clamp(0, count - 2)
        span = shares.diff()[lower]
        down = offsets[:, 0, None, None] + torch.arange(height, device=masks.device)[:, None]
        across = offsets[:, 1, None, None] + torch.arange(width, device=masks.device)
        place = (lower * channels * rows + down) * columns + across
        flat, step = levels.reshape(batch, -1), channels * rows * columns
        first, second = [], []
        for channel in range(channels):
            own = (place + channel * rows * columns).reshape(batch, -1)
            first.append(flat.gather(1, own))
            second.append(flat.gather(1, own + step))
        low = torch.stack(first, dim=1).reshape(batch, channels, height, width)
        derivative = torch.stack(second, dim=1).reshape(batch, channels, height, width).sub_(low)
        derivative.div_(span[:, None])
        ctx.save_for_backward(derivative)
        return torch.addcmul(low, derivative, (share - shares[lower])[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        (derivative,) = ctx.saved_tensors
        return -(gradient * derivative).sum(dim=1), None, None, None
