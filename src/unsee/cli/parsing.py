"""What the names on a command line mean: targets, fits, models."""

from pathlib import Path

from unsee.choices import look_up
from unsee.classifier import Classifier, TargetLike
from unsee.cli.console import CONSOLE, plain
from unsee.errors import UnseeError
from unsee.fits import FITS, Fit
from unsee.memory import keep_freed
from unsee.models import load


def target_from(text: str | None) -> TargetLike | None:
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


def fit_from(name: str) -> Fit:
    """A fit by name.

    Raises:
        UnseeError: there is none of that name.
    """
    return look_up(dict(FITS), name, "fit")


def load_model(name: str, weights: Path | None, device: str) -> Classifier:
    """The classifier that a command names; from here on freed memory is kept."""
    keep_freed()
    with CONSOLE.status(plain(f"loading {name}")):
        return load(name, weights, device)
