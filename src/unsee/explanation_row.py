"""Explanations of one photo in a row, such as those of several areas."""

from collections.abc import Sequence
from pathlib import Path

from unsee.explanation import Explanation
from unsee.pixels import Bands, checked_bands

ROW = "areas.png"


def save_row(explanations: Sequence[Explanation], file: Path, bands: Bands | None = None) -> None:
    """Write a PNG with the photo and what each explanation makes of it; where no pixels are edited, its mask.

    Args:
        explanations: of one photo and target, at least one.
        file: where the PNG is written.
        bands: the channels that are drawn as red, green and blue; see `Explanation.show`.
    """
    from unsee.drawing import panels, side_by_side  # noqa: PLC0415

    first = explanations[0]
    contents = [(first.photo.pixels, f"{first.target.short}: {first.scores.original:.4f}")]
    for one in explanations:
        edited = one.mask if one.perturbed is None else one.perturbed
        asked = "" if one.run.asked_area is None else f" of {one.run.asked_area:.3g}"
        contents.append((edited, f"area {one.area:.3f}{asked}\n{one.scores.perturbed:.4f}"))
    panels.save(
        side_by_side.side_by_side(contents, bands=checked_bands(bands, len(first.photo.pixels))), file
    )
