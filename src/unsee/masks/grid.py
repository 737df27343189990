"""The low-resolution mask m, and the upsampling and blur that make it M, one value a pixel (§4.3)."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.game import DELETION, Game
from unsee.tensors import gaussian_matrix, upsampling_matrix


@dataclass(frozen=True)
class Grid:
    """Cells of the mask and the smoothing between them.

    Args:
        cell: side in pixels of a cell (δ); the number of cells is the input's side over it, rounded.
        shape: rows and columns of cells, if they are fixed instead.
        upsampling: a name in `unsee.tensors.UPSAMPLINGS`.
        blur: standard deviation in pixels of the blur after upsampling (σ_m); 0 for none.
        straight_through: the authors' code: the mask is rounded to 8 bits before the blur, and the gradient
            of a cell is the sum over its pixels, without the blur.

    Raises:
        UnseeError: no cells or negative sizes.
    """

    cell: float = 8.0
    shape: tuple[int, int] | None = None
    upsampling: str = "nearest"
    blur: float = 5.0
    straight_through: bool = False

    def __post_init__(self) -> None:
        if self.cell <= 0 or self.blur < 0 or (self.shape is not None and min(self.shape) < 1):
            raise UnseeError(
                "a mask needs cells larger than 0 pixels, at least one cell, and a blur of at least 0"
            )

    def for_input(self, size: tuple[int, int]) -> "Grid":  # noqa: ARG002
        """Itself: it is the same for every input."""
        return self

    def unblurred(self) -> "Grid":
        """The same grid without the blur after upsampling."""
        return replace(self, blur=0.0)

    def cells(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of cells for an input of (height, width) pixels."""
        if self.shape is not None:
            return self.shape
        return max(round(size[0] / self.cell), 1), max(round(size[1] / self.cell), 1)

    def upsampler(
        self,
        size: tuple[int, int],
        like: Tensor,
        game: Game = DELETION,  # noqa: ARG002
    ) -> "Upsampler":
        """The map from cells to pixels of an input of `size`, in `like`'s dtype and on its device."""
        cells = self.cells(size)
        enlarge = [upsampling_matrix(n, k, self.upsampling) for n, k in zip(size, cells, strict=True)]
        blurs = [gaussian_matrix(n, self.blur) for n in size]
        if self.straight_through:
            return Upsampler(enlarge[0].to(like), enlarge[1].to(like), blurs[0].to(like), blurs[1].to(like))
        return Upsampler((blurs[0] @ enlarge[0]).to(like), (blurs[1] @ enlarge[1]).to(like))


OWN_CELLS = Grid(cell=1.0, blur=0.0)
"""One cell for each place of an edit whose masks are not laid on pixels, and nothing between them."""


@dataclass(frozen=True, eq=False)
class Upsampler:
    """M = A m Bᵀ, upsampling and blur in one matrix an axis.

    With separate blur matrices it is the authors' straight-through version: the forward pass blurs the 8-bit
    mask, the backward pass knows only the upsampling.
    """

    rows: Float[Tensor, "h r"]
    columns: Float[Tensor, "w c"]
    blur_rows: Float[Tensor, "h h"] | None = None
    blur_columns: Float[Tensor, "w w"] | None = None

    def __call__(self, mask: Float[Tensor, "*b r c"]) -> Float[Tensor, "*b h w"]:
        """One value a pixel, in [0,1] for a mask in [0,1]."""
        pixels = self.rows @ mask @ self.columns.T
        if self.blur_rows is None or self.blur_columns is None:
            return pixels
        with torch.no_grad():
            blurred = self.blur_rows @ ((255 * pixels).round() / 255) @ self.blur_columns.T
        return pixels + (blurred - pixels).detach()


def to_cells(pixels: Float[Tensor, "*b h w"], cells: tuple[int, int]) -> Float[Tensor, "*b r c"]:
    """The mean over each cell's pixels, for starts; neighbouring cells may share pixels."""
    flat = pixels.reshape(-1, 1, *pixels.shape[-2:])
    return F.adaptive_avg_pool2d(flat, cells).reshape(*pixels.shape[:-2], *cells)
