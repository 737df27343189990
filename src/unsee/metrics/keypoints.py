"""Saliency around keypoints (§5.4): are eyes more salient than feet?"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from unsee.errors import UnseeError
from unsee.metrics.maps import picture_size, readable


def around_keypoints(
    saliency: Float[Tensor, "h w"],
    points: Real[Tensor, "n 2"] | Sequence[tuple[float | int, float | int]],
    size: tuple[int, int],
    window: int = 5,
) -> Float[Tensor, " n"]:
    """The mean of a map in a square window around each keypoint (§5.4).

    The window is centred on the map's cell in which the keypoint lies, and its side is in cells of the map.
    To use pixels, as in the paper, resize a coarse map to the network's input first. At the border the window
    is cropped, and the mean is of the rest.

    Args:
        saliency: at any size.
        points: x and y in pixels of the image, the centre of pixel (0, 0) being (0, 0).
        size: height and width of the image.
        window: cells along each side, odd.

    Returns:
        One mean per keypoint; float64, on the CPU.

    Raises:
        UnseeError: a keypoint lies outside the image, the window is even, or the map is not finite.
    """
    if window < 1 or window % 2 == 0:
        raise UnseeError(f"the window's side must be odd and at least 1, got {window}")
    plain, reach = readable(saliency), window // 2
    means = [
        plain[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1].mean()
        for column, row in _cells(points, picture_size(size), (plain.shape[0], plain.shape[1])).tolist()
    ]
    return torch.stack(means) if means else plain.new_zeros(0)


def _cells(
    points: Tensor | Sequence[tuple[float | int, float | int]], size: tuple[int, int], shape: tuple[int, int]
) -> Int[Tensor, "n 2"]:
    """The column and row of the cell that each keypoint lies in."""
    places = torch.as_tensor(points, dtype=torch.float64).cpu().reshape(-1, 2) + 0.5
    sides, cells = (torch.tensor(pair[::-1], dtype=torch.float64) for pair in (size, shape))
    outside = ~((places >= 0) & (places <= sides)).all(dim=1)
    if bool(outside.any()):
        x, y = (places[outside][0] - 0.5).tolist()
        raise UnseeError(f"the keypoint ({x:g}, {y:g}) lies outside the image of {size[0]} × {size[1]}")
    return torch.minimum((places * cells / sides).floor(), cells - 1).long()
