"""One interrogation: the photo with its box, and the photo with the box perturbed (fig. 6)."""

from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from unsee.drawing import panels
from unsee.drawing.side_by_side import side_by_side
from unsee.experiments.photo_interrogation import Interrogation
from unsee.images import save_png


def interrogation_figure(result: Interrogation, saliency: Tensor | None = None) -> Figure:
    """Two panels; a saliency map (h,w) in [0,1], if given, is drawn over the photo."""
    pixels, name, scores = result.photo.pixels, result.target.short, result.scores
    shown = pixels if saliency is None else panels.overlaid(pixels, saliency)
    contents = [
        (shown, f"{name}: {scores.original:.4f}"),
        (result.perturbed, f"{name}: {scores.perturbed:.4f}"),
    ]
    return side_by_side(contents, result.box)


def draw_interrogation(result: Interrogation, folder: Path, saliency: Tensor | None = None) -> None:
    """Write perturbed.png, at the photo's size, and figure.png."""
    save_png(folder / "perturbed.png", result.perturbed)
    panels.save(interrogation_figure(result, saliency), folder / "figure.png")
