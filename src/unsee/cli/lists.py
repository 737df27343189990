"""What there is to choose from."""

import json

import typer

from unsee.cli.options import Json


def presets(as_json: Json = False) -> None:
    """List the published parameter sets, with their sources."""
    from unsee.masks import PRESETS
    from unsee.masks.adam import Adam
    from unsee.masks.settings import described

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


def models(as_json: Json = False) -> None:
    """List the names that --model takes."""
    from unsee.models import names

    if as_json:
        typer.echo(json.dumps(names(), indent=1))
        return
    typer.echo("\n".join(names()))
