"""The paper's figures redrawn: lines with 95 % intervals, and bars of a table beside what was published."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unsee.drawing import panels
from unsee.experiments.experiment import Plot, Summary, Table

_WIDE, _HIGH, _LEGEND, _COLUMNS = 5.4, 3.6, 0.6, 2
_BAR, _MANY, _ENTRY = 0.22, 24, 2.4


def summary_figure(summary: Summary) -> Figure:
    """A panel for each plot, or, where there is none, for each table."""
    parts: Sequence[Plot | Table] = summary.plots or summary.tables
    most = max(len(part.rows) if isinstance(part, Table) else 0 for part in parts)
    columns = min(len(parts), _COLUMNS) if most <= _MANY else 1
    rows, wide = -(-len(parts) // columns), max(_WIDE, _BAR * most)
    figure = Figure(figsize=(wide * columns, _HIGH * rows + _LEGEND), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, part in zip(places, parts, strict=False):
        if isinstance(part, Plot):
            _lines(axes, part)
        else:
            _bars(axes, part)
    for axes in places[len(parts) :]:
        axes.set_axis_off()
    if all(isinstance(part, Plot) for part in parts):
        handles, labels = figure.axes[0].get_legend_handles_labels()
        beside = min(len(labels), max(int(wide * columns / _ENTRY), 1))
        figure.legend(handles, labels, loc="outside lower center", ncols=beside, fontsize=8)
    return figure


def draw_summary(summary: Summary, file: Path) -> None:
    """Write the figure as PNG."""
    panels.save(summary_figure(summary), file)


def _lines(axes: Axes, plot: Plot) -> None:
    for name, line in plot.lines.items():
        values = np.array([estimate.value for estimate in line.estimates])
        low, high = (
            np.array([getattr(estimate, end) for estimate in line.estimates]) for end in ("low", "high")
        )
        between, label = "none" if plot.ticks else "-", name.replace("_", " ")
        axes.plot(line.places, values, label=label, marker="o", markersize=2.5, linestyle=between)
        if plot.ticks:
            axes.vlines(line.places, low, high, linewidth=0.8, color=axes.lines[-1].get_color())
        else:
            axes.fill_between(line.places, low, high, alpha=0.08)
    axes.set_title(plot.title, fontsize=10, parse_math=False)
    axes.set_xlabel(plot.across)
    axes.set_ylabel(plot.up)
    if plot.logarithmic:
        axes.set_xscale("log")
    if plot.usual is not None:
        axes.axvline(plot.usual, color="0.7", linewidth=0.8, linestyle="--", zorder=0)
    if plot.ticks:
        axes.set_xticks(range(len(plot.ticks)), plot.ticks)


def _bars(axes: Axes, table: Table) -> None:
    width = 0.8 / max(len(table.columns), 1)
    names = list(table.rows)
    for number, column in enumerate(table.columns):
        cells = [table.rows[name].get(column) for name in names]
        values = [np.nan if cell is None else cell.value for cell in cells]
        reach = [(0, 0) if c is None else (max(c.value - c.low, 0), max(c.high - c.value, 0)) for c in cells]
        places = np.arange(len(names)) + number * width
        axes.bar(places, values, width, yerr=np.array(reach).T, label=column, error_kw={"linewidth": 0.8})
        known = [
            (p, table.paper[n][column])
            for p, n in zip(places, names, strict=True)
            if _known(table, n, column)
        ]
        if known:
            axes.plot(*zip(*known, strict=True), "k_", markersize=9)
    axes.set_xticks(
        np.arange(len(names)) + 0.4 - width / 2, [n.replace("_", " ") for n in names], rotation=30
    )
    for label in axes.get_xticklabels():
        label.set(ha="right", fontsize=7)
    axes.set_title(table.title + (" (–: the paper's)" if table.paper else ""), fontsize=10, parse_math=False)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))


def _known(table: Table, row: str, column: str) -> bool:
    return column in table.paper.get(row, {})
