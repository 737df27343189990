"""Upsampling from a coarse grid to pixels, one axis at a time, as a matrix."""

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.choices import look_up


def _nearest(pixels: Tensor, length: int, cells: int) -> Tensor:
    return (pixels * cells / length).floor()


def _bilinear(pixels: Tensor, length: int, cells: int) -> Tensor:
    return (pixels + 0.5) * cells / length - 0.5


def _bilinear_aligned(pixels: Tensor, length: int, cells: int) -> Tensor:
    return pixels * (cells - 1) / max(length - 1, 1)


UPSAMPLINGS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bilinear_aligned": _bilinear_aligned,
}
"""Name → function that gives the position of each pixel on the grid, in cells. `bilinear` scales as if cells
were large pixels; `bilinear_aligned` aligns the first and last cells with the first and last pixels."""


@lru_cache(maxsize=64)
def upsampling_matrix(length: int, cells: int, mode: str) -> Float[Tensor, "length cells"]:
    """Matrix U with `U @ cells` the upsampled line, float64, on the CPU; each row sums to 1.

    Raises:
        UnseeError: the mode is not in `UPSAMPLINGS`.
    """
    pixels = torch.arange(length, dtype=torch.float64)
    places = look_up(UPSAMPLINGS, mode, "upsampling")(pixels, length, cells).clamp(0, cells - 1)
    low = places.floor().long()
    high = (low + 1).clamp(max=cells - 1)
    share = (places - low)[:, None]
    matrix = torch.zeros(length, cells, dtype=torch.float64)
    matrix.scatter_add_(1, low[:, None], 1 - share)
    return matrix.scatter_add_(1, high[:, None], share)
