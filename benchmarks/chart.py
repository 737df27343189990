"""A benchmark's numbers as tables for the terminal, and as one figure."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

Rows = list[dict[str, float | str]]


def table(title: str, rows: Rows) -> Table:
    """One section as a table."""
    result = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        result.add_row(*(value if isinstance(value, str) else f"{value:.4g}" for value in row.values()))
    return result


def draw(sections: dict[str, Rows], file: Path) -> None:
    """Draw seconds per mask, overhead, and growth into one PNG."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    races, overhead, growth = figure.subplots(1, 3)
    _races(races, sections["seconds per mask"])
    rows = sections["cost of one evaluation over the network's own"]
    overhead.barh(
        [f"{row['network']}, {row['batch']}" for row in rows],
        [100 * (float(row["over the network's own"]) - 1) for row in rows],
        color="tab:blue",
    )
    overhead.set_title("overhead of one evaluation, % of the network's time", fontsize=9)
    overhead.invert_yaxis()
    for what in dict.fromkeys(str(row["of"]) for row in sections["growth"]):
        some = [row for row in sections["growth"] if row["of"] == what]
        first = float(some[0]["ms per image and iteration"])
        sizes = [float(row["size"]) for row in some]
        growth.plot(
            sizes, [float(row["ms per image and iteration"]) / first for row in some], "o-", label=what
        )
    growth.set(xscale="log", yscale="log")
    growth.set_title("time per image and iteration, smallest = 1", fontsize=9)
    growth.legend(fontsize=8)
    figure.savefig(file, dpi=130)


def _races(axes: Axes, rows: Rows) -> None:
    ways = [key for key in rows[0] if key not in ("network",) and " / " not in key]
    height = 0.8 / len(rows)
    for place, row in enumerate(rows):
        values = [float(row[way]) for way in ways]
        axes.barh([i + place * height for i in range(len(ways))], values, height, label=str(row["network"]))
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(ways))], ways)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_title("seconds per mask", fontsize=9)
    axes.legend(fontsize=8)
