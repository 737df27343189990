"""The report of `reproduce`: the numbers of every experiment next to the paper's, with its figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unsee.drawing.charts import charts_figure
from unsee.drawing.report import Lines, Section, page
from unsee.experiments.drawn import summary_charts
from unsee.experiments.experiment import Summary, Table, shown
from unsee.experiments.tables import mask_lines
from unsee.metrics import Estimate

_AGREES = 3.0
"""Standard errors within which a number agrees with the paper's."""


@dataclass(frozen=True, eq=False)
class Chapter:
    """The section of one experiment.

    Args:
        heading: what it finds out, with its place in the paper.
        text: what is done, in a sentence or two.
        command: the command that runs it alone.
        summary: its numbers; None if it could not be run on the data.
        problem: why it could not be run.
        pictures: PNG files to show after the figure of the summary.
    """

    heading: str
    text: str
    command: str
    summary: Summary | None
    problem: str = ""
    pictures: Sequence[bytes] = ()


def reproduction_page(chapters: Sequence[Chapter], title: str, lead: str, footer: str) -> str:
    """The self-contained page as HTML.

    Args:
        chapters: the experiments, in their order on the page.
        title: of the page, also shown as its heading.
        lead: the paragraph below the title.
        footer: the last line.
    """
    return page(title, lead, list(map(_section, chapters)), footer)


def _section(chapter: Chapter) -> Section:
    facts, summary = {"alone": chapter.command}, chapter.summary
    if summary is None:
        return Section(chapter.heading, chapter.text, (), "", {"not done": chapter.problem, **facts})
    facts |= {f"left out: {why}": str(count) for why, count in summary.left_out.items()}
    facts |= {f"masks, {name}": line for name, line in mask_lines(summary).items()}
    if summary.note:
        facts["compared with the paper"] = summary.note
    drawn = bool(summary.plots or summary.tables)
    return Section(
        chapter.heading,
        chapter.text,
        [*([charts_figure(summary_charts(summary))] if drawn else []), *chapter.pictures],
        chapter.heading,
        facts,
        [lines_of(table, summary.same_network) for table in summary.tables],
    )


def lines_of(table: Table, compared: bool = True) -> Lines:
    """A table with our numbers, their 95 % intervals, and the paper's numbers.

    Args:
        table: the numbers.
        compared: whether to give the distance to the paper's numbers.
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
    """The distance to the paper's number in standard errors, or whether our interval holds it."""
    if cell is None or math.isnan(cell.value):
        return ""
    if not cell.standard_error > 0:
        return "" if cell.low <= known <= cell.high or math.isnan(cell.low) else " (outside, differs)"
    apart = (cell.value - known) / cell.standard_error
    return f" ({apart:+.1f} s.e.{'' if abs(apart) <= _AGREES else ', differs'})"
