"""What every figure is put together from."""

import warnings

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from unsee.fits import resize

HEATMAP = "inferno"
_SIDE = 640
_INCHES = 3.4
_DPI = 150
_FRAME = "0.75"


def row_of_panels(figure: Figure, count: int, aspect: float) -> list[Axes]:
    """Lay out `count` panels side by side for pictures of height over width `aspect`."""
    figure.set_layout_engine("constrained")
    figure.set_size_inches(_INCHES * count, _INCHES * min(max(aspect, 0.3), 2.5) + 0.28)
    return list(figure.subplots(1, count, squeeze=False)[0])


def picture(axes: Axes, pixels: Float[Tensor, "3 h w"], title: str) -> None:
    """One picture under its title, shrunk to a size for the page."""
    axes.imshow(shrunk(pixels).permute(1, 2, 0).numpy())
    _titled(axes, title)


def grey_map(axes: Axes, values: Float[Tensor, "h w"], title: str) -> None:
    """One map in [0,1], black to white, under its title."""
    axes.imshow(shrunk(values.expand(3, -1, -1)).permute(1, 2, 0).numpy())
    _titled(axes, title)


def shrunk(pixels: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 hs ws"]:
    """The picture with its longer side brought down to what a figure can show."""
    height, width = pixels.shape[-2:]
    scale = min(_SIDE / max(height, width), 1.0)
    return resize(pixels, (max(round(height * scale), 1), max(round(width * scale), 1)))


def colored(saliency: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
    """A saliency map in [0,1] in the heatmap's colours, RGB in [0,1]."""
    painted = colormaps[HEATMAP](saliency.numpy())[..., :3].astype(np.float32)
    return torch.from_numpy(painted).permute(2, 0, 1).contiguous()


def overlaid(photo: Float[Tensor, "3 h w"], saliency: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
    """The heatmap over the photo, which shows through where nothing is salient."""
    weight = 0.15 + 0.6 * saliency
    grey = photo.mean(dim=0, keepdim=True).expand(3, -1, -1)
    return torch.lerp(0.5 * photo + 0.5 * grey, colored(saliency), weight.expand(3, -1, -1)).clamp(0, 1)


def save(figure: Figure, path: object) -> None:
    """Write a figure as PNG to a path or an open file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(path, dpi=_DPI, format="png")  # type: ignore[arg-type]


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(_FRAME)
