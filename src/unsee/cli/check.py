"""`unsee check`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from unsee.cli.console import plain
from unsee.cli.network_options import given_options
from unsee.cli.options import Device, Json, Weights
from unsee.words import spelled

_BAD_INPUT = 2


def command(
    model: Annotated[str, typer.Argument(help="A name that `unsee models` lists.", metavar="MODEL")],
    photo: Annotated[Path | None, typer.Argument(help="A photo to score.", metavar="[PHOTO]")] = None,
    weights: Weights = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Say what unsee understands of a network, and which methods can be used with it.

    Exit code 2 if something is wrong with the network.
    """
    from unsee.cli.parsing import load_model
    from unsee.network_check import check

    found = check(load_model(model, weights, device, given_options()), photo)
    if as_json:
        typer.echo(json.dumps(found.record(), indent=1))
    else:
        _print(found.record())
    if found.problems:
        raise typer.Exit(_BAD_INPUT)


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    given, classes, cost = found["input"], found["classes"], found["milliseconds"]
    names = classes["names"]
    shown = "no names" if names is None else ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    rows = {
        "model": found["model"],
        "family": found["family"],
        **({"weights": found["weights"]} if found["weights"] else {}),
        "input": f"{given['channels']} × {given['size'][0]} × {given['size'][1]}, values from "
        f"{given['value_range'][0]:g} to {given['value_range'][1]:g}, mean {_numbers(given['mean'])}, "
        f"std {_numbers(given['std'])}",
        "head": f"{found['head']['is']} ({found['head']['why']})",
        "classes": f"{classes['count']}: {shown}",
        "batches": found["batches"],
        "gradient": "yes" if found["differentiable"] else "no",
        **{f"layer, {name}": layer for name, layer in found["layers"].items()},
        "precision": ", ".join(f"{name}: {value}" for name, value in found["precision"].items()),
        "cost": ", ".join(f"{name} {value:g} ms" for name, value in cost.items()),
    }
    if found["photo"]:
        rows["photo"] = "; ".join([found["photo"]["name"], *found["photo"]["notes"]])
        rows["best classes"] = ", ".join(f"{c['name']} {c['score']:.4f}" for c in found["photo"]["best"])
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(f"[bold]{plain(name)}[/]", plain(value))
    for name, state in found["methods"].items():
        table.add_row(f"[dim]{plain(spelled(name))}[/]", plain(state))
    for line in found["problems"]:
        table.add_row("[bold red]wrong[/]", plain(line))
    Console().print(table)


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
