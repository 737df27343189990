"""The parts of every figure: panels for images and maps, heatmap colours, boxes, and the PNG writer."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Figure  # noqa: PLC0414 handed on to those who draw through here
from matplotlib.patches import Rectangle
from torch import Tensor

from unsee.files import write_whole
from unsee.fits import resize
from unsee.images import save_png
from unsee.pixels import GREY, RGB, RGBA, Bands
from unsee.tensors import Box

HEATMAP = "inferno"
_SIDE = 640
_INCHES = 3.4
_DPI = 150
_LINE = 0.2
"""Inches of a further line of a title."""
_BORDER = "0.75"

BoxLike = Box | tuple[float, float, float, float]
"""A half-open box [x0, y0, x1, y1) in pixels; edges may lie between pixels."""


def row_of_panels(figure: Figure, count: int, aspect: float, lines: int = 1) -> list[Axes]:
    """Lay out `count` panels side by side, for images whose height divided by width is `aspect`.

    `lines` is how many the longest title has.
    """
    figure.set_layout_engine("constrained")
    height = _INCHES * min(max(aspect, 0.3), 2.5) + 0.28 + _LINE * (lines - 1)
    figure.set_size_inches(_INCHES * count, height)
    row = list(figure.subplots(1, count, squeeze=False)[0])
    for axes in row:
        axes.set_anchor("S")  # what is left over is above, where titles are
    return row


def viewed(pixels: Float[Tensor, "n h w"], bands: Bands | None = None) -> Float[Tensor, "3 h w"]:
    """An image of any channels as RGB: one as grey, three as they are, of four the first three.

    Others are drawn as the grey of their mean, and any by three `bands` if they are given.
    """
    if bands is not None:
        return pixels[list(bands)]
    if len(pixels) in (RGB, RGBA):
        return pixels[:RGB]
    return pixels.mean(dim=0, keepdim=True).expand(RGB, -1, -1)


def image(axes: Axes, pixels: Float[Tensor, "n h w"], title: str, bands: Bands | None = None) -> None:
    """Draw an image in [0,1], as `viewed`, under its title; large images are shrunk."""
    axes.imshow(shrunk(viewed(pixels, bands)).permute(1, 2, 0).numpy())
    _titled(axes, title)


def grey_map(axes: Axes, values: Float[Tensor, "h w"], title: str) -> None:
    """Draw a map in [0,1], black to white, under its title; large maps are shrunk."""
    image(axes, values[None], title)


def outline(axes: Axes, box: BoxLike, size: tuple[int, int], color: str, linewidth: float = 1.2) -> None:
    """Outline a box on a panel.

    Args:
        axes: the panel, after its image has been drawn.
        box: in pixels of the image as it was before it was shrunk.
        size: (height, width) of that image.
        color: of the line.
        linewidth: in points.
    """
    scale = _shrunk_size(size)[1] / size[1]
    left, top, right, bottom = (edge * scale - 0.5 for edge in box)
    corner, width, height = (left, top), right - left, bottom - top
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=color, linewidth=linewidth))


def shrunk(pixels: Float[Tensor, "c h w"]) -> Float[Tensor, "c hs ws"]:
    """The image with its longer side reduced to what a figure can show."""
    return resize(pixels, _shrunk_size((pixels.shape[-2], pixels.shape[-1])))


def colored(saliency: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
    """A saliency map in [0,1] in the heatmap's colours, RGB in [0,1]."""
    painted = colormaps[HEATMAP](saliency.numpy())[..., :3].astype(np.float32)
    return torch.from_numpy(painted).permute(2, 0, 1).contiguous()


def overlaid(
    photo: Float[Tensor, "n h w"], saliency: Float[Tensor, "h w"], bands: Bands | None = None
) -> Float[Tensor, "3 h w"]:
    """The heatmap over the image as `viewed`, which stays visible where the saliency is low."""
    photo = viewed(photo, bands)
    weight = 0.15 + 0.6 * saliency
    grey = photo.mean(dim=0, keepdim=True).expand(3, -1, -1)
    return torch.lerp(0.5 * photo + 0.5 * grey, colored(saliency), weight.expand(3, -1, -1)).clamp(0, 1)


def save_view(path: Path, pixels: Float[Tensor, "n h w"], bands: Bands | None = None) -> None:
    """Write an image as `viewed` to a PNG file, one channel as a grey one.

    Raises:
        UnseeError: the file cannot be written.
    """
    grey = len(pixels) == GREY and bands is None
    save_png(path, pixels[0] if grey else viewed(pixels, bands))


def save(figure: Figure, path: object) -> None:
    """Write a figure as PNG to a path, completely or not at all, or to an open file."""
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(drawn, dpi=_DPI, format="png")
    if isinstance(path, str | os.PathLike):
        write_whole(Path(path), drawn.getvalue())
    else:
        path.write(drawn.getvalue())  # type: ignore[attr-defined]


def _shrunk_size(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    scale = min(_SIDE / max(height, width), 1.0)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(_BORDER)
