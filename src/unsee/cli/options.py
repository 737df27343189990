"""Options that several commands share, and what their names mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unsee.errors import UnseeError

if TYPE_CHECKING:
    from unsee.classifier import Classifier, Target
    from unsee.fits import Fit

DEFAULT_MODEL = "torchvision:googlenet"

Model = Annotated[str, typer.Option("--model", "-m", help="A name that `unsee models` lists.")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", "-w", help="A safetensors file or a plain state dict for the model."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, …")]
FitName = Annotated[
    str,
    typer.Option("--fit", help="How a photo is brought to the network's input: squash or crop."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON on standard output.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.", min=0)]


def target_from(text: str | None) -> "Target | None":
    """A class index or name, several joined by "+", or "top5"; None for the predicted class.

    Raises:
        UnseeError: a class between two "+" is missing.
    """
    if text is None or "+" not in text:
        return text
    parts = tuple(part.strip() for part in text.split("+"))
    if not all(parts):
        raise UnseeError(f"{text!r} lacks a class beside a '+': join classes as in 243+282")
    return parts


def fit_from(name: str) -> "Fit":
    """A fit by name.

    Raises:
        UnseeError: there is none of that name.
    """
    from unsee.fits import FITS
    from unsee.masks.settings import look_up

    return look_up(dict(FITS), name, "fit")


def load_model(name: str, weights: Path | None, device: str) -> "Classifier":
    """The classifier that a command names."""
    from unsee.cli.console import CONSOLE
    from unsee.models import load

    with CONSOLE.status(f"loading {name}"):
        return load(name, weights, device)
