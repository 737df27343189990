"""Rows of a store: image and score, saliency, and the edited image and its score."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from unsee.drawing import panels
from unsee.drawing.checkered import without_tokens
from unsee.errors import UnseeError
from unsee.files import HOW_TO_REPLACE
from unsee.provenance import DeletedTokens
from unsee.runs.render import render
from unsee.runs.rendered_row import RenderedRow
from unsee.runs.store import Store

_NAMED = 2  # classes that a title names
_GENERAL = ("predicted", "top1", "top5", "label")


def show_store(
    store: Store | str | PathLike[str],
    ids: Sequence[str] = (),
    out: str | PathLike[str] = "shown.png",
    *,
    force: bool = False,
) -> Path:
    """Draw images of a store into a PNG: each with its heatmap and the edited image.

    Args:
        store: an opened store, or its address.
        ids: images by their ids; by default the first six that have a map.
        out: the file to write.
        force: replace a file that is there.

    Returns:
        The file.

    Raises:
        UnseeError: there is no store, an id is unknown, a photo is gone or has changed, or the file is there,
            is no PNG, or cannot be written.
    """
    kept = store if isinstance(store, Store) else Store.open(str(store))
    file = Path(out)
    if file.suffix.lower() != ".png":
        raise UnseeError(f"{file} must end in .png: the figure is written as PNG")
    if file.exists() and not force:
        raise UnseeError(f"{file} exists: {HOW_TO_REPLACE}")
    rows = render(kept, ids)
    try:
        draw_stored(rows, file)
    except (OSError, ValueError) as error:
        raise UnseeError(f"{file} cannot be written ({getattr(error, 'strerror', None) or error})") from error
    return file


def draw_stored(rows: Sequence[RenderedRow], file: Path) -> None:
    """Write a PNG with a row of panels for each rendered row."""
    heights = [_height(one) for one in rows]
    figure = Figure(layout="constrained", figsize=(9.6, sum(heights)))
    grid = figure.subplots(len(rows), 3, squeeze=False, height_ratios=heights)
    for axes, one in zip(grid, rows, strict=True):
        gone = _tokens(one)
        panels.image(axes[0], one.image, f"{_target(one.row)}: {one.row['score']:.4f}")
        panels.image(axes[1], panels.overlaid(one.image, one.saliency), one.row["id"])
        if gone is not None:
            panels.image(axes[2], *gone)
        elif one.edited is None:
            panels.image(axes[2], panels.colored(one.saliency), "saliency")
        else:
            panels.image(axes[2], one.edited, _edited_title(one.row))
    panels.save(figure, file)


def _height(one: RenderedRow) -> float:
    """Of a row of panels with their titles, in inches; the title of a mask on tokens has two lines."""
    shape = min(max(one.image.shape[-2] / one.image.shape[-1], 0.4), 1.8)
    return shape * 3.2 + (0.35 if _tokens(one) is None else 0.6)


def _tokens(one: RenderedRow) -> tuple[Tensor, str] | None:
    """The photo without its deleted tokens, and its title; None for masks that do not lie on tokens."""
    gone = DeletedTokens.of(one.row["token_check"] or {})
    if one.mask is None or gone is None:
        return None
    return without_tokens(panels.viewed(one.image), one.mask, _target(one.row), *gone)


def _target(row: Mapping[str, Any]) -> str:
    """The target, and for several classes that their scores are summed."""
    names = row["target_name"]
    several = f" (sum of {len(names)})" if len(names) > 1 else ""
    if row["asked"] not in _GENERAL:
        return f"{row['asked']}{several}"
    return " + ".join([*names[:_NAMED], *["…"] * (len(names) > _NAMED)]) + several


def _edited_title(row: Mapping[str, Any]) -> str:
    if row["suppression"] is None:
        return f"edited: {row['perturbed_score']:.4f}\nblurring everything changes nothing"
    return f"edited: {row['perturbed_score']:.4f}"
