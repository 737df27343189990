"""The linear blend M·x₀ + (1-M)·reference, as the authors' code reads the paper's formula (§4.1).

Jittered windows are kept as the network takes them, normalised, so that an edit costs one product and one sum
a pixel; the normalisation is linear, so the blend stays what it is.
"""

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
from unsee.tensors import window


@dataclass(frozen=True, eq=False)
class LinearBlend(Edit):
    """B images with what replaces their pixels.

    Args:
        image: at the network's input size, in [0,1].
        reference: what is seen there where the mask is 0, in [0,1].
        moving_reference: the reference on the larger canvas that jittered windows are cut from, normalised.
        contrast: what the image adds to it where the mask is 1.
        normalise: brings images in [0,1] to what the network takes.
    """

    image: Float[Tensor, "b c h w"]
    reference: Float[Tensor, "b c h w"]
    moving_reference: Float[Tensor, "b c hc wc"]
    contrast: Float[Tensor, "b c hc wc"]
    normalise: Callable[[Tensor], Tensor]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of the network's input."""
        return self.image.shape[-2], self.image.shape[-1]

    def apply(
        self, masks: Float[Tensor, "b h w"], offsets: Int[Tensor, "b 2"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The network's input: the image, or its window at `offsets`, blended with the reference."""
        if offsets is None:
            return self.normalise(blend(self.image, self.reference, masks[:, None]))
        reference = window(self.moving_reference, offsets, self.size)
        contrast = window(self.contrast, offsets, self.size)
        edited: Tensor = _Blended.apply(masks, reference, contrast)
        return edited

    def logits(self, classifier: Classifier, given: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The classifier's logits for its input."""
        return classifier.answer(given)

    def select(self, rows: Int[Tensor, " k"]) -> "LinearBlend":
        """Some of the images."""
        return LinearBlend(
            self.image[rows],
            self.reference[rows],
            self.moving_reference[rows],
            self.contrast[rows],
            self.normalise,
        )

    def joined(self, other: "LinearBlend") -> "LinearBlend":
        """These images and others of the same size."""
        return LinearBlend(
            torch.cat([self.image, other.image]),
            torch.cat([self.reference, other.reference]),
            torch.cat([self.moving_reference, other.moving_reference]),
            torch.cat([self.contrast, other.contrast]),
            self.normalise,
        )


def linear_blend(
    classifier: Classifier,
    inputs: Sequence[NetworkInput],
    references: Sequence[tuple[Float[Tensor, "c h w"], Float[Tensor, "c hc wc"]]],
) -> LinearBlend:
    """The blend of a batch, on the classifier's device.

    Args:
        classifier: normalises images.
        inputs: the photos at the network's input.
        references: the fully perturbed image of each, at the input size and on the canvas, in [0,1].
    """
    device = classifier.device
    moving = classifier.normalised(torch.stack([pair[1] for pair in references]).to(device))
    canvas = classifier.normalised(torch.stack([one.canvas for one in inputs]).to(device))
    return LinearBlend(
        image=torch.stack([one.plain for one in inputs]).to(device),
        reference=torch.stack([pair[0] for pair in references]).to(device),
        moving_reference=moving,
        contrast=canvas.sub_(moving),
        normalise=classifier.normalised,
    )


def blend(
    image: Float[Tensor, "*b c h w"], reference: Float[Tensor, "*b c h w"], mask: Float[Tensor, "*b 1 h w"]
) -> Float[Tensor, "*b c h w"]:
    """The image where the mask is 1, the reference where it is 0."""
    return torch.lerp(reference, image, mask.expand_as(image))


class _Blended(torch.autograd.Function):
    """reference + M·contrast with a gradient for M alone; its backward pass makes no product of full size."""

    @staticmethod
    def forward(ctx: FunctionCtx, masks: Tensor, reference: Tensor, contrast: Tensor) -> Tensor:
        ctx.save_for_backward(contrast)
        return torch.addcmul(reference, contrast, masks[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (contrast,) = ctx.saved_tensors
        first, *others = zip(gradient.unbind(1), contrast.unbind(1), strict=True)
        total = first[0] * first[1]
        for part, factor in others:
            total.addcmul_(part, factor)
        return total, None, None
