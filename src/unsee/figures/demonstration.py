"""The demonstration's figures, page and folder."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unsee.drawing import panels
from unsee.drawing.report import Section, page
from unsee.errors import UnseeError
from unsee.experiments.demonstration import DemoScene, SceneResult
from unsee.files import HOW_TO_REPLACE, folder_for, write_whole
from unsee.masks.explain import versions

PAGE = "index.html"
_OUTLINES = ("#12d8a0", "#ff3d7f")


def save_demonstration(
    findings: Sequence[SceneResult], out: str | PathLike[str] = "demo-out", *, force: bool = False
) -> Path:
    """Write a folder for each explanation, demo.png, photos.png for photographs, and, last, the page.

    Returns:
        The page.

    Raises:
        UnseeError: the folder holds a demonstration and `force` is False, or it cannot be written to.
    """
    page_file = refuse_taken(out, force)
    folder = page_file.parent
    for number, finding in enumerate(findings, start=1):
        finding.explanation.save(folder / f"{number}-{finding.scene.short}", overwrite=True)
    footer = ", ".join(f"{name} {number}" for name, number in versions().items())
    try:
        for name, some in zip(("demo.png", "photos.png"), parts(findings), strict=True):
            if some:
                panels.save(overview(some), folder / name)
        write_whole(page_file, demonstration_page(findings, footer).encode())
    except OSError as error:
        raise UnseeError(f"{folder} cannot be written to ({error.strerror or error})") from error
    return page_file


def refuse_taken(out: str | PathLike[str], force: bool) -> Path:
    """The page, if a demonstration may be saved to this folder: call it before the work rather than after.

    Raises:
        UnseeError: the folder holds a demonstration and `force` is False, or it is a file.
    """
    file = folder_for(out) / PAGE
    if file.exists() and not force:
        raise UnseeError(f"{file} exists: {HOW_TO_REPLACE}")
    return file


def parts(findings: Sequence[SceneResult]) -> tuple[list[SceneResult], list[SceneResult]]:
    """The drawn scenes, and the photographs."""
    drawn = [finding for finding in findings if isinstance(finding.scene, DemoScene)]
    return drawn, [finding for finding in findings if finding not in drawn]


def strip(finding: SceneResult) -> Figure:
    """One finding: image with the true outlines, edited image, and saliency."""
    figure = Figure()
    _draw(panels.row_of_panels(figure, 3, _aspect(finding)), finding)
    return figure


def overview(findings: Sequence[SceneResult]) -> Figure:
    """All findings, a column each."""
    width = 2.6 * len(findings)
    height = 3 * (2.6 * max(map(_aspect, findings)) + 0.27)
    figure = Figure(figsize=(width, height), layout="constrained")
    columns = figure.subplots(3, len(findings), squeeze=False).T
    for column, finding in zip(columns, findings, strict=True):
        _draw(list(column), finding)
    return figure


def demonstration_page(findings: Sequence[SceneResult], footer: str) -> str:
    """The self-contained page."""
    sections = [
        Section(
            finding.scene.heading,
            finding.scene.text,
            [strip(finding)],
            f"{finding.scene.target}: image, edited image and saliency",
            facts(finding),
        )
        for finding in findings
    ]
    lead = (
        "Each mask is the smallest region whose blurring takes the score of the class away. The drawn "
        "animals come with their outlines, so the saliency can be compared with the truth: the share of the "
        "saliency that lies on the animal, or on the thing that was planted next to it. Photographs come "
        "without outlines: there the edited image and its score are the check."
    )
    return page("unsee: which part of the image did the network rely on?", lead, sections, footer)


def facts(finding: SceneResult) -> dict[str, str]:
    """The numbers of one finding, in words."""
    scores, area = finding.explanation.scores, finding.area
    return {
        "network": finding.scene.network,
        "score": f"{scores.original:.3f} → {scores.perturbed:.3f} (all blurred: {scores.reference:.3f})",
        "mask": f"{finding.explanation.area:.1%} of the image, {finding.explanation.run.verdict}",
        **{
            f"saliency on the {what}": (
                f"{times:.1f} times chance: {finding.inside[what]:.0%} on {area[what]:.1%} of the image"
            )
            for what, times in finding.density.items()
        },
    }


def _aspect(finding: SceneResult) -> float:
    """The image's height divided by its width."""
    height, width = finding.explanation.photo.pixels.shape[-2:]
    return float(height / width)


def _draw(axes: list[Axes], finding: SceneResult) -> None:
    explanation, target = finding.explanation, finding.scene.target
    pixels = explanation.photo.pixels
    panels.image(axes[0], pixels, f"{target}: {explanation.scores.original:.3f}")
    for (what, where), color in zip(finding.truth.items(), _OUTLINES, strict=False):
        axes[0].contour(where.to(torch.float32).numpy(), levels=[0.5], colors=color, linewidths=1.5)
        axes[0].plot([], [], color=color, label=what)
    assert explanation.perturbed is not None
    panels.image(axes[1], explanation.perturbed, f"{target}: {explanation.scores.perturbed:.3f}")
    found = [f"{what} {times:.1f}×" for what, times in finding.density.items()]
    panels.image(axes[2], panels.overlaid(pixels, explanation.saliency), ", ".join(found) or "saliency")
