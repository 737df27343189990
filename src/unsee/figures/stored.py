"""Rows of a store: picture and score, edited picture and score, and where the evidence is."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from unsee.figures import panels
from unsee.runs.proof import Proof


def draw_stored(proofs: Sequence[Proof], file: Path) -> None:
    """Write a PNG with a row of panels for each proof."""
    figure = Figure(layout="constrained", figsize=(9.6, 3.5 * len(proofs)))
    grid = figure.subplots(len(proofs), 3, squeeze=False)
    for axes, proof in zip(grid, proofs, strict=True):
        row = proof.row
        name = row["target_name"][0] + (" + more" if len(row["target_name"]) > 1 else "")
        panels.picture(axes[0], proof.picture, f"{name}: {row['score']:.4f}")
        panels.picture(axes[1], panels.overlaid(proof.picture, proof.saliency), row["id"])
        if proof.edited is None:
            panels.picture(axes[2], panels.colored(proof.saliency), "saliency")
        else:
            panels.picture(axes[2], proof.edited, f"edited: {row['perturbed_score']:.4f}")
    panels.save(figure, file)
