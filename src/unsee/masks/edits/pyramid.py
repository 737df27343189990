"""The blur that the paper defines (§4.1): a Gaussian whose width at each pixel follows the mask.

Φ(x₀; m)(u) = ∫ g_σ(u)(v - u) x₀(v) dv with σ(u) = σ₀·(1 - m(u)): 0 where the mask keeps, σ₀ where it
deletes. (As printed, σ₀·m(u) contradicts "1 keeps".) The image is blurred beforehand with a few widths, and
each pixel is read between the two levels that are nearest to its own. So an evaluation costs two look-ups a
pixel, and the gradient is exact for what is computed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Edit
from unsee.masks.network_input import NetworkInput
from unsee.tensors import smooth

_SPACING = 2.0


@dataclass(frozen=True)
class Pyramid:
    """A Gaussian blur whose width follows the mask.

    Args:
        sigma: σ₀, in pixels of the network's input: the width where the mask deletes.
        levels: how many widths the image is blurred with, 0 and σ₀ among them; they are denser near 0.
        name: the name in results.

    Raises:
        UnseeError: fewer than two levels, or no width.
    """

    sigma: float = 10.0
    levels: int = 12
    name: str = "pyramid"

    def __post_init__(self) -> None:
        if self.levels < 2 or not self.sigma > 0:
            raise UnseeError(
                f"a pyramid needs two levels or more and a sigma above 0, got {self.levels} and {self.sigma}"
            )

    @property
    def shares(self) -> Float[Tensor, " n"]:
        """The width of each level over σ₀, from 0 to 1; float64."""
        return torch.linspace(0, 1, self.levels, dtype=torch.float64) ** _SPACING

    def stack(self, image: Float[Tensor, "c h w"]) -> Float[Tensor, "n c h w"]:
        """The image blurred with the width of each level; the first is the image itself."""
        blurred = [smooth(image, self.sigma * float(share)) for share in self.shares[1:]]
        return torch.stack([image, *blurred])

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The image where everything is deleted, at the input size and on the canvas: blurred with σ₀."""
        return smooth(network_input.plain, self.sigma), smooth(network_input.canvas, self.sigma)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The stacks of these inputs, on the classifier's device."""
        device = classifier.device
        moving = [classifier.normalised(self.stack(one.canvas).to(device)) for one in inputs]
        return PyramidBlend(
            still=torch.stack([self.stack(one.plain).to(device) for one in inputs]),
            moving=torch.stack(moving),
            shares=self.shares.to(device, classifier.dtype),
            normalise=classifier.normalised,
        )

    def edited_photo(self, network_input: NetworkInput, mask: Float[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
        """The photo under the mask, in [0,1]; outside the network's view it stays."""
        photo, fit = network_input.photo.pixels, network_input.fit
        size = (photo.shape[-2], photo.shape[-1])
        blurred = [
            fit.back(one, size, 0.0).clamp(0, 1).float() for one in self.stack(network_input.plain)[1:]
        ]
        left, top, right, bottom = fit.window(size, network_input.size)
        inside = torch.zeros(size)
        inside[round(top) : round(bottom), round(left) : round(right)] = 1
        levels = torch.stack([photo, *blurred])[None]
        keep = torch.where(inside > 0, mask, 1.0)[None]
        return between(levels, self.shares.to(photo), keep)[0]


@dataclass(frozen=True, eq=False)
class PyramidBlend:
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

    def select(self, rows: Int[Tensor, " k"]) -> "PyramidBlend":
        """Some of the images."""
        return PyramidBlend(self.still[rows], self.moving[rows], self.shares, self.normalise)

    def joined(self, other: "PyramidBlend") -> "PyramidBlend":
        """These images and others of the same size."""
        still, moving = torch.cat([self.still, other.still]), torch.cat([self.moving, other.moving])
        return PyramidBlend(still, moving, self.shares, self.normalise)


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
        slope = torch.stack(second, dim=1).reshape(batch, channels, height, width).sub_(low)
        slope.div_(span[:, None])
        ctx.save_for_backward(slope)
        return torch.addcmul(low, slope, (share - shares[lower])[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        (slope,) = ctx.saved_tensors
        return -(gradient * slope).sum(dim=1), None, None, None
