"""`unsee train-menagerie`: train a network of the package."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain

Out = Annotated[Path, typer.Option("--out", "-o", help="Weight file to write (safetensors, float16).")]
Images = Annotated[
    int | None, typer.Option("--images", help="Images to draw.", show_default="the recipe's", min=1)
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", help="Stop after this many steps.", show_default="the recipe's", min=1),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace a file that exists already.")]


def command(
    out: Out = Path("menagerie.safetensors"),
    shortcut: options.WithShortcut = False,
    seed: options.Seed = 0,
    images: Images = None,
    steps: Steps = None,
    force: Force = False,
) -> None:
    """Train the small network of the package from scratch, on drawn animals."""
    from dataclasses import replace

    from unsee.cli.progress import training
    from unsee.training import SHORTCUT, Recipe, train_to_file

    recipe = replace(Recipe(), seed=seed, shortcuts=(SHORTCUT,) if shortcut else (), steps=steps)
    recipe = recipe if images is None else replace(recipe, images=images)
    with training(recipe.images) as advance:
        train_to_file(out, recipe, force=force, progress=advance)
    CONSOLE.print(f"weights in {plain(out)}")
