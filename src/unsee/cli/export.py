"""`unsee export`: write the maps of a store as files."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain, report_damage
from unsee.words import counted

Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder for the files; or for csv a .csv file.")]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        help="png (heatmaps at the network's input), overlay (over the photos), npy (the maps as they are), "
        "csv (all columns but the maps).",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist already.")]


def command(
    store: options.StorePath, form: Form = "png", out: Folder = Path("exported"), force: Force = False
) -> None:
    """Write a store's maps as files of their own, or its other columns as a table.

    Rows without a map are only in the table. Exit code 2 if parts are damaged, or if photos to draw over are
    gone or have changed.
    """
    from unsee.cli.progress import bar
    from unsee.runs.export import Exported
    from unsee.runs.export import export as write
    from unsee.runs.store import Store

    kept = Store.open(store)
    with bar(transient=True) as progress:
        task = progress.add_task("writing", total=len(kept), note="")

        def advance(done: Exported) -> None:
            count = done.written + done.without_map + len(done.problems)
            progress.update(task, completed=count)

        done = write(kept, out, form, force=force, progress=advance)
    for problem in done.problems:
        CONSOLE.print(f"[red]{plain(problem)}[/]")
    left = f"; {done.without_map} without a map left out" if done.without_map else ""
    lost = f"; {len(done.problems)} whose photos are gone or have changed left out" if done.problems else ""
    CONSOLE.print(f"{counted(done.written, 'row')} in {plain(out)}{left}{lost}")
    if report_damage(kept.damaged) or done.problems:
        raise typer.Exit(2)
