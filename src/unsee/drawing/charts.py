"""Line charts with intervals, and bar charts with published values marked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unsee.drawing import panels

_WIDE, _HIGH, _LEGEND, _COLUMNS = 5.4, 3.6, 0.6, 2
_BAR, _MANY, _ENTRY = 0.22, 24, 2.4


@dataclass(frozen=True)
class ChartLine:
    """One line: a value and its interval at each place along the axis."""

    places: Sequence[float]
    values: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]


@dataclass(frozen=True)
class LineChart:
    """A chart of lines.

    Args:
        title: what it shows.
        across: label of the horizontal axis.
        up: label of the vertical axis.
        lines: name → line.
        logarithmic: whether the horizontal axis is logarithmic.
        marked: a place to mark with a dashed vertical line, or None.
        ticks: names of the places 0, 1, …, if the places are categories; they are then not connected.
    """

    title: str
    across: str
    up: str
    lines: Mapping[str, ChartLine]
    logarithmic: bool = False
    marked: float | None = None
    ticks: Sequence[str] = ()


class Bar(NamedTuple):
    """The height of a bar, and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class BarChart:
    """A chart of grouped bars.

    Args:
        title: what it shows.
        series: names of the bars in a group, in order; each has its own colour.
        groups: group → series → bar; a group may lack some.
        published: group → series → the published value, drawn as a dash.
    """

    title: str
    series: Sequence[str]
    groups: Mapping[str, Mapping[str, Bar]]
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def charts_figure(charts: Sequence[LineChart | BarChart]) -> Figure:
    """One figure with a panel for each chart; if all are line charts, they share a legend."""
    most = max(len(chart.groups) if isinstance(chart, BarChart) else 0 for chart in charts)
    columns = min(len(charts), _COLUMNS) if most <= _MANY else 1
    rows, wide = -(-len(charts) // columns), max(_WIDE, _BAR * most)
    figure = Figure(figsize=(wide * columns, _HIGH * rows + _LEGEND), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, chart in zip(grid, charts, strict=False):
        if isinstance(chart, LineChart):
            _draw_lines(axes, chart)
        else:
            _draw_bars(axes, chart)
    for axes in grid[len(charts) :]:
        axes.set_axis_off()
    if all(isinstance(chart, LineChart) for chart in charts):
        handles, labels = figure.axes[0].get_legend_handles_labels()
        in_a_row = min(len(labels), max(int(wide * columns / _ENTRY), 1))
        figure.legend(handles, labels, loc="outside lower center", ncols=in_a_row, fontsize=8)
    return figure


def draw_charts(charts: Sequence[LineChart | BarChart], file: Path) -> None:
    """Write the figure of the charts as PNG."""
    panels.save(charts_figure(charts), file)


def _draw_lines(axes: Axes, chart: LineChart) -> None:
    for name, line in chart.lines.items():
        style, label = "none" if chart.ticks else "-", name.replace("_", " ")
        axes.plot(line.places, line.values, label=label, marker="o", markersize=2.5, linestyle=style)
        if chart.ticks:
            color = axes.lines[-1].get_color()
            axes.vlines(line.places, line.lows, line.highs, linewidth=0.8, color=color)
        else:
            axes.fill_between(line.places, line.lows, line.highs, alpha=0.08)
    axes.set_title(chart.title, fontsize=10, parse_math=False)
    axes.set_xlabel(chart.across)
    axes.set_ylabel(chart.up)
    if chart.logarithmic:
        axes.set_xscale("log")
    if chart.marked is not None:
        axes.axvline(chart.marked, color="0.7", linewidth=0.8, linestyle="--", zorder=0)
    if chart.ticks:
        axes.set_xticks(range(len(chart.ticks)), chart.ticks)


def _draw_bars(axes: Axes, chart: BarChart) -> None:
    width = 0.8 / max(len(chart.series), 1)
    names = list(chart.groups)
    for number, series in enumerate(chart.series):
        bars = [chart.groups[name].get(series) for name in names]
        values = [np.nan if bar is None else bar.value for bar in bars]
        errors = [(0, 0) if b is None else (max(b.value - b.low, 0), max(b.high - b.value, 0)) for b in bars]
        places = np.arange(len(names)) + number * width
        axes.bar(places, values, width, yerr=np.array(errors).T, label=series, error_kw={"linewidth": 0.8})
        published = [
            (place, chart.published[name][series])
            for place, name in zip(places, names, strict=True)
            if series in chart.published.get(name, {})
        ]
        if published:
            axes.plot(*zip(*published, strict=True), "k_", markersize=9)
    labels = [name.replace("_", " ") for name in names]
    axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, labels, rotation=30)
    for label in axes.get_xticklabels():
        label.set(ha="right", fontsize=7)
    title = chart.title + (" (–: the paper's)" if chart.published else "")
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
