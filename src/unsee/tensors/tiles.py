"""Channels laid out as tiles of one matrix, so that a mask over channels is a grid like any other."""

import math

from jaxtyping import Float
from torch import Tensor


def tiles_of(channels: int) -> tuple[int, int]:
    """Rows and columns of tiles, as nearly square as their number allows."""
    rows = next(count for count in range(math.isqrt(channels), 0, -1) if channels % count == 0)
    return rows, channels // rows


def untiled(matrix: Float[Tensor, "b _h _w"], tiles: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    """The tiles as channels, in order, row by row."""
    count, height, width = matrix.shape
    rows, columns = tiles
    parts = matrix.view(count, rows, height // rows, columns, width // columns)
    return parts.transpose(2, 3).reshape(count, rows * columns, height // rows, width // columns)


def tiled(maps: Float[Tensor, "b c h w"], tiles: tuple[int, int]) -> Float[Tensor, "b _h _w"]:
    """Channels as tiles of one matrix; the inverse of `untiled`."""
    count, _, height, width = maps.shape
    rows, columns = tiles
    parts = maps.view(count, rows, columns, height, width).transpose(2, 3)
    return parts.reshape(count, rows * height, columns * width)
