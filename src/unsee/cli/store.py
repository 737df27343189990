"""`unsee status`, `unsee show` and `unsee export`: what a store holds."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain

At = Annotated[str, typer.Argument(help="What `unsee learn --out` named.", metavar="STORE")]
Check = Annotated[bool, typer.Option("--check", help="Read every part whole, checksums too.")]
Ids = Annotated[
    list[str], typer.Option("--id", help="A picture's id; may be given several times.", show_default=False)
]
Picture = Annotated[Path, typer.Option("--out", "-o", help="PNG file to write.")]
Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")]
Form = Annotated[
    str, typer.Option("--format", help="png (heatmaps), npy (the maps), csv (all columns but the maps).")
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Write over what is there.")]


def status(store: At, check: Check = False, as_json: options.Json = False) -> None:
    """Say what a store holds: how far it is, what failed and why, and the mean of its numbers."""
    from unsee.cli.storing import summary, table_of
    from unsee.runs.store import Store

    with CONSOLE.status("reading"):
        found = summary(Store.open(store), check)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        CONSOLE.print(table_of(found))


def show(store: At, ids: Ids, out: Picture = Path("shown.png"), force: Force = False) -> None:
    """Draw pictures of a store: what the network saw, where the evidence is, and the edited picture."""
    from unsee.cli.storing import proofs
    from unsee.errors import UnseeError
    from unsee.figures.stored import draw_stored
    from unsee.runs.store import Store

    if out.exists() and not force:
        raise UnseeError(f"{out} is there already: --force replaces it, --out writes elsewhere")
    found = proofs(Store.open(store), ids)
    try:
        draw_stored(found, out)
    except (OSError, ValueError) as error:
        raise UnseeError(f"{out} cannot be written ({getattr(error, 'strerror', None) or error})") from error
    CONSOLE.print(f"the picture: {plain(out)}")


def export(store: At, form: Form = "png", out: Folder = Path("exported"), force: Force = False) -> None:
    """Write a store's maps as files of their own, or its other columns as a table."""
    from unsee.cli.exporting import export as files
    from unsee.cli.progress import bar
    from unsee.runs.store import Store

    kept = Store.open(store)
    with bar(transient=True) as progress:
        task = progress.add_task("writing", total=len(kept), note="")
        count = 0
        for _ in files(kept, form, out, force):
            count += 1
            progress.update(task, completed=count)
    CONSOLE.print(f"{count} rows in {plain(out)}")
