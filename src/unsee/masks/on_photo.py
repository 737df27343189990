"""A mask on the photo that it was learned for, whatever it lies on: pixels, or cells such as tokens."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.fits import Fit


def on_photo(
    mask: Float[Tensor, "r c"],
    fit: Fit,
    size: tuple[int, int],
    photo_size: tuple[int, int],
    fill: float,
    cells: bool = False,
) -> Float[Tensor, "h w"]:
    """The mask with one value a pixel of the photo, float32 in [0,1].

    A mask is resized as images are, but one of `cells` is not smoothed: each pixel takes the value of the
    cell that it lies in.

    Args:
        mask: on the network's input, on a layer's places, or on cells that divide the input evenly.
        fit: how the photo was brought to the input.
        size: height and width of the input in pixels.
        photo_size: height and width of the photo.
        fill: the value of pixels that the network does not see.
        cells: whether the mask's values are those of cells with edges, such as tokens.
    """
    if not cells:
        return fit.back(mask, photo_size, fill).clamp(0, 1).float()
    places = torch.stack(
        torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in size), indexing="ij")
    )
    rows, columns = fit.back(places, photo_size, -1.0)
    row, column = (
        (place * (cells / pixels)).long().clamp(0, cells - 1)
        for place, cells, pixels in zip((rows, columns), mask.shape, size, strict=True)
    )
    return torch.where(rows < 0, fill, mask[row, column].clamp(0, 1).float())


def on_input(mask: Float[Tensor, "r c"], size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """The mask with one value a pixel of the network's input, each that of its cell."""
    row, column = (
        torch.arange(pixels) * cells // pixels for pixels, cells in zip(size, mask.shape, strict=True)
    )
    return mask[row[:, None], column]
