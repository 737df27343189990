"""`unsee measure-menagerie`: measure a network of the package."""

import json
from typing import Annotated

import typer

from unsee.cli import options

Pictures = Annotated[int, typer.Option("--pictures", help="Held-out pictures to measure on.", min=12)]


def command(
    weights: options.Weights = None,
    shortcut: options.WithShortcut = False,
    pictures: Pictures = 1200,
) -> None:
    """Print, as JSON, how right a menagerie network is and how far it leans on the planted thing."""
    from unsee.cli import training
    from unsee.cli.parsing import load_model

    name = "unsee:menagerie-shortcut" if shortcut else "unsee:menagerie"
    net = load_model(name, weights, "cpu").net
    typer.echo(json.dumps(training.measure(net, pictures, shortcut), indent=1))
