"""`unsee train-menagerie`: train a network of the package."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options

Out = Annotated[Path, typer.Option("--out", "-o", help="Weight file to write (safetensors, float16).")]
Images = Annotated[
    int | None, typer.Option("--images", help="Pictures to draw. [default: the recipe's]", min=1)
]
Steps = Annotated[
    int | None, typer.Option("--steps", help="Stop after so many steps. [default: the recipe's]", min=1)
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace a file that is there already.")]


def command(
    out: Out = Path("menagerie.safetensors"),
    shortcut: options.WithShortcut = False,
    seed: options.Seed = 0,
    images: Images = None,
    steps: Steps = None,
    force: Force = False,
) -> None:
    """Train the small network of the package from scratch, on drawn animals."""
    from unsee.cli import training

    training.train(out, shortcut, seed, images, steps, force)
