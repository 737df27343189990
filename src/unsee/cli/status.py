"""`unsee status`: how far a store is and what failed."""

import json
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE

Check = Annotated[bool, typer.Option("--check", help="Read every part in full and verify its checksum.")]


def command(store: options.StorePath, check: Check = False, as_json: options.Json = False) -> None:
    """Say what a store holds: how many rows it has, what failed and why, and the means of its numbers.

    Exit code 2 if parts are damaged.
    """
    from unsee.cli.store_table import store_table
    from unsee.runs.store import Store

    with CONSOLE.status("reading"):
        summary = Store.open(store).summary(check)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        CONSOLE.print(store_table(summary))
    if summary["damaged"]:
        raise typer.Exit(2)
