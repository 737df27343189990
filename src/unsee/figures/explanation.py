"""One explanation: photo and score, edited photo and score, and the mask between them (fig. 1)."""

from pathlib import Path

from matplotlib.figure import Figure

from unsee.drawing import panels
from unsee.drawing.report import embedded, facts_table
from unsee.explanation import Explanation
from unsee.images import save_png


def explanation_figure(explanation: Explanation, figure: Figure | None = None) -> Figure:
    """The figure of one explanation, drawn on a figure that is given or on a new one."""
    height, width = explanation.mask.shape
    figure = Figure() if figure is None else figure
    axes = panels.row_of_panels(figure, 3, height / width)
    scores, name = explanation.scores, explanation.target.short
    panels.picture(axes[0], explanation.photo.pixels, f"{name}: {scores.original:.4f}")
    panels.picture(axes[1], explanation.perturbed, f"{name}: {scores.perturbed:.4f}")
    state = "" if explanation.converged else ", did not converge"
    marks = "kept" if explanation.run.game == "preservation" else "deleted"
    panels.grey_map(axes[2], explanation.mask, f"learned mask, {explanation.area:.0%} {marks}{state}")
    return figure


def draw_explanation(explanation: Explanation, folder: Path) -> None:
    """Write mask.png, heatmap.png, overlay.png and perturbed.png, at the photo's size, and figure.png."""
    saliency = explanation.saliency
    save_png(folder / "mask.png", explanation.mask)
    save_png(folder / "heatmap.png", panels.colored(saliency))
    save_png(folder / "overlay.png", panels.overlaid(explanation.photo.pixels, saliency))
    save_png(folder / "perturbed.png", explanation.perturbed)
    panels.save(explanation_figure(explanation), folder / "figure.png")


def show_explanation(explanation: Explanation) -> None:
    """Show the figure in a window, or in the notebook."""
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure = plt.figure()
    explanation_figure(explanation, figure)
    plt.show()
    plt.close(figure)


def explanation_html(explanation: Explanation) -> str:
    """A figure and the numbers beside it, for a notebook."""
    scores, run = explanation.scores, explanation.run
    facts = {
        "target": str(explanation.target),
        "score": f"{scores.original:.4f} → {scores.perturbed:.4f} (fully perturbed {scores.reference:.4f})",
        "suppression": f"{explanation.suppression:.1%}",
        "area": f"{explanation.area:.1%}",
        "objective": f"{explanation.objective:.4f}",
        "run": f"{run.preset}, {run.iterations} iterations, {run.verdict}",
        "model": explanation.provenance.model,
    }
    alt = f"{explanation.photo.name}, edited photo and mask for {explanation.target}"
    return f"<div>{embedded(explanation_figure(explanation), alt)}{facts_table(facts)}</div>"
