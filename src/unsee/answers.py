"""The rows of scores in what a network returns."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError

_NAMED = ("logits", "out", "scores", "output", "predictions")


class Answer(NamedTuple):
    """Scores of a batch, and from how many tensors of that form they were taken."""

    rows: Float[Tensor, "b c"]
    among: tuple[int, ...]
    """The number of scores in each of these tensors, the one that was taken first."""


def answer_of(output: object, count: int, classes: int | None = None) -> Answer:
    """One row of scores for each image.

    Takes a tensor, an object or mapping with `logits`, or a sequence or mapping, of which a tensor named
    `out`, `scores`, `output` or `predictions` counts, else the first with a row for each image. (B,C,1,1) and
    (B,) are reshaped.

    Args:
        output: what the network returned.
        count: of images that it was given.
        classes: how many scores are expected; if several tensors could be meant, the one with as many.

    Raises:
        UnseeError: there is none, or it holds no decimal numbers.
    """
    found = [rows for part in _tensors(output) if (rows := _rows(part, count)) is not None]
    if not found:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UnseeError(
            f"the network returned {given} for {_images(count)}; unsee needs scores of shape "
            f"({count}, classes): wrap the network in a module that returns them, or give head= a function "
            "that takes them out"
        )
    found = sorted(found, key=lambda rows: rows.shape[1] != classes)
    if not found[0].is_floating_point():
        kind = str(found[0].dtype).removeprefix("torch.")
        raise UnseeError(
            f"the network returned {kind} values: unsee needs scores as decimal numbers, not the number of "
            "the best class; let the network return its logits or probabilities"
        )
    return Answer(found[0], tuple(rows.shape[1] for rows in found))


def _rows(part: Tensor, count: int) -> Tensor | None:
    """A tensor as (B,C); None if it has another form."""
    shape = part.shape
    if part.numel() == 0 or shape[:1] != (count,):
        return None
    if len(shape) == 2:
        return part
    if len(shape) == 1:
        return part[:, None]
    return part.flatten(1) if max(shape[2:]) == 1 else None


def _tensors(output: object) -> list[Tensor]:
    """The tensors that may be meant, the most likely first."""
    if isinstance(output, Tensor):
        return [output]
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return [logits]
    if isinstance(output, Mapping):
        for name in _NAMED:
            if isinstance(output.get(name), Tensor):
                return [output[name]]
        output = list(output.values())
    parts = [part for part in output if isinstance(part, Tensor)] if isinstance(output, Sequence) else []
    floats = [part for part in parts if part.is_floating_point()] or parts
    return sorted(floats, key=lambda part: part.ndim != 2)


def _images(count: int) -> str:
    return "one image" if count == 1 else f"{count} images"
