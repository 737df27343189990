"""One interrogation: the photo with its box, and the photo with the box perturbed (fig. 6)."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from unsee.drawing import panels
from unsee.experiments.photo_interrogation import Interrogation
from unsee.images import save_png

_LINE = "#e4002b"


def interrogation_figure(result: Interrogation, saliency: Tensor | None = None) -> Figure:
    """Two panels; the photo lies under its heatmap where a saliency map (h,w) in [0,1] is given."""
    pixels = result.photo.pixels
    height, width = pixels.shape[-2:]
    figure = Figure()
    axes = panels.row_of_panels(figure, 2, height / width)
    name, scores = result.target.short, result.scores
    shown = pixels if saliency is None else panels.overlaid(pixels, saliency)
    panels.picture(axes[0], shown, f"{name}: {scores.original:.4f}")
    panels.picture(axes[1], result.perturbed, f"{name}: {scores.perturbed:.4f}")
    scale = panels.shrunk(pixels).shape[-1] / width
    left, top, right, bottom = (edge * scale - 0.5 for edge in result.box)
    for panel in axes:
        panel.add_patch(
            Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=_LINE, linewidth=2)
        )
    return figure


def draw_interrogation(result: Interrogation, folder: Path, saliency: Tensor | None = None) -> None:
    """Write perturbed.png, at the photo's size, and figure.png."""
    save_png(folder / "perturbed.png", result.perturbed)
    panels.save(interrogation_figure(result, saliency), folder / "figure.png")
