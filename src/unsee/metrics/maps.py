"""What every metric asks of a saliency map before it reads it, and its heights at another size."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError

_LEVELS = 2**32


def readable(saliency: Float[Tensor, "*b h w"]) -> Float[Tensor, "*b h w"]:
    """The map in float64 on the CPU, without gradients; for reading alone, it may share memory.

    Raises:
        UnseeError: a map without values, or with NaN or infinite ones.
    """
    if saliency.numel() == 0:
        raise UnseeError(f"a map of shape {tuple(saliency.shape)} has no values to measure")
    if not bool(saliency.isfinite().all()):
        raise UnseeError("the saliency holds NaN or infinite values: there is nothing to measure")
    return saliency.detach().to("cpu", torch.float64)


def heights(saliency: Float[Tensor, "*b h w"], size: tuple[int, int]) -> Int[Tensor, "*b H W"]:
    """The map at a size, bilinearly, centres on centres: for comparing its values with each other.

    They go from 0 to 2³² and are whole, so that what is equal stays so: a bilinear mean of equal values is
    not exactly their value, and a plateau would be ordered by its rounding errors.

    Raises:
        UnseeError: a map that is not finite.
    """
    maps = readable(saliency)
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    shares = (maps - low) / torch.where(high > low, high - low, 1.0)
    flat = shares.reshape(-1, 1, *maps.shape[-2:])
    large = F.interpolate(flat, picture_size(size), mode="bilinear", align_corners=False)
    return (large * _LEVELS).round().long().reshape(*maps.shape[:-2], *size)


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """The height and width of a picture, as they are.

    Raises:
        UnseeError: a side without pixels.
    """
    if min(size) < 1:
        raise UnseeError(f"a picture of {size[0]} × {size[1]} pixels has no places: give (height, width)")
    return size
