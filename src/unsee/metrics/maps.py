"""Checks of saliency maps that all metrics share, and exact comparison at another size."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError

_LEVELS = 2**32


def readable(saliency: Float[Tensor, "*b h w"]) -> Float[Tensor, "*b h w"]:
    """The map in float64 on the CPU, without gradients; read-only, it may share memory.

    Raises:
        UnseeError: the map is empty, or holds NaN or infinite values.
    """
    if saliency.numel() == 0:
        raise UnseeError(f"a map of shape {tuple(saliency.shape)} has no values to measure")
    if not bool(saliency.isfinite().all()):
        raise UnseeError("the saliency holds NaN or infinite values: it cannot be measured")
    return saliency.detach().to("cpu", torch.float64)


def heights(saliency: Float[Tensor, "*b h w"], size: tuple[int, int]) -> Int[Tensor, "*b H W"]:
    """The map resized bilinearly, centres on centres, as integers for comparing its values.

    They go from 0 to 2³². Integers keep ties: a bilinear mean of equal values is not exactly their value, so
    rounding errors would order a plateau.

    Raises:
        UnseeError: the map is not finite.
    """
    maps = readable(saliency)
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    shares = (maps - low) / torch.where(high > low, high - low, 1.0)
    flat = shares.reshape(-1, 1, *maps.shape[-2:])
    large = F.interpolate(flat, picture_size(size), mode="bilinear", align_corners=False)
    return (large * _LEVELS).round().long().reshape(*maps.shape[:-2], *size)


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """The height and width of an image, checked.

    Raises:
        UnseeError: a side is below 1.
    """
    if min(size) < 1:
        raise UnseeError(f"an image cannot have {size[0]} × {size[1]} pixels: give (height, width)")
    return size
