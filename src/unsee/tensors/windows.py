"""Jittered windows of an image that is a little larger than the network's input."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def window(
    canvas: Float[Tensor, "b c hc wc"], offsets: Int[Tensor, "b 2"], size: tuple[int, int]
) -> Float[Tensor, "b c h w"]:
    """Crop a window of `size` (h, w) from each canvas, its top left corner at `offsets` (row, column)."""
    height, width = size
    if canvas.shape[-2:] == (height, width):
        return canvas
    every = canvas.unfold(2, height, 1).unfold(3, width, 1)
    batch = torch.arange(canvas.shape[0], device=canvas.device)
    return every[batch, :, offsets[:, 0], offsets[:, 1]]
