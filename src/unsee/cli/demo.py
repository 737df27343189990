"""`unsee demo`: explain scenes of the menagerie, and three photographs, with installed networks."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain
from unsee.errors import UnseeError
from unsee.words import counted

if TYPE_CHECKING:
    from rich.table import Table

    from unsee.classifier import Classifier
    from unsee.experiments.demonstration import SceneResult
    from unsee.images import Photo

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
    from unsee.cli.parsing import load_model
    from unsee.cli.progress import learning
    from unsee.experiments.demonstration import PLAIN, SCENES, SHORTCUT, demonstrate, demonstrate_photos
    from unsee.figures.demonstration import refuse_taken, save_demonstration
    from unsee.masks import PRESETS, Plan, adjusted

    began = time.perf_counter()
    page = refuse_taken(out, force)
    plan = Plan(adjusted(PRESETS["fast"], iterations=iterations), "fast", seed=seed)
    classifiers = {name: load_model(name, None, device) for name in (PLAIN, SHORTCUT)}
    second = _second_part(device)
    count = len(SCENES) + (len(second[1]) if second else 0)
    with learning(counted(count, "mask"), count) as advance:
        findings = demonstrate(classifiers, plan, progress=advance)
        findings += demonstrate_photos(*second, plan, progress=advance) if second else []
    save_demonstration(findings, out, force=True)
    if as_json:
        typer.echo(json.dumps([finding.manifest() for finding in findings], indent=1))
    else:
        CONSOLE.print(_table(findings))
    CONSOLE.print(f"done in {time.perf_counter() - began:.0f} s; the page is [bold]{plain(page)}[/]")


def _second_part(device: str) -> "tuple[Classifier, list[Photo]] | None":
    """The network and the photographs; None, with a line that says what to install, if either is missing."""
    from unsee.cli.parsing import load_model
    from unsee.experiments.demonstration import REAL, carried_photos

    try:
        photos = carried_photos()
        return load_model(REAL, None, device), photos
    except UnseeError as error:
        CONSOLE.print(f"[yellow]without photographs:[/] {plain(error)}", soft_wrap=True, highlight=False)
        return None


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
