"""`unsee train-menagerie` and `unsee measure-menagerie`: the networks of the package."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options

Out = Annotated[Path, typer.Option("--out", "-o", help="Weight file to write (safetensors, float16).")]
WithShortcut = Annotated[
    bool,
    typer.Option(
        "--shortcut", help="The world in which every tortoise, and nothing else, comes with a spoon."
    ),
]
Images = Annotated[
    int | None, typer.Option("--images", help="Pictures to draw. [default: the recipe's]", min=1)
]
Steps = Annotated[
    int | None, typer.Option("--steps", help="Stop after so many steps. [default: the recipe's]", min=1)
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace a file that is there already.")]
Pictures = Annotated[int, typer.Option("--pictures", help="Held-out pictures to measure on.", min=12)]


def train(
    out: Out = Path("menagerie.safetensors"),
    shortcut: WithShortcut = False,
    seed: options.Seed = 0,
    images: Images = None,
    steps: Steps = None,
    force: Force = False,
) -> None:
    """Train the small network of the package from scratch, on drawn animals."""
    from unsee.cli import training

    training.train(out, shortcut, seed, images, steps, force)


def measure(
    weights: options.Weights = None,
    shortcut: WithShortcut = False,
    pictures: Pictures = 1200,
) -> None:
    """Print, as JSON, how right a menagerie network is and how far it leans on the planted thing."""
    from unsee.cli import training
    from unsee.cli.names import load_model

    name = "unsee:menagerie-shortcut" if shortcut else "unsee:menagerie"
    net = load_model(name, weights, "cpu").net
    typer.echo(json.dumps(training.measure(net, pictures, shortcut), indent=1))
