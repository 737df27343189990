"""A comparison of methods: each map over its photo, with its smallest box (fig. 2)."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.drawing import panels
from unsee.drawing.method_grid import Cell, GridRow, method_grid
from unsee.drawing.panels import Figure
from unsee.errors import UnseeError
from unsee.experiments.comparison import Comparison
from unsee.pixels import Bands

_HIGH = 0.99
_CAPTION = "box: the smallest whose blurring removes 90 % of the score, and its share of the image"


def comparison_figure(comparisons: Sequence[Comparison], bands: Bands | None = None) -> Figure:
    """One row for each photo; the first column is the photo with its target.

    `bands` are the channels that are drawn as red, green and blue; see `panels.viewed`.
    """
    methods = list(dict.fromkeys(name for each in comparisons for name in (*each.results, *each.refused)))
    return method_grid([_row(each, bands) for each in comparisons], methods, _CAPTION)


def draw_comparisons(comparisons: Sequence[Comparison], path: Path, bands: Bands | None = None) -> None:
    """Write `comparison_figure` as PNG.

    Raises:
        UnseeError: the file cannot be written.
    """
    try:
        panels.save(comparison_figure(comparisons, bands), path)
    except OSError as error:
        raise UnseeError(f"{path} cannot be written ({error.strerror or error})") from error


def _row(comparison: Comparison, bands: Bands | None) -> GridRow:
    title = f"{comparison.target.short}\n{comparison.scores.original:.3f}"
    cells = {name: _cell(comparison, name) for name in comparison.results}
    return GridRow(panels.viewed(comparison.photo.pixels, bands), title, cells)


def _cell(comparison: Comparison, method: str) -> Cell:
    result = comparison.results[method]
    saliency = _on_photo(result.saliency, comparison)
    box = comparison.box_on_photo(method)
    if result.box is None or box is None:
        return Cell(saliency, "no box")
    share = result.box.area / (comparison.size[0] * comparison.size[1])
    return Cell(saliency, f"{share:.1%} of the image", box)


def _on_photo(saliency: Float[Tensor, "hm wm"], comparison: Comparison) -> Float[Tensor, "h w"]:
    """The map in [0,1] at the photo's size, 0 where the network saw nothing.

    Negative values are not shown. Values above the 99th percentile are clipped, so that maps with a few
    strong pixels stay visible.
    """
    positive = saliency - saliency.min().clamp(min=0)
    high = positive.flatten().quantile(_HIGH)
    unit = (positive / torch.where(high > 0, high, positive.max().clamp(min=1e-12))).clamp(0, 1)
    large = F.interpolate(unit[None, None], comparison.size, mode="bilinear", align_corners=False)[0, 0]
    height, width = comparison.photo.pixels.shape[-2:]
    return comparison.fit.back(large, (height, width), 0.0).clamp(0, 1).float()
