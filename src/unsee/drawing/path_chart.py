"""A path of masks: area against the share of the score, with the masks along it over their image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from unsee.drawing import panels
from unsee.pixels import Bands

_SHOWN = 6
_INCHES, _CHART = 1.75, 3.3
_LEAST, _MOST = -0.2, 1.2
_SEEN, _UNSEEN, _CHOSEN = "#1f77b4", "#ff7f0e", "#2ca02c"


@dataclass(frozen=True, eq=False)
class PathMask:
    """A mask on a path.

    Args:
        area: in [0,1].
        share: of the score, under the perturbation that it was learned with.
        unseen: the share under another perturbation.
        saliency: in [0,1], of the image's size.
        title: what is written over the mask.
        stage: masks of one stage differ in their amplification alone.
        chosen: whether it is the one that is returned.
    """

    area: float
    share: float
    unseen: float
    saliency: Float[Tensor, "h w"]
    title: str
    stage: float = 0.0
    chosen: bool = False


@dataclass(frozen=True)
class PathWords:
    """What is written: the title, and the names of both perturbations and of the share."""

    title: str
    seen: str
    unseen: str
    share: str


def path_figure(
    image: Float[Tensor, "n h w"],
    masks: Sequence[PathMask],
    asked: float,
    words: PathWords,
    bands: Bands | None = None,
) -> Figure:
    """The chart above, and below it the masks of a few places along the path, largest area first.

    Args:
        image: in [0,1].
        masks: at least one, in any order.
        asked: the share that was asked for, drawn as a dashed line.
        words: what is written.
        bands: the channels of the image that are drawn as red, green and blue.
    """
    ordered = sorted(masks, key=lambda one: one.area)
    shown = _spread(ordered)
    aspect = min(max(image.shape[-2] / image.shape[-1], 0.3), 2.5)
    width = _INCHES * _SHOWN
    figure = Figure(figsize=(width, _CHART + _INCHES * aspect + 0.5), layout="constrained")
    heights = (_CHART, _INCHES * aspect + 0.5)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    _draw_chart(upper.subplots(1, 1), ordered, asked, words)
    row = lower.subplots(1, _SHOWN, squeeze=False)[0]
    for axes in row[len(shown) :]:
        axes.set_axis_off()
    for axes, one in zip(row, reversed(shown), strict=False):
        panels.image(axes, panels.overlaid(image, one.saliency, bands), one.title)
        axes.title.set_fontsize(7.5)
        if one.chosen:
            axes.spines[:].set(color=_CHOSEN, linewidth=2.5)
    return figure


def draw_path(
    image: Float[Tensor, "n h w"],
    masks: Sequence[PathMask],
    asked: float,
    words: PathWords,
    file: Path,
    bands: Bands | None = None,
) -> None:
    """Write `path_figure` as PNG."""
    panels.save(path_figure(image, masks, asked, words, bands), file)


def _draw_chart(axes: Axes, ordered: Sequence[PathMask], asked: float, words: PathWords) -> None:
    largest = {one.stage: one for one in ordered}.values()  # ordered by area: the last of each stage stays
    lines = (
        (words.seen, [(one.area, one.share) for one in ordered], _SEEN, "o"),
        (words.unseen, [(one.area, one.unseen) for one in ordered], _UNSEEN, "s"),
    )
    cut = any(not _LEAST <= value <= _MOST for _, values, _, _ in lines for _, value in values)
    for number, color in enumerate((_SEEN, _UNSEEN)):
        along = sorted((one.area, (one.share, one.unseen)[number]) for one in largest)
        axes.plot(*_on_axes(along), color=color, lw=0.9, alpha=0.6)
    for name, values, color, marker in lines:
        axes.plot(*_on_axes(values), color=color, marker=marker, ms=4.5, ls="none", label=name)
    axes.axhline(asked, color="0.4", linewidth=0.9, linestyle="--", label=f"asked: {asked:.0%}")
    for one in ordered:
        if one.chosen:
            label = f"returned: {one.area:.1%} of the area"
            axes.axvline(100 * one.area, color=_CHOSEN, linewidth=1.4, label=label)
    axes.set_xlabel("area, % of the network's input")
    axes.set_ylabel(words.share + (f"\n(cut to {_LEAST:g} … {_MOST:g})" if cut else ""))
    axes.set_title(words.title, fontsize=10, parse_math=False)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _on_axes(values: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Areas in %, and shares cut to what the chart shows."""
    return [100 * area for area, _ in values], [min(max(share, _LEAST), _MOST) for _, share in values]


def _spread(ordered: Sequence[PathMask]) -> list[PathMask]:
    """A few masks, evenly along the path, the smallest, the largest and the returned one among them."""
    if len(ordered) <= _SHOWN:
        return list(ordered)
    last = len(ordered) - 1
    places = {round(part * last / (_SHOWN - 1)) for part in range(_SHOWN)}
    returned = next((place for place, one in enumerate(ordered) if one.chosen), None)
    if returned is not None and returned not in places:
        inner = places - {0, last} or places
        places.remove(min(inner, key=lambda place: abs(place - returned)))
        places.add(returned)
    return [ordered[place] for place in sorted(places)]
