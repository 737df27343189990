"""How far an edit lowers a score (§5.2, note 4), and the simple masks of §5.2."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.metrics.maps import readable
from unsee.tensors import smooth

LEAST_SPAN = 1e-6
"""Below it p₀ - p_b is not meaningful: such images are left out and counted."""
_FLAT = 1e-6


def normalised(
    score: Float[Tensor, "..."], original: Float[Tensor, "..."], reference: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """p' = (p - p_b)/(p₀ - p_b) (§5.2, note 4): 1 for the unedited image, 0 for the fully blurred one.

    NaN where p₀ - p_b is below 1e-6. Nothing is clipped: an edit can lower the score below p_b, or raise it.

    Args:
        score: p, of the edited images.
        original: p₀, of the same images unedited; of any shape that broadcasts with `score`.
        reference: p_b, fully blurred; likewise.
    """
    span = original - reference
    return torch.where(span >= LEAST_SPAN, (score - reference) / span, math.nan)


def binarised(
    mask: Float[Tensor, "*b h w"], alphas: Sequence[float], sigma: float = 10.0
) -> Bool[Tensor, "*b n h w"]:
    """The simple masks of §5.2: blurred again, min-max normalised, thresholded.

    A mask that is constant, or varies by less than 1e-6 once blurred, is thresholded as it is: one that keeps
    everything still does.

    Args:
        mask: one mask or a batch, at the network's input size, 1 where the image is kept; not changed.
        alphas: thresholds.
        sigma: standard deviation of the second blur, in pixels.

    Returns:
        True where the image is kept, False where the mask is below α; on the CPU.

    Raises:
        UnseeError: the mask or a threshold is not finite.
    """
    cuts = torch.tensor(tuple(alphas), dtype=torch.float64)
    if not bool(cuts.isfinite().all()):
        raise UnseeError(f"thresholds must be finite, got {cuts.tolist()}")
    plain = readable(mask)
    blurred = smooth(plain, sigma)
    low, high = blurred.amin(dim=(-2, -1), keepdim=True), blurred.amax(dim=(-2, -1), keepdim=True)
    flat = high - low < _FLAT
    stretched = torch.where(flat, plain, (blurred - low) / torch.where(flat, 1.0, high - low))
    return stretched[..., None, :, :] >= cuts[:, None, None]
