"""The demonstration's pictures: a strip for every answer, all strips in one, and the page."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unsee.drawing import panels
from unsee.drawing.report import Section, page
from unsee.experiments.demonstration import Finding

_OUTLINES = ("#12d8a0", "#ff3d7f")


def strip(finding: Finding) -> Figure:
    """One answer: photo with the truth's outline, edited photo, and saliency."""
    figure = Figure()
    _draw(panels.row_of_panels(figure, 3, 1.0), finding)
    return figure


def overview(findings: Sequence[Finding]) -> Figure:
    """All answers, a column each."""
    figure = Figure(figsize=(2.6 * len(findings), 8.6), layout="constrained")
    columns = figure.subplots(3, len(findings), squeeze=False).T
    for column, finding in zip(columns, findings, strict=True):
        _draw(list(column), finding)
    return figure


def demonstration_page(findings: Sequence[Finding], footer: str) -> str:
    """The self-contained page."""
    sections = [
        Section(
            finding.question.heading,
            finding.question.text,
            [strip(finding)],
            f"{finding.question.target}: photo, edited photo and saliency",
            facts(finding),
        )
        for finding in findings
    ]
    lead = (
        "Each mask is the smallest region whose blurring makes the network let go of the class. The drawn "
        "animals come with their outlines, so what was found can be set against the truth: the share of the "
        "saliency that lies on the animal, or on the thing that was planted beside it."
    )
    return page("unsee: what did the network look at?", lead, sections, footer)


def facts(finding: Finding) -> dict[str, str]:
    """The numbers of one answer, in words."""
    scores, area = finding.explanation.scores, finding.area
    return {
        "network": finding.question.network,
        "score": f"{scores.original:.3f} → {scores.perturbed:.3f} (all blurred: {scores.reference:.3f})",
        "mask": f"{finding.explanation.area:.1%} of the picture, {finding.explanation.run.verdict}",
        **{
            f"saliency on the {what}": (
                f"{times:.1f} times chance: {finding.inside[what]:.0%} on {area[what]:.1%} of the picture"
            )
            for what, times in finding.density.items()
        },
    }


def _draw(axes: list[Axes], finding: Finding) -> None:
    explanation, target = finding.explanation, finding.question.target
    pixels = explanation.photo.pixels
    panels.picture(axes[0], pixels, f"{target}: {explanation.scores.original:.3f}")
    for (what, where), color in zip(finding.truth.items(), _OUTLINES, strict=False):
        axes[0].contour(where.to(torch.float32).numpy(), levels=[0.5], colors=color, linewidths=1.5)
        axes[0].plot([], [], color=color, label=what)
    panels.picture(axes[1], explanation.perturbed, f"{target}: {explanation.scores.perturbed:.3f}")
    found = [f"{what} {times:.1f}×" for what, times in finding.density.items()]
    panels.picture(axes[2], panels.overlaid(pixels, explanation.saliency), ", ".join(found))
