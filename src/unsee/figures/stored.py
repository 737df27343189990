"""Rows of a store: photo and score, where the evidence is, and the edited photo and its score."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from unsee.drawing import panels
from unsee.runs.rendered_row import RenderedRow

_NAMED = 2
_GENERAL = ("predicted", "top1", "top5", "label")


def draw_stored(proofs: Sequence[RenderedRow], file: Path) -> None:
    """Write a PNG with a row of panels for each proof."""
    heights = [min(max(p.image.shape[-2] / p.image.shape[-1], 0.4), 1.8) * 3.2 + 0.35 for p in proofs]
    figure = Figure(layout="constrained", figsize=(9.6, sum(heights)))
    grid = figure.subplots(len(proofs), 3, squeeze=False, height_ratios=heights)
    for axes, proof in zip(grid, proofs, strict=True):
        panels.picture(axes[0], proof.image, f"{_asked(proof.row)}: {proof.row['score']:.4f}")
        panels.picture(axes[1], panels.overlaid(proof.image, proof.saliency), proof.row["id"])
        if proof.edited is None:
            panels.picture(axes[2], panels.colored(proof.saliency), "saliency")
        else:
            panels.picture(axes[2], proof.edited, _outcome(proof.row))
    panels.save(figure, file)


def _asked(row: Mapping[str, Any]) -> str:
    """What was asked, and of several classes that their scores are summed."""
    names = row["target_name"]
    several = f" (sum of {len(names)})" if len(names) > 1 else ""
    if row["asked"] not in _GENERAL:
        return f"{row['asked']}{several}"
    return " + ".join([*names[:_NAMED], *["…"] * (len(names) > _NAMED)]) + several


def _outcome(row: Mapping[str, Any]) -> str:
    if row["suppression"] is None:
        return f"edited: {row['perturbed_score']:.4f}\nno evidence: blurring all changes nothing"
    return f"edited: {row['perturbed_score']:.4f}"
