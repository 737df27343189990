"""`unsee compare`: the learned mask beside the other saliency methods."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain
from unsee.cli.signals import stoppable

Photos = Annotated[
    list[str], typer.Argument(help="Photos to look at.", metavar="PHOTO...", show_default=False)
]
Methods = Annotated[
    str | None,
    typer.Option("--methods", help="Names that `unsee methods` lists, with commas. [default: all]"),
]
Preset = Annotated[str, typer.Option("--preset", "-p", help="How the mask is learned: see `unsee presets`.")]
Layer = Annotated[
    str | None,
    typer.Option("--layer", help="Layer that Grad-CAM and excitation read. [default: each its own]"),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the figure, the numbers and the maps.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace comparisons that are there already.")]


def command(
    photos: Photos,
    methods: Methods = None,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = None,
    target: options.Target = None,
    preset: Preset = "fast",
    layer: Layer = None,
    seed: options.Seed = 0,
    fit: options.FitName = "squash",
    device: options.Device = "auto",
    out: Out = Path("comparison"),
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """See each photo with the learned mask and every other saliency method.

    Writes compare.png, a row for each photo and a column for each method, with the smallest box that takes
    away 90 % of the score; compare.json with the boxes; and for each photo a folder with the maps. What is
    there already, with the same settings, is not computed again.
    """
    from unsee.cli.comparing import Job, compare_photos, methods_from
    from unsee.cli.parsing import fit_from, load_model, target_from
    from unsee.experiments.photo_comparison import ComparisonSettings

    settings = ComparisonSettings(methods_from(methods), fit_from(fit), seed, preset, layer)
    job = Job(load_model(model, weights, device), settings, target_from(target), out, force)
    with stoppable("[yellow]stopped[/]; the same command again, without --force, goes on from here"):
        report = compare_photos(job, photos)
    if as_json:
        typer.echo(json.dumps(report.manifests, indent=1))
    elif report.comparisons:
        CONSOLE.print(report.table())
        CONSOLE.print(f"the picture: {plain(out / 'compare.png')}")
    for line in report.notes:
        CONSOLE.print(f"[dim]left out:[/] {plain(line)}", soft_wrap=True, highlight=False)
    problems = report.problems + (report.notes if methods is not None else [])
    for line in report.problems:
        CONSOLE.print(f"[red]unsee:[/] {plain(line)}", soft_wrap=True, highlight=False)
    if problems:
        raise typer.Exit(2)
