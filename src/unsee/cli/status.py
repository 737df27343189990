"""`unsee status`: how far a store is and what failed."""

import json
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE

Check = Annotated[bool, typer.Option("--check", help="Read every part in full and verify its checksum.")]


def command(store: options.StorePath, check: Check = False, as_json: options.Json = False) -> None:
    """Say what a store holds: how far it is, what failed and why, and the mean of its numbers.

    Exit code 2 if parts are damaged.
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
