"""`unsee interrogate`: perturb a box of a photo and see what becomes of the score."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE
from unsee.errors import UnseeError

if TYPE_CHECKING:
    from unsee.classifier import Classifier
    from unsee.experiments.interrogation import Interrogation
    from unsee.explanation import Explanation, Target
    from unsee.images import Photo

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
Perturbation = Annotated[str, typer.Option("--perturbation", help="blur, constant, black, noise, …")]
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
    fit: options.FitName = "squash",
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = None,
    as_json: options.Json = False,
) -> None:
    """Perturb one box of a photo, yours or one fitted to a saved mask, and score the photo again."""
    from unsee.experiments.interrogation import interrogate
    from unsee.explanation import Explanation
    from unsee.images import read_photo
    from unsee.masks.perturbation import PERTURBATIONS
    from unsee.masks.settings import look_up
    from unsee.tensors import fitted_box

    if box is None and source is None:
        raise UnseeError("which box? Give --box X0,Y0,X1,Y1, or --from a folder that `unsee explain` wrote")
    edits = look_up(PERTURBATIONS, perturbation, "perturbation")
    if len(edits) > 1:
        raise UnseeError(f"a box is perturbed in one way at a time, and {perturbation} is several")
    read = read_photo(photo)
    saved = None if source is None else Explanation.load(source, photo)
    corners = _corners(box) if box is not None else fitted_box(_saliency(saved), threshold)
    named = model or (saved.provenance.model if saved else options.DEFAULT_MODEL)
    classifier = options.load_model(named, weights, device)
    chosen = _target(classifier, target, saved, read, fit)
    result = interrogate(classifier, read, corners, chosen, edits[0], options.fit_from(fit), seed)
    _report(result, saved, out or Path("interrogations") / Path(photo).stem, as_json)


def _corners(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise UnseeError(f"{text!r} is no box: give four whole numbers, as in --box 40,30,120,200") from None
    return left, top, right, bottom


def _saliency(saved: "Explanation | None") -> Any:  # noqa: ANN401
    assert saved is not None
    return saved.saliency


def _target(
    classifier: "Classifier", text: str | None, saved: "Explanation | None", photo: "Photo", fit: str
) -> "Target":
    from unsee.masks.explain import asked_for, target_indices

    if text is None and saved is not None:
        return saved.target
    from unsee.explanation import Target

    pixels = options.fit_from(fit).apply(photo.pixels, classifier.size)
    asked = options.target_from(text)
    indices = target_indices(classifier, asked, classifier.probabilities(pixels[None])[0])
    return Target(indices, tuple(map(classifier.class_name, indices)), asked_for(asked))


def _report(result: "Interrogation", saved: "Explanation | None", out: Path, as_json: bool) -> None:
    from unsee.figures import draw_interrogation

    scores = result.scores
    manifest = {
        "photo": str(result.photo.path),
        "photo_sha256": result.photo.sha256,
        "model": result.model,
        "target": {"index": list(result.target.indices), "name": list(result.target.names)},
        "box": list(result.box),
        "perturbation": result.perturbation,
        "scores": {"original": scores.original, "perturbed": scores.perturbed, "reference": scores.reference},
        "suppression": scores.suppression if scores.suppression == scores.suppression else None,
    }
    out.mkdir(parents=True, exist_ok=True)
    draw_interrogation(result, out, None if saved is None else saved.saliency)
    (out / "interrogation.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    if as_json:
        typer.echo(json.dumps(manifest, indent=1, ensure_ascii=False))
        return
    CONSOLE.print(
        f"{result.target}: [bold]{scores.original:.4f}[/] → [bold]{scores.perturbed:.4f}[/] "
        f"with {result.perturbation} in {','.join(map(str, result.box))} "
        f"(the whole photo perturbed: {scores.reference:.4f})"
    )
    CONSOLE.print(f"pictures and numbers in {out}")
