"""Answers from outside torch as scores: a row of finite decimal numbers for each image, or an error."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.words import counted


def score_rows(found: Any, count: int, who: str) -> Float[Tensor, "b k"]:  # noqa: ANN401
    """The scores in an array, in float32; (B,) becomes (B,1).

    Args:
        found: what was answered: an array, or what numpy makes one of.
        count: of images that were given.
        who: answered, for the error.

    Raises:
        UnseeError: it is no array of numbers, has not one row for each image, or a number is not finite.
    """
    try:
        values = np.asarray(found)
    except Exception as error:
        raise UnseeError(
            f"{who} gave what is no array ({_first_line(error)}): it must give scores of shape "
            f"({count}, classes)"
        ) from error
    if values.dtype.kind not in "fiu":
        kind = type(found).__name__ if values.dtype.kind == "O" else f"values of type {values.dtype}"
        raise UnseeError(f"{who} gave {kind}: it must give scores as numbers, of shape ({count}, classes)")
    rows = values[:, None] if values.ndim == 1 else values
    if rows.ndim != 2 or len(rows) != count or rows.shape[1] == 0:
        raise UnseeError(
            f"{who} gave an array of shape {values.shape} for {counted(count, 'image')}: it must give scores "
            f"of shape ({count}, classes)"
        )
    with np.errstate(over="ignore"):
        scores = torch.from_numpy(np.array(rows, np.float32))
    wrong = (~scores.isfinite()).any(dim=1).nonzero()[:, 0]
    if len(wrong):
        row = int(wrong[0])
        bad = rows[row][~scores[row].isfinite().numpy()][0]
        raise UnseeError(
            f"{who} gave a score that is not finite ({bad}) for image {row} of {count}: check what it makes "
            "of dark and edited images"
        )
    return scores


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
