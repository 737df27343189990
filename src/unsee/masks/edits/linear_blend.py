"""What the network is shown while a mask descends: jittered windows of a perturbed picture.

Pictures are kept as the network takes them, normalised, so that Φ costs one product and one sum a pixel;
with the normalisation, which is linear, `M·x₀ + (1-M)·reference` stays what it is.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.tensors import window


@dataclass(frozen=True, eq=False)
class Views:
    """One perturbation of B pictures, with a margin for the jitter.

    Args:
        reference: what is seen where the mask is 0, normalised.
        contrast: what the picture adds to it where the mask is 1.
        size: height and width in pixels of the network's input.
    """

    reference: Float[Tensor, "b 3 hc wc"]
    contrast: Float[Tensor, "b 3 hc wc"]
    size: tuple[int, int]

    def seen(self, masks: Float[Tensor, "b h w"], offsets: Int[Tensor, "b 2"]) -> Float[Tensor, "b 3 h w"]:
        """The network's input: the window at `offsets` edited by one pixel mask an image."""
        reference = window(self.reference, offsets, self.size)
        contrast = window(self.contrast, offsets, self.size)
        seen: Tensor = _Blended.apply(masks, reference, contrast)
        return seen

    def select(self, rows: Int[Tensor, " k"]) -> "Views":
        """Some of the pictures."""
        return Views(self.reference[rows], self.contrast[rows], self.size)

    def joined(self, other: "Views") -> "Views":
        """These pictures and others of the same size."""
        reference = torch.cat([self.reference, other.reference])
        return Views(reference, torch.cat([self.contrast, other.contrast]), self.size)


class _Blended(torch.autograd.Function):
    """reference + M·contrast; only M has a gradient, and no product of full size is made on the way back."""

    @staticmethod
    def forward(ctx: FunctionCtx, masks: Tensor, reference: Tensor, contrast: Tensor) -> Tensor:
        ctx.save_for_backward(contrast)
        return torch.addcmul(reference, contrast, masks[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (contrast,) = ctx.saved_tensors
        first, *others = zip(slopes.unbind(1), contrast.unbind(1), strict=True)
        total = first[0] * first[1]
        for slope, part in others:
            total.addcmul_(slope, part)
        return total, None, None
