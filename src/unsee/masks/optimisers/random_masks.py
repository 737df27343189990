"""Smooth random masks, to begin with where nothing is known of the score."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.tensors import smooth

_WIDTHS = (2 / 28, 3 / 28, 5 / 28)
"""Standard deviations of the smoothing in turn, as shares of a mask's side."""
_LEAST, _MOST = 0.05, 0.95
_STEEPNESS = 2.0


def smooth_random_masks(count: int, shape: tuple[int, int], draws: torch.Generator) -> Float[Tensor, "k r c"]:
    """Random fields of different smoothness, cut so that between 5 % and 95 % of the cells are deleted.

    Args:
        count: how many.
        shape: rows and columns.
        draws: of the fields and of the shares.

    Returns:
        Masks in [0,1] in float64.
    """
    fields = torch.randn(count, *shape, generator=draws, dtype=torch.float64)
    shares = _LEAST + (_MOST - _LEAST) * torch.rand(count, generator=draws, dtype=torch.float64)
    masks = []
    for number, (field, share) in enumerate(zip(fields, shares.tolist(), strict=True)):
        soft = smooth(field, _WIDTHS[number % len(_WIDTHS)] * max(shape))
        soft = (soft - soft.mean()) / soft.std(correction=0).clamp(min=1e-12)
        cut = soft.flatten().quantile(1 - share)
        masks.append((_STEEPNESS * (cut - soft) + 0.5).clamp(0, 1))
    return torch.stack(masks)
