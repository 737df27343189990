"""Images as rows, methods as columns: each map over its image, with a box (fig. 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from unsee.drawing import panels

_INCHES = 1.7
_BOX = "#12d8a0"


@dataclass(frozen=True, eq=False)
class Cell:
    """A map in [0,1] over the row's image, the line below the method's name, and a box in pixels."""

    saliency: Float[Tensor, "h w"]
    text: str
    box: panels.BoxLike | None = None


@dataclass(frozen=True, eq=False)
class GridRow:
    """An image in [0,1], its title, and method → cell; methods without a cell are "left out"."""

    image: Float[Tensor, "c h w"]
    title: str
    cells: Mapping[str, Cell]


def method_grid(rows: Sequence[GridRow], methods: Sequence[str], caption: str) -> Figure:
    """A figure with the image in the first column, and a column for each method."""
    heights = [min(max(row.image.shape[-2] / row.image.shape[-1], 0.4), 2.0) for row in rows]
    figure = Figure(
        figsize=(_INCHES * (len(methods) + 1), (_INCHES * sum(heights) + 0.45 * len(heights))),
        layout="constrained",
    )
    grid = figure.subplots(len(rows), len(methods) + 1, squeeze=False, height_ratios=heights)
    for line, row in zip(grid, rows, strict=True):
        panels.image(line[0], row.image, row.title)
        for axes, method in zip(line[1:], methods, strict=True):
            _draw(axes, row, method)
    figure.supxlabel(caption, fontsize=7)
    for axes in grid.flat:
        axes.title.set_fontsize(7)
    return figure


def _draw(axes: Axes, row: GridRow, method: str) -> None:
    name = method.replace("_", " ")
    cell = row.cells.get(method)
    if cell is None:
        panels.image(axes, 0.5 + 0.25 * row.image, f"{name}\nleft out")
        return
    heat = panels.shrunk(cell.saliency[None])[0]
    panels.image(axes, panels.overlaid(panels.shrunk(row.image), heat), f"{name}\n{cell.text}")
    if cell.box is not None:
        panels.outline(axes, cell.box, (row.image.shape[-2], row.image.shape[-1]), _BOX)
