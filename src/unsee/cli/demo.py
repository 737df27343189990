"""`unsee demo`: the menagerie explained with the networks that ship with the package."""

import time
from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures and the page.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the demo that is there already.")]
Iterations = Annotated[int | None, typer.Option("--iterations", "-n", help="Steps of each mask at most.")]


def command(
    out: Out = Path("demo-out"),
    iterations: Iterations = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Explain drawn animals whose truth is known, with networks that are in the package; no download."""
    from unsee.cli.demonstrating import run

    began = time.perf_counter()
    run(out, iterations, seed, device, force, as_json)
    CONSOLE.print(
        f"done in {time.perf_counter() - began:.0f} s; the page is [bold]{plain(out / 'index.html')}[/]"
    )
