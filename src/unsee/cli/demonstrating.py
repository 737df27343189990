"""One run of `unsee demo`: its networks, its table and its files."""

import json
from pathlib import Path

import typer
from rich.table import Table

from unsee.cli.console import CONSOLE
from unsee.cli.names import load_model
from unsee.cli.progress import learning
from unsee.drawing import panels
from unsee.errors import UnseeError
from unsee.experiments.demonstration import PLAIN, QUESTIONS, SHORTCUT, Finding, demonstrate
from unsee.figures.demonstration import demonstration_page, overview
from unsee.masks import PRESETS, Plan, adjusted
from unsee.masks.explain import versions

_PAGE = "index.html"


def run(out: Path, iterations: int | None, seed: int, device: str, force: bool, as_json: bool) -> None:
    """Explain every scene, print what was found against the truth, and write figures and page.

    Raises:
        UnseeError: the folder holds a demo that is not to be replaced, or cannot be written to.
    """
    if out.exists() and not out.is_dir():
        raise UnseeError(f"{out} is a file: --out takes a folder")
    page = out / _PAGE
    if page.exists() and not force:
        raise UnseeError(f"{page} is there already: --force replaces it, --out writes elsewhere")
    plan = Plan(adjusted(PRESETS["fast"], iterations=iterations), "fast", seed=seed)
    classifiers = {name: load_model(name, None, device) for name in (PLAIN, SHORTCUT)}
    with learning(f"{len(QUESTIONS)} masks", len(QUESTIONS)) as advance:
        findings = demonstrate(classifiers, plan, progress=advance)
    try:
        _write(findings, out)
    except OSError as error:
        raise UnseeError(f"{out} cannot be written to ({error.strerror or error})") from error
    if as_json:
        rows = [
            {**finding.explanation.manifest(), "inside": finding.inside, "density": finding.density}
            for finding in findings
        ]
        typer.echo(json.dumps(rows, indent=1))
    else:
        CONSOLE.print(_table(findings))


def _write(findings: list[Finding], out: Path) -> None:
    for number, finding in enumerate(findings, start=1):
        finding.explanation.save(out / f"{number}-{finding.question.target}", overwrite=True)
    panels.save(overview(findings), out / "demo.png")
    footer = ", ".join(f"{name} {number}" for name, number in versions().items())
    (out / _PAGE).write_text(demonstration_page(findings, footer), encoding="utf-8")


def _table(findings: list[Finding]) -> Table:
    table = Table("scene", "asked for", "network", "score", "edited", "mask", "saliency on")
    for finding in findings:
        scores = finding.explanation.scores
        table.add_row(
            finding.question.heading,
            finding.question.target,
            finding.question.network.removeprefix("unsee:"),
            f"{scores.original:.3f}",
            f"{scores.perturbed:.3f}",
            f"{finding.explanation.area:.1%}",
            ", ".join(
                f"{what} {times:.1f}× ({finding.inside[what]:.0%})" for what, times in finding.density.items()
            ),
        )
    table.caption = "×: share of the saliency, in brackets, over the share of the picture; 1× is chance"
    return table
