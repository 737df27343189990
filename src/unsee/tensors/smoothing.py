"""Gaussian smoothing as two small matrix products, one for each axis.

The border is reflected with its edge pixel repeated, so a constant stays constant and the mean of the map is
kept. Same numbers as `scipy.ndimage.gaussian_filter(mode="reflect", truncate=4)`.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError


@lru_cache(maxsize=64)
def gaussian_matrix(length: int, sigma: float, radius: int | None = None) -> Float[Tensor, "n n"]:
    """Matrix G with `G @ line` the Gaussian-smoothed line, float64, on the CPU; each row sums to 1.

    Args:
        length: pixels on the line.
        sigma: standard deviation in pixels; 0 gives the identity.
        radius: pixels at which the kernel is cut off; four standard deviations unless told.

    Raises:
        UnseeError: sigma negative or not finite.
    """
    if not math.isfinite(sigma) or sigma < 0:
        raise UnseeError(f"a blur needs a finite standard deviation of at least 0 pixels, not {sigma}")
    if sigma == 0:
        return torch.eye(length, dtype=torch.float64)
    reach = int(4 * sigma + 0.5) if radius is None else radius
    steps = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (steps.double() / sigma) ** 2)
    kernel /= kernel.sum()
    places = (torch.arange(length)[:, None] + steps) % (2 * length)
    places = torch.where(places < length, places, 2 * length - 1 - places)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, places, kernel.expand(length, -1).contiguous())


def smooth(maps: Float[Tensor, "*b h w"], sigma: float, radius: int | None = None) -> Float[Tensor, "*b h w"]:
    """Gaussian-smooth the last two axes; sigma in pixels. Differentiable, keeps dtype and device."""
    rows = gaussian_matrix(maps.shape[-2], sigma, radius).to(maps)
    columns = gaussian_matrix(maps.shape[-1], sigma, radius).to(maps)
    return rows @ maps @ columns.T
