"""`unsee status`, `unsee show` and `unsee export`: what a store holds."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain

if TYPE_CHECKING:
    from unsee.runs.store import Store

At = Annotated[str, typer.Argument(help="What `unsee learn --out` named.", metavar="STORE")]
Check = Annotated[bool, typer.Option("--check", help="Read every part whole, checksums too.")]
Ids = Annotated[
    list[str],
    typer.Option("--id", help="A picture's id; may be given several times. [default: the first six]"),
]
Picture = Annotated[Path, typer.Option("--out", "-o", help="PNG file to write.")]
Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder for the files; or for csv a .csv file.")]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        help="png (heatmaps at the network's input), overlay (over the photos), npy (the maps as they are), "
        "csv (all columns but the maps).",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Write over what is there.")]


def status(store: At, check: Check = False, as_json: options.Json = False) -> None:
    """Say what a store holds: how far it is, what failed and why, and the mean of its numbers.

    Exit code 2 where parts are damaged.
    """
    from unsee.cli.storing import summary, table_of
    from unsee.runs.store import Store

    with CONSOLE.status("reading"):
        found = summary(Store.open(store), check)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        CONSOLE.print(table_of(found))
    if found["damaged"]:
        raise typer.Exit(2)


def show(store: At, ids: Ids = [], out: Picture = Path("shown.png"), force: Force = False) -> None:  # noqa: B006
    """Draw pictures of a store: the photo, where the evidence is, and the edited photo."""
    from unsee.cli.storing import proofs
    from unsee.errors import UnseeError
    from unsee.figures.stored import draw_stored
    from unsee.runs.store import Store

    kept = Store.open(store)
    if out.suffix.lower() != ".png":
        raise UnseeError(f"{out} is no .png: the picture is written as PNG")
    if out.exists() and not force:
        raise UnseeError(f"{out} is there already: --force replaces it, --out writes elsewhere")
    found = proofs(kept, ids)
    try:
        draw_stored(found, out)
    except (OSError, ValueError) as error:
        raise UnseeError(f"{out} cannot be written ({getattr(error, 'strerror', None) or error})") from error
    _tell_damage(kept)
    CONSOLE.print(f"the picture: {plain(out)}")


def export(store: At, form: Form = "png", out: Folder = Path("exported"), force: Force = False) -> None:
    """Write a store's maps as files of their own, or its other columns as a table.

    Rows without a map are in the table alone. Exit code 2 where parts are damaged, or photos to draw over
    are gone or have changed.
    """
    from unsee.cli.exporting import export as files
    from unsee.cli.progress import bar
    from unsee.runs.store import Store

    kept = Store.open(store)
    with bar(transient=True) as progress:
        task = progress.add_task("writing", total=len(kept), note="")
        count = without = failed = 0
        for row in files(kept, form, out, force):
            if row.problem:
                failed += 1
                progress.console.print(f"[red]{plain(row.problem)}[/]")
            else:
                count, without = count + row.written, without + (not row.written)
            progress.update(task, completed=count + without + failed)
    left = f"; {without} without a map left out" if without else ""
    lost = f"; {failed} whose photos are gone or have changed left out" if failed else ""
    CONSOLE.print(f"{count} rows in {plain(out)}{left}{lost}")
    if _tell_damage(kept) or failed:
        raise typer.Exit(2)


def _tell_damage(store: "Store") -> bool:
    """Name the parts that could not be read; whether there are any."""
    for damage in store.damaged:
        CONSOLE.print(f"[red]{plain(damage)}[/]: left out; the command that made the store does it again")
    return bool(store.damaged)
