"""Gaussian smoothing, one axis at a time: two small matrix products, or convolutions for large photos.

The border is reflected with the edge pixel repeated, so a constant stays constant and the mean of a map does
not change. Same numbers as `scipy.ndimage.gaussian_filter(mode="reflect", truncate=4)`.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError

_DENSE = 1024  # pixels per side up to which matrix products are faster


@lru_cache(maxsize=64)
def gaussian_matrix(length: int, sigma: float, radius: int | None = None) -> Float[Tensor, "n n"]:
    """Matrix G with `G @ line` the Gaussian-smoothed line, float64, on the CPU; each row sums to 1.

    Args:
        length: pixels on the line.
        sigma: standard deviation in pixels; 0 gives the identity.
        radius: where the kernel is cut off, in pixels; defaults to four standard deviations.

    Raises:
        UnseeError: sigma is negative or not finite.
    """
    if not math.isfinite(sigma) or sigma < 0:
        raise UnseeError(
            f"the standard deviation of a blur must be finite and at least 0 pixels, got {sigma}"
        )
    if sigma == 0:
        return torch.eye(length, dtype=torch.float64)
    kernel = _kernel(sigma, radius)
    reach = len(kernel) // 2
    places = _mirrored(length, torch.arange(length)[:, None] + torch.arange(-reach, reach + 1))
    matrix = torch.zeros(length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, places, kernel.expand(length, -1).contiguous())


def smooth(maps: Float[Tensor, "*b h w"], sigma: float, radius: int | None = None) -> Float[Tensor, "*b h w"]:
    """Gaussian-smooth the last two axes; sigma in pixels. Differentiable, keeps dtype and device."""
    if max(maps.shape[-2:]) > _DENSE:
        return _convolved(_convolved(maps, sigma, radius).mT, sigma, radius).mT
    rows = gaussian_matrix(maps.shape[-2], sigma, radius).to(maps)
    columns = gaussian_matrix(maps.shape[-1], sigma, radius).to(maps)
    return rows @ maps @ columns.T


def _kernel(sigma: float, radius: int | None) -> Tensor:
    reach = int(4 * sigma + 0.5) if radius is None else radius
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).double() / sigma) ** 2)
    return weights / weights.sum()


def _mirrored(length: int, places: Tensor) -> Tensor:
    """The positions on the line that positions beyond its ends are reflected to."""
    wrapped = places % (2 * length)
    return torch.where(wrapped < length, wrapped, 2 * length - 1 - wrapped)


def _convolved(maps: Tensor, sigma: float, radius: int | None) -> Tensor:
    """Smooth the last axis by convolution, without a matrix of its length squared."""
    if sigma == 0:
        return maps
    kernel = _kernel(sigma, radius)
    reach, length = len(kernel) // 2, maps.shape[-1]
    padded = maps[..., _mirrored(length, torch.arange(-reach, length + reach)).to(maps.device)]
    lines = F.conv1d(padded.reshape(-1, 1, padded.shape[-1]), kernel.to(maps)[None, None])
    return lines.reshape(maps.shape)
