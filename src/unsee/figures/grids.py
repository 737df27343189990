"""Picture grids: maps over their pictures with the edited ones below, boxes and their scores, keypoints."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from unsee.drawing import panels
from unsee.experiments.animal_parts import EYE, FOOT, animals_in
from unsee.experiments.experiment import Case, Record
from unsee.runs.rendered_row import RenderedRow
from unsee.tensors import Box, smooth

_INCHES, _TITLE, _WORDS = 1.75, 0.3, 26
_LINE = "#12d8a0"
_MARKS = ("#12d8a0", "#4cc3ff", "#ff7ac8", "#ffe14c")


def draw_maps(looks: Mapping[str, Sequence[RenderedRow]], file: Path) -> None:
    """Write as PNG a column for each look: its maps over the pictures, and the edited ones if all are."""
    edited = all(proof.edited is not None for own in looks.values() for proof in own)
    pictures, each = min(map(len, looks.values())), 2 if edited else 1
    rows = pictures * each
    size = (_INCHES * len(looks), (_INCHES + _TITLE) * rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, len(looks), squeeze=False)
    for column, (name, proofs) in zip(grid.T, looks.items(), strict=True):
        for number, proof in enumerate(proofs[:pictures]):
            said = f"{_short(proof.row['target_name'][0])}: {proof.row['score']:.3f}"
            over = panels.overlaid(proof.image, proof.saliency)
            _picture(column[number * each], over, f"{_broken(name)}\n{said}" if number == 0 else said)
            if proof.edited is not None and edited:
                title = f"edited: {proof.row['perturbed_score']:.3f}"
                _picture(column[number * each + 1], proof.edited, title)
    panels.save(figure, file)


@dataclass(frozen=True, eq=False)
class Boxed:
    """A picture at the network's input, RGB in [0,1], with boxes: name → box, score before and after."""

    picture: Float[Tensor, "3 h w"]
    boxes: Mapping[str, tuple[Box, float, float]]


def boxed(case: Case, records: Sequence[Record]) -> Boxed:
    """A picture with the boxes that `Interrogations` has asked about."""
    boxes = {r["what"]: (tuple(r["box"]), r["before"], r["after"]) for r in records}
    return Boxed(case.network_input.plain, boxes)


def draw_boxes(pictures: Sequence[Boxed], file: Path, blur: float = 10.0) -> None:
    """Write as PNG a row for each picture, a column for each kind of box, blurred; and the scores."""
    names = list(dict.fromkeys(name for one in pictures for name in one.boxes))
    size = (_INCHES * len(names), (_INCHES + _TITLE) * len(pictures))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(pictures), len(names), squeeze=False)
    for number, (axes, one) in enumerate(zip(grid, pictures, strict=True)):
        blurred = smooth(one.picture, blur)
        for place, name in zip(axes, names, strict=True):
            if name not in one.boxes:
                place.set_axis_off()
                continue
            (left, top, right, bottom), before, after = one.boxes[name]
            shown = one.picture.clone()
            shown[:, top:bottom, left:right] = blurred[:, top:bottom, left:right]
            change = f"{before:.3f} → {after:.3f}"
            _picture(place, shown, f"{_broken(name)}\n{change}" if number == 0 else change)
            corner, width, height = (left - 0.5, top - 0.5), right - left, bottom - top
            place.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=_LINE, linewidth=1.2))
    panels.save(figure, file)


@dataclass(frozen=True, eq=False)
class Pointed:
    """A picture at the network's input, RGB in [0,1], with maps of its size and places by what they are."""

    picture: Float[Tensor, "3 h w"]
    maps: Mapping[str, Float[Tensor, "h w"]]
    points: Mapping[str, Sequence[tuple[float, float]]]


def pointed(case: Case) -> Pointed:
    """A picture with the keypoints that `AnimalParts` has asked about."""
    height, width = case.sample.image.shape[:2]
    down, across = case.network_input.size[0] / height, case.network_input.size[1] / width
    points: dict[str, list[tuple[float, float]]] = {EYE: [], FOOT: []}
    for point in (p for animal in animals_in(case) for p in animal.keypoints if p.kind in (EYE, FOOT)):
        place = ((point.x + 0.5) * across - 0.5, (point.y + 0.5) * down - 0.5)
        points[point.kind].append(place)
    return Pointed(case.network_input.plain, {name: case.at_input(name) for name in case.maps}, points)


def draw_points(pictures: Sequence[Pointed], file: Path) -> None:
    """Write as PNG a row for each picture, a column for each map over it, with the places marked."""
    names = list(pictures[0].maps)
    kinds = list(dict.fromkeys(kind for one in pictures for kind in one.points))
    figure = Figure(
        figsize=(_INCHES * len(names), (_INCHES + _TITLE) * len(pictures) + _TITLE), layout="constrained"
    )
    grid = figure.subplots(len(pictures), len(names), squeeze=False)
    for number, (axes, one) in enumerate(zip(grid, pictures, strict=True)):
        for place, name in zip(axes, names, strict=True):
            low, high = one.maps[name].aminmax()
            unit = (one.maps[name] - low) / (high - low).clamp(min=1e-12)
            over = panels.overlaid(one.picture.float(), unit)
            _picture(place, over, _broken(name) if number == 0 else "")
            for kind, color in zip(kinds, _MARKS, strict=False):
                across, down = zip(*one.points.get(kind) or [(math.nan, math.nan)], strict=True)
                place.scatter(across, down, s=14, c=color, edgecolors="black", linewidths=0.5, label=kind)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    panels.save(figure, file)


def _picture(axes: Axes, pixels: Float[Tensor, "3 h w"], title: str) -> None:
    panels.picture(axes, pixels.to(torch.float32), title)
    axes.title.set_fontsize(7.5)


def _broken(name: str) -> str:
    """A name on lines that are no wider than a picture."""
    return "\n".join(textwrap.wrap(name.replace("_", " "), _WORDS))


def _short(name: str) -> str:
    return name if len(name) <= _WORDS else name[: _WORDS - 1] + "…"
