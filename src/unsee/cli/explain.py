"""`unsee explain`: learn masks for photos and save the explanations."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from unsee.cli.layers import Layer, LayerValue, MaskOver
from unsee.cli.network_options import given_options
from unsee.cli.signals import stoppable
from unsee.cli.sufficient import Another, Keep, PathToo, Suppress, further_rows, report_stopped
from unsee.words import counted

if TYPE_CHECKING:
    from rich.table import Table

    from unsee.masks.folders import FolderEntry, FolderReport

Photos = Annotated[
    list[str], typer.Argument(help="Photos to explain.", metavar="PHOTO...", show_default=False)
]
Area = Annotated[
    str | None,
    typer.Option(
        "--area",
        help="Share of the picture that the mask is to mark, such as 0.1; several as 0.05,0.1,0.2; or "
        "smallest, for the smallest area that keeps, or in deletion removes, --share of the score.",
    ),
]
Share = Annotated[
    float | None, typer.Option("--share", help="Share of the score for --area smallest.", show_default="0.9")
]
GameName = Annotated[
    str | None, typer.Option("--game", help="deletion, preservation or dual.", show_default="the preset's")
]
Iterations = Annotated[
    int | None, typer.Option("--iterations", "-n", help="Iterations at most.", show_default="the preset's")
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", "-b", help="Photos in a batch.", show_default="what fits in memory"),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="float32, bfloat16 or auto: bfloat16 for fast on devices that support it.",
    ),
]
Compile = Annotated[bool, typer.Option("--compile", help="Use torch.compile; only worth it for many photos.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder that gets one folder for each photo.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace explanations that exist already.")]


def command(
    photos: Photos,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = None,
    target: options.Target = None,
    preset: options.Preset = None,
    area: Area = None,
    share: Share = None,
    game: GameName = None,
    perturbation: options.Perturbation = None,
    iterations: Iterations = None,
    optimiser: options.Optimiser = None,
    budget: options.Budget = None,
    layer: Layer = None,
    layer_value: LayerValue = None,
    mask_over: MaskOver = None,
    suppress: Suppress = None,
    keep: Keep = None,
    path: PathToo = False,
    another: Another = 0,
    seed: options.Seed = 0,
    fit: options.FitName = "squash",
    batch_size: BatchSize = None,
    precision: Precision = "auto",
    compiled: Compile = False,
    device: options.Device = "auto",
    out: Out = Path("explanations"),
    bands: options.BandNames = None,
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Learn which part of each photo the score of the class depends on.

    Writes a folder for each photo, with the mask, the edited photo, images of both and explanation.json.
    Photos that are explained already, with the same settings, are left as they are.
    """
    from unsee.cli.parsing import (
        area_from,
        bands_from,
        fit_from,
        layer_from,
        load_model,
        note_trained_fit,
        note_without_gradient,
        target_from,
    )
    from unsee.cli.progress import learning
    from unsee.masks import plan_for
    from unsee.masks.folders import explain_to_folders
    from unsee.network_wrappers import account_of

    plan = plan_for(
        preset,
        game=game,
        perturbation=perturbation,
        iterations=iterations,
        optimiser=optimiser,
        budget=budget,
        area=area_from(area),
        share=share,
        layer=layer_from(layer, layer_value, mask_over),
        suppress=suppress,
        keep=keep,
        path=path,
        another=another,
        fit=fit_from(fit),
        seed=seed,
        batch_size=batch_size,
        precision=precision,
        compiled=compiled,
    )
    asked, drawn = target_from(target), bands_from(bands)
    classifier = load_model(model, weights, device, given_options())
    note_trained_fit(classifier, plan.fit)
    note_without_gradient(classifier, plan)
    what, sign = counted(len(photos), "photo"), plan.settings.objective.game.sign
    bar = learning(what, len(photos), sign, lambda: account_of(classifier.net))
    with stoppable():
        with bar as advance:
            report = explain_to_folders(
                classifier, photos, plan, asked, out, force=force, bands=drawn, progress=advance
            )
        _print_report(report, as_json)
    if report.problems:
        raise typer.Exit(2)


def _print_report(report: "FolderReport", as_json: bool) -> None:
    """The explanations, as JSON or as a table, and what was wrong."""
    if as_json:
        typer.echo(json.dumps([saved.manifest for saved in report.saved], indent=1))
    elif report.saved:
        CONSOLE.print(_table(report.saved))
    manifests = [saved.manifest for saved in report.saved]
    report_token_checks(
        (Path(manifest["photo"]).name, manifest.get("token_check") or {}, manifest["scores"]["perturbed"])
        for manifest in manifests
    )
    report_unconverged(
        (Path(manifest["photo"]).name, manifest["verdict"])
        for manifest in manifests
        if not manifest["converged"]
    )
    report_stopped(manifests)
    report_doubts((manifest["photo"], manifest["photo_notes"]) for manifest in manifests)
    report_problems(report.problems)


def _table(explanations: "Sequence[FolderEntry]") -> "Table":
    """The numbers of every explanation, for people."""
    from rich.table import Table

    networks = {saved.manifest["model"] for saved in explanations}
    title = f"network: {plain(', '.join(sorted(networks)))}"
    table = Table("photo", "target", "score", "edited", "suppressed", "area", title=title)
    table.add_column("folder", overflow="fold")
    for saved in explanations:
        manifest = saved.manifest
        name = manifest["target"]["name"]
        table.add_row(
            plain(Path(manifest["photo"]).name),
            plain(name if isinstance(name, str) else " + ".join(name)),
            _number(manifest["scores"]["original"], ".4f"),
            _number(manifest["scores"]["perturbed"], ".4f"),
            _number(manifest["suppression"], ".1%"),
            _number(manifest["area"], ".1%") + _asked(manifest) + ("" if manifest["converged"] else " *"),
            plain(saved.folder),
        )
        for cells in further_rows(saved):
            table.add_row(*cells)
    captions = []
    if not all(saved.manifest["edits_pixels"] for saved in explanations):
        captions.append("the mask does not lie on pixels: no pixel is edited")
    if not all(saved.manifest["converged"] for saved in explanations):
        captions.append("* not converged: do not rely on this mask")
    table.caption = "\n".join(captions) or None
    return table


def _asked(manifest: "Mapping[str, Any]") -> str:
    """The area that was asked for."""
    return "" if manifest.get("asked_area") is None else f" of {manifest['asked_area']:.1%}"


def _number(value: float | None, style: str) -> str:
    return "–" if value is None else format(value, style)
