"""Five short commands that list names: presets, methods, datasets, experiments and models."""

import json

import typer

from unsee.cli.console import plain
from unsee.cli.options import Json


def presets(as_json: Json = False) -> None:
    """List the published parameter sets, with their sources."""
    from unsee.masks import PRESETS
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
        table.add_row(
            f"[bold]{name}[/]",
            f"{preset.objective.game.name}, {edits}, {classes}, {preset.optimiser.summary}",
        )
        table.add_row("", f"[dim]{preset.source}[/]")
    Console().print(table)


def methods(as_json: Json = False) -> None:
    """List the saliency methods that `unsee compare` and `unsee learn` take."""
    from unsee.methods import METHODS

    lines = {m.spelled: f"{m.summary} ({m.source})" for m in METHODS.values()}
    if as_json:
        typer.echo(json.dumps(lines, indent=1))
        return
    _two_columns(lines)


def datasets(as_json: Json = False) -> None:
    """List the data sets that `unsee learn` takes."""
    from unsee.datasets.opening import KINDS

    lines = {f"{name}:{kind.place}" if kind.place else name: kind.says for name, kind in KINDS.items()}
    if as_json:
        typer.echo(json.dumps(lines, indent=1))
        return
    _two_columns(lines)


def experiments(as_json: Json = False) -> None:
    """List the paper's experiments that `unsee experiment` runs."""
    from unsee.experiments.catalogue import EXPERIMENTS

    lines = {name: experiment.about.title for name, experiment in EXPERIMENTS.items()}
    if as_json:
        typer.echo(json.dumps(lines, indent=1))
        return
    _two_columns(lines)


def _two_columns(lines: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, line in lines.items():
        table.add_row(f"[bold]{plain(name)}[/]", plain(line))
    Console().print(table)


def models(as_json: Json = False) -> None:
    """List the families of names that --model takes, then the names of this package and of torchvision."""
    from unsee.models import names
    from unsee.models.registry import Family, families

    lines = {
        family.pattern if isinstance(family, Family) else f"{prefix}:": (
            family.says if isinstance(family, Family) else family
        )
        for prefix, family in families().items()
    }
    if as_json:
        typer.echo(json.dumps({"families": lines, "names": names()}, indent=1))
        return
    _two_columns(lines)
    typer.echo("\n".join(names()))
