"""`unsee show`: draw images of a store."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain, report_damage

Ids = Annotated[
    list[str],
    typer.Option("--id", help="An image's id; may be given several times.", show_default="the first six"),
]
Picture = Annotated[Path, typer.Option("--out", "-o", help="PNG file to write.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace a file that exists already.")]


def command(
    store: options.StorePath,
    ids: Ids = [],  # noqa: B006
    out: Picture = Path("shown.png"),
    force: Force = False,
) -> None:
    """Draw images of a store: each with its heatmap and the edited image."""
    from unsee.errors import UnseeError
    from unsee.figures.stored import draw_stored
    from unsee.runs.render import render
    from unsee.runs.store import Store

    kept = Store.open(store)
    if out.suffix.lower() != ".png":
        raise UnseeError(f"{out} must end in .png: the figure is written as PNG")
    if out.exists() and not force:
        raise UnseeError(f"{out} exists: --force replaces it, --out writes elsewhere")
    rows = render(kept, ids)
    try:
        draw_stored(rows, out)
    except (OSError, ValueError) as error:
        raise UnseeError(f"{out} cannot be written ({getattr(error, 'strerror', None) or error})") from error
    report_damage(kept.damaged)
    CONSOLE.print(f"figure in {plain(out)}")
