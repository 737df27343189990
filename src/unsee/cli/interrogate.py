"""`unsee interrogate`: perturb a box of a photo and see what becomes of the score."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain
from unsee.errors import UnseeError

PhotoPath = Annotated[str, typer.Argument(help="The photo.", metavar="PHOTO", show_default=False)]
BoxText = Annotated[
    str | None,
    typer.Option(
        "--box", help="X0,Y0,X1,Y1 in the photo's pixels; X1 and Y1 are just outside.", metavar="X0,Y0,X1,Y1"
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", help="A folder `unsee explain` wrote: its target, and its mask's box without --box."
    ),
]
Threshold = Annotated[
    float, typer.Option("--threshold", help="Share of the saliency's range that a fitted box goes round.")
]
TargetText = Annotated[
    str | None,
    typer.Option("--target", "-t", help="A class by name or index. [default: --from's, or the predicted]"),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help=f"A name that `unsee models` lists. [default: --from's, or {options.DEFAULT_MODEL}]",
    ),
]
FitName = Annotated[str | None, typer.Option("--fit", help="squash or crop. [default: --from's, or squash]")]
Perturbation = Annotated[str, typer.Option("--perturbation", help="blur, constant, black, noise, …")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace what is in the folder already.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the picture and the numbers.")]


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
    """Perturb one box of a photo, yours or one fitted to a saved mask, and score the photo again."""
    if box is None and source is None:
        raise UnseeError("which box? Give --box X0,Y0,X1,Y1, or --from a folder that `unsee explain` wrote")
    from unsee.cli.interrogating import Question, ask, claim, manifest, write
    from unsee.cli.parsing import fit_from, load_model, target_from

    folder = out or Path("interrogations") / Path(photo).stem
    question = Question.read(photo, box, source, threshold, perturbation)
    claim(folder, force)
    if weights is None and model is None:
        question.ask_for_weights()
    named = model or question.recorded_model or options.DEFAULT_MODEL
    classifier = load_model(named, weights, device)
    result = ask(
        question, classifier, target_from(target), fit_from(fit or question.recorded_fit or "squash"), seed
    )
    write(result, question.saved, folder)
    if as_json:
        typer.echo(json.dumps(manifest(result), indent=1))
        return
    scores = result.scores
    CONSOLE.print(
        f"{plain(result.target)}: [bold]{scores.original:.4f}[/] → [bold]{scores.perturbed:.4f}[/] "
        f"with {result.perturbation} in {','.join(map(str, result.box))} "
        f"(the whole photo perturbed: {scores.reference:.4f})"
    )
    CONSOLE.print(f"pictures and numbers in {plain(folder)}")
