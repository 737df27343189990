"""`unsee demo`: explain scenes of the menagerie, and three photographs, with installed networks."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain

if TYPE_CHECKING:
    from rich.table import Table

    from unsee.experiments.demonstration import SceneResult

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures and the page.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace a demo that exists already.")]
Iterations = Annotated[
    int | None,
    typer.Option("--iterations", "-n", help="Iterations per mask at most.", show_default="the preset's"),
]


def command(
    out: Out = Path("demo-out"),
    iterations: Iterations = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Explain drawn animals with known outlines, then three photographs. Downloads nothing."""
    import unsee
    from unsee.cli.progress import demonstrating
    from unsee.memory import keep_freed

    began = time.perf_counter()
    keep_freed()
    with demonstrating() as advance:
        found = unsee.demo(
            out, iterations=iterations, seed=seed, device=device, force=force, progress=advance
        )
    if as_json:
        typer.echo(json.dumps([finding.manifest() for finding in found.findings], indent=1))
    else:
        CONSOLE.print(_table(found.findings))
    CONSOLE.print(f"done in {time.perf_counter() - began:.0f} s; the page is [bold]{plain(found.page)}[/]")


def _table(findings: "Sequence[SceneResult]") -> "Table":
    """The numbers of every finding, for people."""
    from rich.table import Table

    table = Table("image", "class", "network", "score", "edited", "mask", "saliency on")
    for finding in findings:
        scores = finding.explanation.scores
        inside = finding.inside
        times = (f"{what} {times:.1f}× ({inside[what]:.0%})" for what, times in finding.density.items())
        table.add_row(
            finding.scene.heading,
            finding.scene.target,
            finding.scene.network.removeprefix("unsee:"),
            f"{scores.original:.3f}",
            f"{scores.perturbed:.3f}",
            f"{finding.explanation.area:.1%}",
            ", ".join(times) or "–",
        )
    table.caption = "×: share of the saliency, in brackets, over the share of the image; 1× is chance"
    return table
