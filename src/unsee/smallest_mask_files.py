"""The files of the smallest mask that suffices: the path as a table and a picture, and further masks."""

import csv
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from unsee.drawing import panels, path_chart, side_by_side
from unsee.pixels import Bands
from unsee.smallest_mask import PathPoint, Sufficiency
from unsee.verdicts import NOT_REACHED

PATH_TABLE, PATH_PICTURE, OTHERS_PICTURE = "path.csv", "path.png", "another.png"
_COLUMNS = (
    "lambda1",
    "amplified",
    "area",
    "score",
    "share",
    "unseen_score",
    "unseen_share",
    "evaluations",
    "reaches",
)


def write_path(
    folder: Path, found: Sufficiency, learned_with: str, deletes: bool, target: str, bands: Bands | None
) -> None:
    """Write path.csv and path.png.

    Args:
        folder: must exist.
        found: with the saliency of its masks and the image under them.
        learned_with: name of the perturbation that results are shown with.
        deletes: whether the game is deletion.
        target: the classes that were explained.
        bands: the channels that are drawn as red, green and blue.
    """
    share = "suppression" if deletes else "kept"
    names = {"share": share, "unseen_share": f"unseen_{share}"}
    with (folder / PATH_TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([names.get(name, name) for name in _COLUMNS])
        table.writerows([_cell(point.row()[name]) for name in _COLUMNS] for point in found.path)
    if found.view is None:
        return
    masks = [
        path_chart.PathMask(
            area=point.area,
            share=point.share,
            unseen=point.unseen_share,
            saliency=point.saliency,
            title=_title(point),
            stage=point.lambda1,
            chosen=point is found.chosen,
        )
        for point in found.path
        if point.saliency is not None
    ]
    done = "suppressed" if deletes else "kept"
    state = "" if found.reached else f" ({NOT_REACHED})"
    words = path_chart.PathWords(
        title=f"{target}: share of the score that is {done}{state}",
        seen=f"{learned_with} (learned with)",
        unseen=f"{found.unseen} (unseen)",
        share=f"share of the score {done}",
    )
    path_chart.draw_path(found.view, masks, found.asked.share, words, folder / PATH_PICTURE, bands)


def write_others(
    folder: Path,
    photo: Float[Tensor, "n h w"],
    masks: Sequence[tuple[Float[Tensor, "h w"], str]],
    bands: Bands | None,
) -> None:
    """Write another.png: every mask over the photo, side by side.

    Args:
        folder: must exist.
        photo: in [0,1].
        masks: saliency of the photo's size in [0,1], and what it does; the smallest first.
        bands: the channels that are drawn as red, green and blue.
    """
    names = ("the smallest", *(f"another {number}" for number in range(1, len(masks))))
    contents = [
        (panels.overlaid(photo, saliency, bands), f"{name}: {does}")
        for name, (saliency, does) in zip(names, masks, strict=True)
    ]
    row = [(panels.viewed(photo, bands), "photo"), *contents]
    panels.save(side_by_side.side_by_side(row), folder / OTHERS_PICTURE)


def _title(point: PathPoint) -> str:
    """What is written over a mask of the path."""
    numbers = f"area {point.area:.1%}, λ1 {point.lambda1:.2g}, ×{point.amplified:.2g}"
    return f"{numbers}\n{point.share:.0%}, unseen {point.unseen_share:.0%}"


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.6g}" if isinstance(value, float) else value
