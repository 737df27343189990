"""The tables of an experiment: as text, CSV and JSON."""

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unsee.experiments.experiment import Summary, shown
from unsee.methods import METHODS
from unsee.metrics import Estimate
from unsee.records import finite
from unsee.runs.job import text_of
from unsee.words import spelled

_WIDTH = 160


def table_files(summary: Summary) -> dict[str, bytes]:
    """Name → content of every text file of a summary."""
    rows = table_rows(summary)
    table = io.StringIO()
    if rows:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    text = io.StringIO()
    console = Console(file=text, width=_WIDTH)
    for each in text_tables(summary):
        console.print(each)
    found = {
        "table.csv": table.getvalue(),
        "table.json": tables_json(summary),
        "table.txt": text.getvalue(),
        **summary.files,
    }
    return {name: content.encode() for name, content in found.items()}


def tables_json(summary: Summary) -> str:
    """The numbers as JSON; null for numbers that are not finite."""
    masks = {name: count._asdict() for name, count in summary.masks.items()}
    kept = {
        "tables": table_rows(summary),
        "left_out": dict(summary.left_out),
        "masks": masks,
        "note": summary.note,
    }
    return json.dumps(finite(kept), indent=1, ensure_ascii=False, allow_nan=False)


def table_rows(summary: Summary) -> list[dict[str, Any]]:
    """Every number of the tables, one to a row."""
    return [
        {
            "table": table.title,
            "row": row,
            "column": column,
            **asdict(estimate),
            "paper": table.paper.get(row, {}).get(column),
        }
        for table in summary.tables
        for row, cells in table.rows.items()
        for column, estimate in cells.items()
    ]


def text_tables(summary: Summary) -> list[Table]:
    """The tables for people: value ± standard error, and the paper's number in brackets."""
    found = []
    masks = [f"{name}: {line}" for name, line in mask_lines(summary).items()]
    for each in summary.tables:
        table = Table("", *each.columns, title=each.heading)
        for name, cells in each.rows.items():
            paper = each.paper.get(name, {})
            table.add_row(
                _plain(spelled(name) if name in METHODS else name),
                *(_cell(cells.get(c), paper.get(c)) for c in each.columns),
            )
        table.caption = _plain("\n".join(masks)) or None
        found.append(table)
    lines = list(masks)
    lines += [f"{count} left out: {why}" for why, count in summary.left_out.items()]
    lines += [summary.note] if summary.note else []
    if found and lines:
        found[-1].caption = _plain("\n".join(lines))
    return found


def mask_lines(summary: Summary) -> dict[str, str]:
    """Source → how the masks went that the numbers rest on."""
    return {
        name: f"{count.learned} learned, {count.again} begun again, {count.left_out} left out: not converged"
        for name, count in summary.masks.items()
    }


def _plain(text: str) -> str:
    return escape(text_of(text))


def _cell(estimate: Estimate | None, paper: float | int | None) -> str:
    if estimate is None:
        return "–"
    text = shown(estimate.value)
    if not math.isnan(estimate.standard_error) and estimate.n:
        text += f" ± {shown(estimate.standard_error, 2 if abs(estimate.value) < 1000 else 4)}"
    return text if paper is None else f"{text} \\[{shown(paper)}]"
