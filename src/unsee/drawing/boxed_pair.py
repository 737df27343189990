"""Two images with the same box: before and after the edit in it (fig. 6)."""

from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from unsee.drawing import panels

_LINE = "#e4002b"


def boxed_pair(
    before: Float[Tensor, "3 h w"],
    after: Float[Tensor, "3 h w"],
    box: tuple[int, int, int, int],
    titles: tuple[str, str],
    saliency: Float[Tensor, "h w"] | None = None,
) -> Figure:
    """Two panels with a half-open box [x0, y0, x1, y1) in pixels.

    Args:
        before, after: RGB in [0,1].
        box: drawn on both.
        titles: of the two panels.
        saliency: a map in [0,1], laid over the first image.
    """
    height, width = before.shape[-2:]
    figure = Figure()
    axes = panels.row_of_panels(figure, 2, height / width)
    panels.picture(axes[0], before if saliency is None else panels.overlaid(before, saliency), titles[0])
    panels.picture(axes[1], after, titles[1])
    scale = panels.shrunk(before).shape[-1] / width
    left, top, right, bottom = (edge * scale - 0.5 for edge in box)
    for panel in axes:
        panel.add_patch(
            Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=_LINE, linewidth=2)
        )
    return figure
