"""Photos as rows, methods as columns: each map over its photo, with its smallest box (fig. 2)."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from unsee.drawing import panels
from unsee.errors import UnseeError
from unsee.experiments.photo_comparison import Comparison

_INCHES = 1.7
_LINE = "#12d8a0"
_HIGH = 0.99
_CAPTION = "box: the smallest whose blurring takes away 90 % of the score, and its share of the picture"


def comparison_figure(comparisons: Sequence[Comparison]) -> Figure:
    """One row for each photo; the first column is the photo with its target."""
    columns = list(dict.fromkeys(name for each in comparisons for name in (*each.results, *each.refused)))
    heights = [min(max(_aspect(each), 0.4), 2.0) for each in comparisons]
    figure = Figure(
        figsize=(_INCHES * (len(columns) + 1), (_INCHES * sum(heights) + 0.45 * len(heights))),
        layout="constrained",
    )
    rows = figure.subplots(len(comparisons), len(columns) + 1, squeeze=False, height_ratios=heights)
    for axes, each in zip(rows, comparisons, strict=True):
        panels.picture(axes[0], each.photo.pixels, f"{each.target.short}\n{each.scores.original:.3f}")
        for panel, method in zip(axes[1:], columns, strict=True):
            _draw(panel, each, method)
    figure.supxlabel(_CAPTION, fontsize=7)
    for panel in rows.flat:
        panel.title.set_fontsize(7)
    return figure


def draw_comparisons(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the figure as PNG.

    Raises:
        UnseeError: the file cannot be written.
    """
    try:
        panels.save(comparison_figure(comparisons), path)
    except OSError as error:
        raise UnseeError(f"{path} cannot be written ({error.strerror or error})") from error


def _draw(axes: Axes, comparison: Comparison, method: str) -> None:
    name = method.replace("_", " ")
    pixels = comparison.photo.pixels
    if method not in comparison.results:
        panels.picture(axes, 0.5 + 0.25 * pixels, f"{name}\nleft out")
        return
    result = comparison.results[method]
    heat = panels.shrunk(_on_photo(result.saliency, comparison).expand(3, -1, -1))[0]
    spread = panels.overlaid(panels.shrunk(pixels), heat)
    box = comparison.box_on_photo(method)
    if result.box is None or box is None:
        panels.picture(axes, spread, f"{name}\nno box")
        return
    share = result.box.area / (comparison.size[0] * comparison.size[1])
    panels.picture(axes, spread, f"{name}\n{share:.1%} of the picture")
    scale = panels.shrunk(pixels).shape[-1] / pixels.shape[-1]
    left, top, right, bottom = (edge * scale - 0.5 for edge in box)
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=_LINE, linewidth=1.2)
    )


def _on_photo(saliency: Float[Tensor, "hm wm"], comparison: Comparison) -> Float[Tensor, "h w"]:
    """The map in [0,1] at the photo's size, 0 where the network saw nothing.

    What speaks against the class is not shown, and the highest values are cut off, so that maps of a few
    strong pixels can be seen.
    """
    speaking = saliency - saliency.min().clamp(min=0)
    high = speaking.flatten().quantile(_HIGH)
    shown = (speaking / torch.where(high > 0, high, speaking.max().clamp(min=1e-12))).clamp(0, 1)
    large = F.interpolate(shown[None, None], comparison.size, mode="bilinear", align_corners=False)[0, 0]
    height, width = comparison.photo.pixels.shape[-2:]
    return comparison.fit.back(large, (height, width), 0.0).clamp(0, 1).float()


def _aspect(comparison: Comparison) -> float:
    height, width = comparison.photo.pixels.shape[-2:]
    return height / width
