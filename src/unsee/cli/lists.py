"""What there is to choose from."""

import json
import sys

import typer

from unsee.cli.console import plain
from unsee.cli.options import Json


def presets(as_json: Json = False) -> None:
    """List the published parameter sets, with their sources."""
    from unsee.masks import PRESETS
    from unsee.masks.optimisers.adam import Adam
    from unsee.records import described

    if as_json:
        typer.echo(json.dumps({name: described(preset) for name, preset in PRESETS.items()}, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, preset in PRESETS.items():
        edits = " + ".join(part.name for part in preset.perturbations)
        classes = "the predicted class" if preset.targets == 1 else f"the top {preset.targets} classes"
        steps = f"{preset.algorithm.iterations} iterations"
        if isinstance(preset.algorithm, Adam):
            steps += f" at rate {preset.algorithm.rate:g}"
        else:
            steps = f"at most {steps}"
        table.add_row(f"[bold]{name}[/]", f"{preset.objective.game.name}, {edits}, {classes}, {steps}")
        table.add_row("", f"[dim]{preset.source}[/]")
    Console().print(table)


def methods(as_json: Json = False) -> None:
    """List the saliency methods that `unsee compare` sets beside the learned mask."""
    from unsee.saliency import METHODS

    said = {"mask": "The learned mask, by the preset that --preset names."}
    said |= {name.replace("_", "-"): _first_line(method) for name, method in METHODS.items()}
    if as_json:
        typer.echo(json.dumps(said, indent=1))
        return
    _two_columns(said)


def datasets(as_json: Json = False) -> None:
    """List the data sets that `unsee learn` takes."""
    from unsee.datasets.opening import KINDS

    said = {f"{name}:{kind.place}" if kind.place else name: kind.says for name, kind in KINDS.items()}
    if as_json:
        typer.echo(json.dumps(said, indent=1))
        return
    _two_columns(said)


def experiments(as_json: Json = False) -> None:
    """List the paper's experiments that `unsee experiment` runs."""
    from unsee.experiments.catalogue import EXPERIMENTS

    said = {name: experiment.about.title for name, experiment in EXPERIMENTS.items()}
    if as_json:
        typer.echo(json.dumps(said, indent=1))
        return
    _two_columns(said)


def _two_columns(said: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, line in said.items():
        table.add_row(f"[bold]{plain(name)}[/]", plain(line))
    Console().print(table)


def _first_line(method: object) -> str:
    """What the file of a method says of it."""
    home = sys.modules[getattr(method, "__module__", "")]
    return (home.__doc__ or "").partition("\n")[0]


def models(as_json: Json = False) -> None:
    """List the names that --model takes."""
    from unsee.models import names

    if as_json:
        typer.echo(json.dumps(names(), indent=1))
        return
    typer.echo("\n".join(names()))
