"""The report of `unsee reproduce`: every experiment's numbers beside the paper's, with its figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from unsee.drawing.report import Lines, Section, page
from unsee.experiments.experiment import Summary, Table, shown
from unsee.figures.experiment import summary_figure
from unsee.metrics import Estimate

_AGREES = 3.0
"""Standard errors within which a number is taken to agree with the paper's."""


@dataclass(frozen=True, eq=False)
class Part:
    """What came of one experiment.

    Args:
        heading: what it finds out, with its place in the paper.
        text: what is done, in a sentence or two.
        command: what does it alone.
        summary: its numbers; None where the data could not serve.
        problem: why they could not.
        pictures: PNG files beside the figure of the summary.
    """

    heading: str
    text: str
    command: str
    summary: Summary | None
    problem: str = ""
    pictures: Sequence[bytes] = ()


def reproduction_page(parts: Sequence[Part], title: str, lead: str, footer: str) -> str:
    """The self-contained page as HTML text."""
    return page(title, lead, list(map(_section, parts)), footer)


def _section(part: Part) -> Section:
    facts = {"alone": part.command}
    if part.summary is None:
        return Section(part.heading, part.text, (), "", {"not done": part.problem, **facts})
    facts |= {f"left out: {why}": str(count) for why, count in part.summary.left_out.items()}
    if part.summary.note:
        facts["beside the paper"] = part.summary.note
    drawn = bool(part.summary.plots or part.summary.tables)
    figures: list[Figure | bytes] = [summary_figure(part.summary)] if drawn else []
    figures += part.pictures
    tables = [lines_of(table, part.summary.same_network) for table in part.summary.tables]
    return Section(part.heading, part.text, figures, part.heading, facts, tables)


def lines_of(table: Table, compared: bool = True) -> Lines:
    """Our number with its 95 % interval, and the paper's where it has one, row by row.

    Where they are `compared`, the distance between the two is told.
    """
    columns = [""]
    published = [name for name in table.columns if any(name in own for own in table.paper.values())]
    for name in table.columns:
        columns += [name, "paper"] if name in published else [name]
    rows = []
    for name, cells in table.rows.items():
        paper = dict.fromkeys(published, "")
        for column, known in table.paper.get(name, {}).items():
            paper[column] = shown(known) + (_verdict(cells.get(column), known) if compared else "")
        rows.append(_row(name, cells, paper, table.columns))
    return Lines(table.heading, columns, rows)


def _row(
    name: str, cells: Mapping[str, Estimate], paper: Mapping[str, str], columns: Sequence[str]
) -> list[str]:
    found = [name.replace("_", " ")]
    for column in columns:
        found.append(_number(cells.get(column)))
        if column in paper:
            found.append(paper[column])
    return found


def _number(cell: Estimate | None) -> str:
    if cell is None or math.isnan(cell.value):
        return "–"
    if not cell.n:
        return shown(cell.value)
    if math.isnan(cell.low):
        return shown(cell.value, 3)
    return f"{shown(cell.value, 3)} [{shown(cell.low, 3)}, {shown(cell.high, 3)}]"


def _verdict(cell: Estimate | None, known: float | int) -> str:
    """How many standard errors lie between our number and the paper's, or whether our interval has it."""
    if cell is None or math.isnan(cell.value):
        return ""
    if not cell.standard_error > 0:
        return "" if cell.low <= known <= cell.high or math.isnan(cell.low) else " (outside, differs)"
    apart = (cell.value - known) / cell.standard_error
    return f" ({apart:+.1f} s.e.{'' if abs(apart) <= _AGREES else ', differs'})"
