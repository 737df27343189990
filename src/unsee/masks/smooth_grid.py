"""Smooth masks by max-convolution (Fong, Patrick & Vedaldi 2019): wherever a cell is marked, a disc is.

Each cell paints its value times a kernel k(d) = exp(-2·max(d/σ - ½, 0)²) of the distance d to it, and a pixel
is the smooth maximum Σ x·e^{cx} / Σ e^{cx} of what it is painted with, c = 20. So a mask is smooth, and yet
reaches 0 and 1. It is taken over the window of cells round the pixel; cells beyond the border are 0.

It works on the saliency of cells, which is high where the image matters: the kept ones in preservation,
the deleted ones in deletion. The authors' code computes a margin of σ pixels round the picture
too, over which its area is taken.
"""

import math
import threading
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from unsee.errors import UnseeError
from unsee.masks.game import DELETION, Game
from unsee.records import NEWER


@dataclass(frozen=True)
class SmoothGrid:
    """Cells of the mask, and the max-convolution that makes it smooth.

    Args:
        step: pixels between cells.
        sigma: size in pixels of the kernel, a multiple of `step`: 1 up to half of it, e^(-1/2) at its whole.
        coldness: of the smooth maximum; the higher, the closer to a maximum.
        spread: the gradient of a pixel goes to all cells round it, by the kernel alone. That of the smooth
            maximum goes to the highest of them and away from those that are a little lower, so that single
            cells stand out early; it takes many steps to move them.
        size: height and width of the picture; None where its cells fill it (`for_input`).

    Raises:
        UnseeError: a size or the coldness is not above 0, or sigma is no multiple of the step.
    """

    step: int = 7
    sigma: int = 21
    coldness: float = 20.0
    spread: bool = field(default=False, metadata=NEWER)
    size: tuple[int, int] | None = field(default=None, metadata=NEWER)

    def __post_init__(self) -> None:
        if self.step < 1 or self.sigma < 1 or self.sigma % self.step or self.coldness <= 0:
            raise UnseeError(
                "a smooth mask needs a step of at least 1 pixel, a sigma that is a multiple of it, and a "
                f"coldness above 0, got {self.step}, {self.sigma} and {self.coldness}"
            )

    def for_input(self, size: tuple[int, int]) -> "SmoothGrid":
        """The same grid, knowing the input's size in pixels, which cells may exceed."""
        return replace(self, size=size)

    def unblurred(self) -> "SmoothGrid":
        """Itself: it has no blur."""
        return self

    def cells(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of cells for an input of (height, width) pixels."""
        return math.ceil(size[0] / self.step), math.ceil(size[1] / self.step)

    def upsampler(self, size: tuple[int, int], like: Tensor, game: Game = DELETION) -> "SmoothUpsampler":
        """The map from cells to pixels for an input of `size`, in `like`'s dtype and on its device."""
        return SmoothUpsampler(self, size, self.kernel(like), game)

    @property
    def radius(self) -> int:
        """Cells on each side of a pixel's own cell whose kernels are looked at."""
        return 1 + math.ceil(self.sigma / self.step)

    @property
    def border(self) -> int:
        """Empty cells on each side of the grid."""
        return 1 + math.ceil(2 * self.sigma / self.step)

    def with_margin(self, saliency: Float[Tensor, "b r c"]) -> Float[Tensor, "b hm wm"]:
        """The saliency of pixels, with `sigma` of margin before the first cell and at least that behind.

        Args:
            saliency: of cells, in [0,1].
        """
        return self.painted(saliency, self.kernel(saliency))

    def painted(
        self, saliency: Float[Tensor, "b r c"], kernel: Float[Tensor, "k s s"]
    ) -> Float[Tensor, "b hm wm"]:
        """As `with_margin`, with the kernel at hand."""
        convolution = _SpreadMaxConvolution if self.spread else _MaxConvolution
        pixels: Tensor = convolution.apply(saliency, kernel, self.border, self.coldness)
        return pixels

    @torch.no_grad()
    def area(self, saliency: Float[Tensor, "b r c"]) -> Float[Tensor, " b"]:
        """The mean saliency over the picture, from a few pixels of each cell."""
        few = torch.arange(self.step)[self.step // 4 :: max(self.step // 2, 1)]
        kernel = self.kernel(saliency)[:, few][:, :, few].contiguous()
        padded = F.pad(saliency, (self.border,) * 4)
        total, weighted = _sums(padded, kernel, self.coldness)
        rows, columns = _windows(kernel, padded)
        first = self.sigma // self.step
        values = weighted.div_(total).view(len(saliency), -1, rows, columns)
        inside = values[:, :, first : first + saliency.shape[1], first : first + saliency.shape[2]]
        return inside.flatten(1).mean(dim=1)

    def inside(self, pixels: Float[Tensor, "b hm wm"], cells: tuple[int, int]) -> Float[Tensor, "b n"]:
        """The pixels of the picture, without the margin, flat."""
        top, (height, width) = self.sigma, self.size or (self.step * cells[0], self.step * cells[1])
        return pixels[:, top : top + height, top : top + width].flatten(1)

    def kernel(self, like: Tensor) -> Float[Tensor, "k s s"]:
        """The kernel of each cell of a window at each of the step² pixels of a cell."""
        return _kernel(self.step, self.sigma, self.radius, self.border).to(like)


@dataclass(frozen=True, eq=False)
class SmoothUpsampler:
    """From cells to the pixels of the picture, without the margin."""

    grid: SmoothGrid
    size: tuple[int, int]
    kernel: Float[Tensor, "k s s"]
    game: Game

    def __call__(self, mask: Float[Tensor, "*b r c"]) -> Float[Tensor, "*b h w"]:
        """One value a pixel, in [0,1] for a mask in [0,1]."""
        flat = mask.reshape(-1, *mask.shape[-2:])
        pixels = self.grid.painted(self.game.saliency(flat), self.kernel)
        top = self.grid.sigma
        inside = pixels[:, top : top + self.size[0], top : top + self.size[1]]
        own = 1 - inside if self.game.ideal == 1 else inside
        return own.reshape(*mask.shape[:-2], *self.size)


@lru_cache(maxsize=16)
def _kernel(step: int, sigma: int, radius: int, border: int) -> Float[Tensor, "k s s"]:
    """exp(-2·max(d/σ - ½, 0)²), d from each pixel of a cell to each cell of its window; float64."""
    places = torch.arange(2 * radius + 1, dtype=torch.float64)
    inside = torch.arange(step, dtype=torch.float64)
    along = inside - sigma - step * (places[:, None] - border)
    distance = (along[:, None, :, None].square() + along[None, :, None, :].square()).sqrt()
    return torch.exp(-2 * (distance / sigma - 0.5).clamp(min=0).square()).flatten(0, 1)


class _Last(threading.local):
    """The last sums: an iteration asks for those of the same masks three times."""

    asked: tuple[Tensor, Tensor, float] | None = None
    found: tuple[Tensor, Tensor]

    def sums(self, padded: Tensor, kernel: Tensor, coldness: float) -> tuple[Tensor, Tensor]:
        """Σ e^{cx} and the smooth maximum, (b, pixels of a cell, cells); not to be changed."""
        if not self._knows(padded, kernel, coldness):
            total, weighted = _sums(padded, kernel, coldness)
            self.asked, self.found = (padded.clone(), kernel, coldness), (total, weighted.div_(total))
        return self.found

    def _knows(self, padded: Tensor, kernel: Tensor, coldness: float) -> bool:
        if self.asked is None:
            return False
        known = zip(self.asked[:2], (padded, kernel), strict=True)
        alike = all(old.dtype == new.dtype and old.device == new.device for old, new in known)
        return bool(
            alike
            and self.asked[2] == coldness
            and all(torch.equal(old, new) for old, new in zip(self.asked[:2], (padded, kernel), strict=True))
        )


_LAST = _Last()


class _MaxConvolution(torch.autograd.Function):
    """The smooth maximum, one cell of the window after another, which takes little memory."""

    @staticmethod
    def forward(ctx: FunctionCtx, saliency: Tensor, kernel: Tensor, border: int, coldness: float) -> Tensor:
        padded = F.pad(saliency, (border,) * 4)
        total, value = _LAST.sums(padded, kernel, coldness)
        ctx.save_for_backward(padded, kernel, total, value)
        ctx.border, ctx.coldness = border, coldness  # type: ignore[attr-defined]
        return _as_pixels(value, kernel, padded)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        padded, kernel, total, value = ctx.saved_tensors
        coldness, border = ctx.coldness, ctx.border
        share = _as_cells(gradient, kernel, padded).div_(total)
        level = 1 - coldness * value
        side, (rows, columns) = math.isqrt(len(kernel)), _windows(kernel, padded)
        result = torch.zeros_like(padded)
        painted, power = torch.empty_like(total), torch.empty_like(total)
        for place, weights in enumerate(kernel.flatten(1)):
            down, right = divmod(place, side)
            window = padded[:, down : down + rows, right : right + columns]
            torch.mul(weights[:, None], window.reshape(len(padded), 1, -1), out=painted)
            painted.mul_(coldness)
            torch.exp(painted, out=power)
            painted.add_(level).mul_(power).mul_(share)
            own = weights @ painted
            result[:, down : down + rows, right : right + columns] += own.view(window.shape)
        inside = result[:, border : result.shape[1] - border, border : result.shape[2] - border]
        return inside, None, None, None


class _SpreadMaxConvolution(_MaxConvolution):
    """The smooth maximum with the gradient of a sum: Σ over pixels of gradient · kernel."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        padded, kernel, _, _ = ctx.saved_tensors
        border, cells = ctx.border, _as_cells(gradient, kernel, padded)
        side, (rows, columns) = math.isqrt(len(kernel)), _windows(kernel, padded)
        result = torch.zeros_like(padded)
        for place, weights in enumerate(kernel.flatten(1)):
            down, right = divmod(place, side)
            own = (weights @ cells).view(-1, rows, columns)
            result[:, down : down + rows, right : right + columns] += own
        inside = result[:, border : result.shape[1] - border, border : result.shape[2] - border]
        return inside, None, None, None


def _sums(padded: Tensor, kernel: Tensor, coldness: float) -> tuple[Tensor, Tensor]:
    """Σ e^{cx} and Σ x·e^{cx} over the window: (b, pixels of a cell, cells)."""
    side, (rows, columns) = math.isqrt(len(kernel)), _windows(kernel, padded)
    total = padded.new_zeros(len(padded), kernel[0].numel(), rows * columns)
    weighted, painted, power = torch.zeros_like(total), torch.empty_like(total), torch.empty_like(total)
    for place, weights in enumerate(kernel.flatten(1)):
        down, right = divmod(place, side)
        window = padded[:, down : down + rows, right : right + columns].reshape(len(padded), 1, -1)
        torch.mul(weights[:, None], window, out=painted)
        torch.mul(painted, coldness, out=power)
        power.exp_()
        total.add_(power)
        weighted.addcmul_(painted, power)
    return total, weighted


def _windows(kernel: Tensor, padded: Tensor) -> tuple[int, int]:
    """How many windows of cells fit along each axis."""
    reach = math.isqrt(len(kernel)) - 1
    return padded.shape[-2] - reach, padded.shape[-1] - reach


def _as_pixels(values: Tensor, kernel: Tensor, padded: Tensor) -> Tensor:
    """(b, pixels of a cell, cells) as (b, h, w); of the last cells only the first pixel counts."""
    step, (rows, columns) = kernel.shape[-1], _windows(kernel, padded)
    cells = values.view(-1, step, step, rows, columns).permute(0, 3, 1, 4, 2)
    pixels = cells.reshape(len(values), rows * step, columns * step)
    return pixels[:, : (rows - 1) * step + 1, : (columns - 1) * step + 1]


def _as_cells(pixels: Tensor, kernel: Tensor, padded: Tensor) -> Tensor:
    """The inverse of `_as_pixels`, with 0 for the pixels that do not count."""
    step, (rows, columns) = kernel.shape[-1], _windows(kernel, padded)
    full = F.pad(pixels, (0, step - 1, 0, step - 1))
    cells = full.view(-1, rows, step, columns, step).permute(0, 2, 4, 1, 3)
    return cells.reshape(len(pixels), step * step, rows * columns)
