"""`unsee demo`: explain scenes of the menagerie with the networks in the package."""

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
    typer.Option("--iterations", "-n", help="Iterations per mask at most. [default: the preset's]"),
]


def command(
    out: Out = Path("demo-out"),
    iterations: Iterations = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Explain drawn animals with known outlines, with networks in the package. Downloads nothing."""
    from unsee.cli.parsing import load_model
    from unsee.cli.progress import learning
    from unsee.experiments.demonstration import PLAIN, SCENES, SHORTCUT, demonstrate
    from unsee.figures.demonstration import refuse_taken, save_demonstration
    from unsee.masks import PRESETS, Plan, adjusted

    began = time.perf_counter()
    page = refuse_taken(out, force)
    plan = Plan(adjusted(PRESETS["fast"], iterations=iterations), "fast", seed=seed)
    classifiers = {name: load_model(name, None, device) for name in (PLAIN, SHORTCUT)}
    with learning(f"{len(SCENES)} masks", len(SCENES)) as advance:
        findings = demonstrate(classifiers, plan, progress=advance)
    save_demonstration(findings, out, force=True)
    if as_json:
        typer.echo(json.dumps([finding.manifest() for finding in findings], indent=1))
    else:
        CONSOLE.print(_table(findings))
    CONSOLE.print(f"done in {time.perf_counter() - began:.0f} s; the page is [bold]{plain(page)}[/]")


def _table(findings: "Sequence[SceneResult]") -> "Table":
    """The numbers of every finding, for people."""
    from rich.table import Table

    table = Table("scene", "class", "network", "score", "edited", "mask", "saliency on")
    for finding in findings:
        scores = finding.explanation.scores
        inside = finding.inside
        table.add_row(
            finding.scene.heading,
            finding.scene.target,
            finding.scene.network.removeprefix("unsee:"),
            f"{scores.original:.3f}",
            f"{scores.perturbed:.3f}",
            f"{finding.explanation.area:.1%}",
            ", ".join(f"{what} {times:.1f}× ({inside[what]:.0%})" for what, times in finding.density.items()),
        )
    table.caption = "×: share of the saliency, in brackets, over the share of the image; 1× is chance"
    return table
