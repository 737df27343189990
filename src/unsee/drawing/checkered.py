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


def without_tokens(
    photo: Float[Tensor, "n h w"],
    mask: Float[Tensor, "h w"],
    name: str,
    deleted: int,
    tokens: int,
    score: float | None,
    dropped: bool,
) -> tuple[Tensor, str]:
    """The photo with its deleted tokens checkered out, and its title.

    Args:
        photo: in [0,1].
        mask: in [0,1]; below 0.5 a token is deleted.
        name: of the target.
        deleted: how many tokens are.
        tokens: how many there are.
        score: with the deleted ones gone; None if it is not finite.
        dropped: whether they were taken out; else their embeddings were masked.
    """
    how = "dropped, not painted" if dropped else "embeddings masked"
    number = "not finite" if score is None else f"{score:.4f}"
    return checkered(photo, mask < 0.5), f"{name}: {number}\n{deleted} of {tokens} tokens {how}"
