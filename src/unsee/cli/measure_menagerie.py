"""`unsee measure-menagerie`: measure a network of the package."""

import json
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE

Pictures = Annotated[int, typer.Option("--pictures", help="Held-out images to measure on.", min=12)]


def command(
    weights: options.Weights = None,
    shortcut: options.WithShortcut = False,
    pictures: Pictures = 1200,
) -> None:
    """Print, as JSON, how accurate a menagerie network is and how much it relies on the planted thing."""
    from unsee.cli.parsing import load_model
    from unsee.training import measure_menagerie

    name = "unsee:menagerie-shortcut" if shortcut else "unsee:menagerie"
    net = load_model(name, weights, "cpu").net
    with CONSOLE.status(f"measuring on {pictures} held-out images"):
        measured = measure_menagerie(net, pictures, shortcut=shortcut)
    typer.echo(json.dumps(measured.manifest(), indent=1))
