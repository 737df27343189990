"""A store's summary, printed as JSON or as a table for people."""

import json
from collections.abc import Mapping
from typing import Any

import typer
from rich.filesize import decimal
from rich.table import Table

from unsee.cli.console import CONSOLE, plain
from unsee.verdicts import advice
from unsee.words import counted, spelled

_MOST_LINES = 10


def print_summary(summary: Mapping[str, Any], as_json: bool) -> None:
    """Print what `Store.summary` gives: JSON on standard output, or a table on standard error."""
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        CONSOLE.print(store_table(summary))


def store_table(summary: Mapping[str, Any]) -> Table:
    """A table of what `Store.summary` gives."""
    table = Table.grid(padding=(0, 2))
    for name, text in _lines(summary).items():
        table.add_row(f"[bold]{name}[/]", plain(text))
    for row in summary["failed"][:_MOST_LINES]:
        table.add_row("[yellow]no map[/]", plain(f"{row['id']}: {row['error'].splitlines()[-1]}"))
    if len(summary["failed"]) > _MOST_LINES:
        table.add_row("", f"and {len(summary['failed']) - _MOST_LINES} more: --json lists all")
    for row in summary["unconverged"][:_MOST_LINES]:
        table.add_row(
            "[yellow]not converged[/]", plain(f"{row['id']}: {row['verdict']}; {advice(row['verdict'])}")
        )
    if len(summary["unconverged"]) > _MOST_LINES:
        table.add_row("", f"and {len(summary['unconverged']) - _MOST_LINES} more: --json lists all")
    for note, count in summary["notes"].items():
        table.add_row("[yellow]note[/]", plain(f"{counted(count, 'row')}: {note}"))
    for line in summary["damaged"]:
        table.add_row("[red]damaged[/]", plain(line) + ": `unsee learn` does it again")
    for name in summary["twins"]:
        table.add_row("[yellow]left over[/]", f"{name}: a larger part has its rows; `unsee learn` removes it")
    return table


def _lines(summary: Mapping[str, Any]) -> dict[str, str]:
    settings, means = summary["settings"], summary["means"]
    method = spelled(settings["method"]) + (f", preset {settings['preset']}" if "preset" in settings else "")
    parts = f"{counted(summary['parts'], 'part')}"
    lines = {
        "store": f"{summary['store']}, {parts}, {decimal(summary['bytes'])}",
        "data set": _data_set(settings["data"]),
        **_sample(summary["sample"]),
        "network": settings["model"],
        "method": f"{method}, target {settings['target']}, settings {summary['settings_hash'][:12]}",
        "rows": f"{summary['rows']} of {summary['rows_wanted']}, {summary['errors']} without a map, "
        f"{len(summary['unconverged'])} not converged",
    }
    if summary["left_out"]:
        lines["left out"] = f"{counted(summary['left_out'], 'image')} without a class to explain"
    if settings["class_map"]:
        lines["class map"] = _class_map(settings["class_map"])
    if means["score"] is not None:
        known = ((name.replace("_", " "), value) for name, value in means.items() if value is not None)
        lines["means"] = ", ".join(f"{name} {value:.4g}" for name, value in known)
    return lines


def _data_set(data: Mapping[str, Any]) -> str:
    """A data set's name with its split and classes."""
    classes = f"({', '.join(data['classes'])})" if data.get("classes") else None
    return " ".join(str(part) for part in (data.get("name"), data.get("split"), classes) if part)


def _sample(sample: Mapping[str, int] | None) -> dict[str, str]:
    return (
        {}
        if sample is None
        else {"sample": f"{counted(sample['n'], 'image')}, drawn with seed {sample['seed']}"}
    )


def _class_map(class_map: Mapping[str, Any]) -> str:
    shown = [f"{name} → {' '.join(map(str, own))}" for name, own in list(class_map.items())[:_MOST_LINES]]
    more = len(class_map) - len(shown)
    return ", ".join([*shown, f"and {more} more"] if more else shown)
