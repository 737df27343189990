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
    import unsee

    kept = unsee.Store.open(store)
    file = unsee.show_store(kept, ids, out, force=force)
    report_damage(kept.damaged)
    CONSOLE.print(f"figure in {plain(file)}")
