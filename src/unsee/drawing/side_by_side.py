"""Panels side by side: an image with its score, the edited image with its score, and the mask (fig. 1)."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from unsee.drawing import panels
from unsee.images import save_png
from unsee.pixels import Bands
from unsee.tensors import Box

_BOX = "#e4002b"

Panel = tuple[Float[Tensor, "n h w"] | Float[Tensor, "h w"], str]
"""An image of any channels or a map, with values in [0,1], and its title."""


def side_by_side(
    contents: Sequence[Panel],
    box: Box | None = None,
    figure: Figure | None = None,
    bands: Bands | None = None,
) -> Figure:
    """One row of panels of the same size.

    Args:
        contents: images, and maps that are drawn from black to white.
        box: a half-open box [x0, y0, x1, y1) in pixels, outlined in every panel.
        figure: the figure to draw on; a new one by default.
        bands: the channels of images that are drawn as red, green and blue; see `panels.viewed`.
    """
    height, width = contents[0][0].shape[-2:]
    figure = Figure() if figure is None else figure
    lines = max(1 + title.count("\n") for _, title in contents)
    row = panels.row_of_panels(figure, len(contents), height / width, lines)
    for axes, (values, title) in zip(row, contents, strict=True):
        if values.ndim == 2:
            panels.grey_map(axes, values, title)
        else:
            panels.image(axes, values, title, bands)
        if box is not None:
            panels.outline(axes, box, (height, width), _BOX, 2.0)
    return figure


def show(contents: Sequence[Panel], bands: Bands | None = None) -> None:
    """Show the panels in a window, or in the notebook; images as `panels.viewed`."""
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure = plt.figure()
    side_by_side(contents, figure=figure, bands=bands)
    plt.show()
    plt.close(figure)


def save_masked(
    folder: Path,
    image: Float[Tensor, "n h w"],
    edited: Float[Tensor, "n h w"] | None,
    mask: Float[Tensor, "h w"],
    saliency: Float[Tensor, "h w"],
    bands: Bands | None = None,
) -> None:
    """Write mask.png, heatmap.png, overlay.png and, if there is an edited image, perturbed.png.

    Args:
        folder: must exist.
        image: in [0,1].
        edited: the image under the mask, in [0,1].
        mask: in [0,1].
        saliency: in [0,1], high where salient.
        bands: the channels that are drawn as red, green and blue; see `panels.viewed`.

    Raises:
        UnseeError: a file cannot be written.
    """
    save_png(folder / "mask.png", mask)
    save_png(folder / "heatmap.png", panels.colored(saliency))
    save_png(folder / "overlay.png", panels.overlaid(image, saliency, bands))
    if edited is not None:
        panels.save_view(folder / "perturbed.png", edited, bands)
