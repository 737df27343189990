"""`unsee status`: how far a store is and what failed."""

from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE

Check = Annotated[bool, typer.Option("--check", help="Read every part in full and verify its checksum.")]


def command(store: options.StorePath, check: Check = False, as_json: options.Json = False) -> None:
    """Say what a store holds: how many rows it has, what failed and why, and the means of its numbers.

    Exit code 2 if parts are damaged.
    """
    from unsee.cli.store_table import print_summary
    from unsee.runs.store import Store

    with CONSOLE.status("reading"):
        summary = Store.open(store).summary(check)
    print_summary(summary, as_json)
    if summary["damaged"]:
        raise typer.Exit(2)
