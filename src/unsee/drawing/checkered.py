"""Showing that parts of a photo are not there, where no edited picture exists."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_SQUARES = 56
"""Along the longer side."""
_GREYS = (0.62, 0.78)


def checkered(photo: Float[Tensor, "n h w"], gone: Bool[Tensor, "h w"]) -> Float[Tensor, "n h w"]:
    """The photo with a checkerboard of two greys where something is gone; the photo has values in [0,1]."""
    height, width = gone.shape
    side = max(max(height, width) // _SQUARES, 1)
    odd = (torch.arange(height)[:, None] // side + torch.arange(width) // side) % 2
    return torch.where(gone, torch.where(odd == 1, *_GREYS), photo)
