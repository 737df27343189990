"""`unsee compare`: the learned mask next to the other saliency methods."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unsee.cli import options
from unsee.cli.console import (
    CONSOLE,
    plain,
    report_doubts,
    report_problems,
    report_token_checks,
    report_unconverged,
)
from unsee.cli.layers import LayerValue, MaskOver
from unsee.cli.network_options import given_options
from unsee.cli.signals import stoppable
from unsee.cli.sufficient import Keep, Suppress
from unsee.verdicts import CONVERGED
from unsee.words import spelled

if TYPE_CHECKING:
    from rich.table import Table

    from unsee.experiments.comparison import Comparison
    from unsee.experiments.comparison_folders import ComparisonReport

Photos = Annotated[
    list[str],
    typer.Argument(help="Photos to explain.", metavar="PHOTO...", show_default=False),
]
Methods = Annotated[
    str | None,
    typer.Option("--methods", help="Names that `unsee methods` lists, with commas.", show_default="all"),
]
Area = Annotated[
    float | None,
    typer.Option("--area", help="Share of the picture that the mask is to mark, such as 0.1."),
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", help="Layer that Grad-CAM and excitation read.", show_default="the method's own"),
]
MaskLayer = Annotated[
    str | None,
    typer.Option(
        "--mask-layer",
        help="Layer whose activation the mask edits, with the mean over each photo alone if "
        "--layer-value is mean.",
        show_default="pixels",
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the figure, the numbers and the maps.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace comparisons that exist already.")]


def command(
    photos: Photos,
    methods: Methods = None,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = None,
    target: options.Target = None,
    preset: options.Preset = None,
    area: Area = None,
    perturbation: options.Perturbation = None,
    layer: Layer = None,
    mask_layer: MaskLayer = None,
    layer_value: LayerValue = None,
    mask_over: MaskOver = None,
    suppress: Suppress = None,
    keep: Keep = None,
    optimiser: options.Optimiser = None,
    budget: options.Budget = None,
    seed: options.Seed = 0,
    fit: options.FitName = "squash",
    device: options.Device = "auto",
    out: Out = Path("comparison"),
    bands: options.BandNames = None,
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Compare the learned mask with other saliency methods on each photo.

    Writes compare.png, a row for each photo and a column for each method, with the smallest box whose
    blurring removes 90 % of the score; compare.json with the boxes; and a folder of maps for each photo.
    Maps that are there already, with the same settings, are not computed again.
    """
    from unsee.cli.parsing import (
        bands_from,
        fit_from,
        layer_from,
        load_model,
        methods_from,
        note_without_gradient,
        target_from,
    )
    from unsee.cli.progress import comparing
    from unsee.experiments.comparison_folders import compare_to_folders
    from unsee.experiments.photo_comparison import ComparisonSettings

    place = layer_from(mask_layer, layer_value, mask_over)
    settings = ComparisonSettings(
        methods_from(methods),
        fit_from(fit),
        seed,
        preset,
        layer,
        perturbation,
        place,
        area,
        suppress,
        keep,
        optimiser,
        budget,
    )
    asked, drawn = target_from(target), bands_from(bands)
    classifier = load_model(model, weights, device, given_options())
    if "mask" in settings.methods:
        note_without_gradient(classifier, settings.plan)
    continues = "[yellow]stopped[/]; the same command again, without --force, continues from here"
    with stoppable(continues), comparing() as advance:
        report = compare_to_folders(
            classifier, photos, settings, asked, out, force=force, bands=drawn, progress=advance
        )
    _print_report(report, out, as_json)
    if report.problems or (methods is not None and report.left_out):
        raise typer.Exit(2)


def _print_report(report: "ComparisonReport", out: Path, as_json: bool) -> None:
    """The comparisons, as JSON or as a table, and what was wrong."""
    if as_json:
        typer.echo(json.dumps(report.manifests, indent=1))
    elif report.comparisons:
        CONSOLE.print(_table(report.comparisons))
        CONSOLE.print(f"figure in {plain(out / 'compare.png')}")
    report_token_checks(
        (each.photo.name, result.token_check, None)
        for each in report.comparisons
        for result in each.results.values()
    )
    report_unconverged(
        (f"{each.photo.name}, {spelled(method)}", result.verdict)
        for each in report.comparisons
        for method, result in each.results.items()
        if result.verdict not in (None, CONVERGED)
    )
    for line in report.left_out:
        CONSOLE.print(f"[dim]left out:[/] {plain(line)}", soft_wrap=True, highlight=False)
    report_doubts((each.photo.name, each.photo.notes) for each in report.comparisons)
    report_problems(report.problems)


def _table(comparisons: "Sequence[Comparison]") -> "Table":
    """The area of each method's smallest box, for people."""
    from rich.table import Table

    names = dict.fromkeys(name for each in comparisons for name in each.results)
    table = Table("method", title="smallest box that takes away 90 % of the score, share of the image")
    for each in comparisons:
        table.add_column(f"{plain(each.photo.name)}\n{plain(each.target.short)}", justify="right")
    for name in names:
        table.add_row(spelled(name), *(_area(each, name) for each in comparisons))
    return table


def _area(comparison: "Comparison", method: str) -> str:
    if method not in comparison.results:
        return "–"
    box = comparison.results[method].box
    return "no box" if box is None else f"{box.area / (comparison.size[0] * comparison.size[1]):.1%}"
