"""`unsee interrogate`: perturb a box of a photo and score it again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain, report_doubts
from unsee.cli.network_options import given_options
from unsee.defaults import PERTURBATION_NAMES
from unsee.errors import UnseeError

PhotoPath = Annotated[str, typer.Argument(help="The photo.", metavar="PHOTO", show_default=False)]
BoxText = Annotated[
    str | None,
    typer.Option(
        "--box", help="X0,Y0,X1,Y1 in pixels of the photo; X1 and Y1 are exclusive.", metavar="X0,Y0,X1,Y1"
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", help="A folder that `unsee explain` wrote: gives the target, and without --box the box."
    ),
]
Threshold = Annotated[
    float, typer.Option("--threshold", help="Share of the saliency's range at which the box is fitted.")
]
TargetText = Annotated[
    str | None,
    typer.Option(
        "--target", "-t", help="A class by name or index.", show_default="--from's, or the predicted"
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A name that `unsee models` lists.",
        show_default=f"--from's, or {options.DEFAULT_MODEL}",
    ),
]
FitName = Annotated[
    str | None, typer.Option("--fit", help="squash or crop.", show_default="--from's, or squash")
]
Perturbation = Annotated[
    str,
    typer.Option(
        "--perturbation",
        help=f"What the box becomes: {', '.join(PERTURBATION_NAMES)}; joint is several, and tokens edits no "
        "pixels: these two are refused.",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace an interrogation that exists already.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the images and the numbers.")]


def command(
    photo: PhotoPath,
    box: BoxText = None,
    source: From = None,
    threshold: Threshold = 0.5,
    target: TargetText = None,
    model: ModelName = None,
    weights: options.Weights = None,
    perturbation: Perturbation = "blur",
    fit: FitName = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = None,
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Perturb one box of a photo, given or fitted to a saved mask, and score the photo again."""
    if box is None and source is None:
        raise UnseeError("which box? Give --box X0,Y0,X1,Y1, or --from a folder that `unsee explain` wrote")
    from unsee.cli.parsing import box_from, fit_from, load_model, load_model_for, target_from
    from unsee.experiments.interrogation_result import refuse_taken
    from unsee.experiments.photo_interrogation import (
        interrogate,
        interrogate_explanation,
        perturbation_named,
    )
    from unsee.explanation import Explanation
    from unsee.masks.network_input import photo_for

    edit = perturbation_named(perturbation)
    saved = None if source is None else Explanation.load(source, photo)
    corners = None if box is None else box_from(box)
    folder = refuse_taken(out or Path("interrogations") / Path(photo).stem, force)
    if saved is None or model is not None:
        classifier = load_model(model or options.DEFAULT_MODEL, weights, device, given_options())
    else:
        classifier = load_model_for(saved, weights, device, given_options())
    chosen, fitted = target_from(target), None if fit is None else fit_from(fit)
    if saved is not None:
        result = interrogate_explanation(classifier, saved, corners, chosen, edit, fitted, seed, threshold)
    else:
        assert corners is not None
        image = photo_for(classifier, photo)
        result = interrogate(classifier, image, corners, chosen, edit, fitted, seed)
    result.save(folder, overwrite=True)
    report_doubts([(result.photo.name, result.photo.notes)])
    if as_json:
        typer.echo(json.dumps(result.manifest(), indent=1))
        return
    scores = result.scores
    CONSOLE.print(
        f"{plain(result.target)}: [bold]{scores.original:.4f}[/] → [bold]{scores.perturbed:.4f}[/] "
        f"with {result.perturbation} in {','.join(map(str, result.box))} "
        f"(the whole photo perturbed: {scores.reference:.4f})"
    )
    CONSOLE.print(f"images and numbers in {plain(folder)}")
