"""Rows of images: saliency maps over them, boxes in them, or points on them."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from unsee.drawing import panels
from unsee.tensors import Box, smooth

_INCHES, _TITLE, _WIDTH = 1.75, 0.3, 26
_BOX = "#12d8a0"
_POINTS = ("#12d8a0", "#4cc3ff", "#ff7ac8", "#ffe14c")


@dataclass(frozen=True, eq=False)
class MappedImage:
    """An image in [0,1] with its saliency map in [0,1], and the edited image if there is one."""

    image: Float[Tensor, "c h w"]
    saliency: Float[Tensor, "h w"]
    title: str
    edited: Float[Tensor, "c h w"] | None = None
    edited_title: str = ""


def draw_maps(columns: Mapping[str, Sequence[MappedImage]], file: Path) -> None:
    """Write a PNG with a column for each name: the maps over their images, top to bottom.

    Edited images are drawn below their maps if every image has one. All columns are cut to the shortest.
    """
    edited = all(one.edited is not None for column in columns.values() for one in column)
    count, rows_each = min(map(len, columns.values())), 2 if edited else 1
    rows = count * rows_each
    size = (_INCHES * len(columns), (_INCHES + _TITLE) * rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, len(columns), squeeze=False)
    for axes, (name, images) in zip(grid.T, columns.items(), strict=True):
        for number, one in enumerate(images[:count]):
            title = f"{_wrapped(name)}\n{one.title}" if number == 0 else one.title
            _image(axes[number * rows_each], panels.overlaid(one.image, one.saliency), title)
            if one.edited is not None and edited:
                _image(axes[number * rows_each + 1], one.edited, one.edited_title)
    panels.save(figure, file)


@dataclass(frozen=True, eq=False)
class BoxedImage:
    """An image in [0,1], and boxes in it: name → (box in pixels, score before, score after)."""

    image: Float[Tensor, "c h w"]
    boxes: Mapping[str, tuple[Box, float, float]]


def draw_boxes(images: Sequence[BoxedImage], file: Path, blur: float = 10.0) -> None:
    """Write a PNG with a row for each image and a column for each box: the box blurred, and the scores.

    Args:
        images: the rows; an image without a column's box leaves that panel empty.
        file: where the PNG is written.
        blur: standard deviation of the Gaussian blur inside the box, in pixels.
    """
    names = list(dict.fromkeys(name for one in images for name in one.boxes))
    size = (_INCHES * len(names), (_INCHES + _TITLE) * len(images))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(images), len(names), squeeze=False)
    for number, (row, one) in enumerate(zip(grid, images, strict=True)):
        blurred = smooth(one.image, blur)
        for axes, name in zip(row, names, strict=True):
            if name not in one.boxes:
                axes.set_axis_off()
                continue
            (left, top, right, bottom), before, after = one.boxes[name]
            edited = one.image.clone()
            edited[:, top:bottom, left:right] = blurred[:, top:bottom, left:right]
            change = f"{before:.3f} → {after:.3f}"
            _image(axes, edited, f"{_wrapped(name)}\n{change}" if number == 0 else change)
            panels.outline(axes, one.boxes[name][0], (one.image.shape[-2], one.image.shape[-1]), _BOX)
    panels.save(figure, file)


@dataclass(frozen=True, eq=False)
class PointedImage:
    """An image in [0,1] with maps of its size, and points: kind → (x, y) in pixels."""

    image: Float[Tensor, "c h w"]
    maps: Mapping[str, Float[Tensor, "h w"]]
    points: Mapping[str, Sequence[tuple[float, float]]]


def draw_points(images: Sequence[PointedImage], file: Path) -> None:
    """Write a PNG with a row for each image and a column for each map over it, with the points marked."""
    names = list(images[0].maps)
    kinds = list(dict.fromkeys(kind for one in images for kind in one.points))
    size = (_INCHES * len(names), (_INCHES + _TITLE) * len(images) + _TITLE)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(images), len(names), squeeze=False)
    for number, (row, one) in enumerate(zip(grid, images, strict=True)):
        for axes, name in zip(row, names, strict=True):
            low, high = one.maps[name].aminmax()
            unit = (one.maps[name] - low) / (high - low).clamp(min=1e-12)
            over = panels.overlaid(one.image.float(), unit)
            _image(axes, over, _wrapped(name) if number == 0 else "")
            for kind, color in zip(kinds, _POINTS, strict=False):
                x, y = zip(*one.points.get(kind) or [(math.nan, math.nan)], strict=True)
                axes.scatter(x, y, s=14, c=color, edgecolors="black", linewidths=0.5, label=kind)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    panels.save(figure, file)


def shortened(name: str) -> str:
    """A class name cut to the width of an image."""
    return name if len(name) <= _WIDTH else name[: _WIDTH - 1] + "…"


def _image(axes: Axes, pixels: Float[Tensor, "c h w"], title: str) -> None:
    panels.image(axes, pixels.to(torch.float32), title)
    axes.title.set_fontsize(7.5)


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name.replace("_", " "), _WIDTH))
