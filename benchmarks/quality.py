"""Are the masks of `fast` as good as those of `paper`? Objective, suppression, area, overlap, and pairs.

Each way explains all images with one network and is compared with the first way. Explanations are saved in
the folder, where a stopped command continues. Photos come from UNSEE_ASSETS; `--network menagerie`
draws scenes.
"""

import argparse
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

import unsee
from common import network, objectives, scenes, sources
from unsee.drawing import panels
from unsee.explanation import Explanation
from unsee.images import PhotoLike

_AT_ONCE = 16


def main() -> None:
    """Print the table and write it as JSON, with twenty pairs of masks as an image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--network", default="squeezenet1_1", help="squeezenet1_1, googlenet_bvlc, efficientnet_lite0 …"
    )
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument(
        "--ways", default="paper,fast", help="each PRESET, PRESET/PRECISION or PRESET/PRECISION/BATCH"
    )
    parser.add_argument("--out", type=Path, default=Path("quality-out"))
    arguments = parser.parse_args()
    classifier = network(arguments.network)
    asked: list[tuple[PhotoLike, str | None]] = (
        list(scenes(arguments.count))
        if arguments.network == "menagerie"
        else [(source, None) for source in sources(arguments.count)]
    )
    place = arguments.out / arguments.network
    found = {way: explained(classifier, asked, way, place) for way in arguments.ways.split(",")}
    first = next(iter(found.values()))
    rows = {way: summary(classifier, some, first) for way, some in found.items()}
    Console(width=140).print(table(arguments.network, rows))
    (place / "quality.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if len(found) > 1:
        pairs(list(found.values()), place / "pairs.png")


def explained(
    classifier: unsee.Classifier, asked: list[tuple[PhotoLike, str | None]], way: str, place: Path
) -> list[Explanation]:
    """One explanation for each image, read from the folder if it is there."""
    preset, precision, batch = [*way.split("/"), *("auto", str(_AT_ONCE))[way.count("/") :]]
    folder = place / f"{preset}-{precision}-{batch}"
    missing = [number for number in range(len(asked)) if not (folder / f"{number:04}").exists()]
    chunks = range(0, len(missing), 4 * _AT_ONCE)
    for first in track(chunks, description=f"{classifier.name}, {way}", disable=not missing):
        some = missing[first : first + 4 * _AT_ONCE]
        answers = unsee.explain(
            classifier,
            [asked[number][0] for number in some],
            [asked[number][1] for number in some],
            preset=preset,
            precision=precision,
            batch_size=int(batch),
        )
        assert isinstance(answers, list)
        for number, answer in zip(some, answers, strict=True):
            answer.save(folder / f"{number:04}", overwrite=True)
    return [Explanation.load(folder / f"{number:04}", source) for number, (source, _) in enumerate(asked)]


def summary(
    classifier: unsee.Classifier, some: list[Explanation], others: list[Explanation]
) -> dict[str, float]:
    """Means over the images, and comparisons with other masks of the same images."""
    own, theirs = objectives(classifier, some), objectives(classifier, others)
    suppression = torch.tensor([e.suppression for e in some])
    known = suppression.isfinite()
    return {
        "pictures": len(some),
        "objective": float(own.mean()),
        "objective_no_higher": float((own <= theirs).float().mean()),
        "worst_difference": float((own - theirs).max()),
        "suppression": float(suppression[known].mean()),
        "suppression_95": float((suppression[known] >= 0.95).float().mean()),
        "area": sum(e.area for e in some) / len(some),
        "iou": float(torch.stack([overlap(a, b) for a, b in zip(some, others, strict=True)]).mean()),
        "evaluations": sum(e.run.evaluations for e in some) / len(some),
        "most_evaluations": max(e.run.evaluations for e in some),
        "converged": sum(e.converged for e in some) / len(some),
        "seconds": sum(e.run.seconds for e in some) / len(some),
    }


def overlap(one: Explanation, other: Explanation) -> Tensor:
    """Intersection over union of the cells that are deleted by more than half."""
    first, second = one.mask_grid < 0.5, other.mask_grid < 0.5
    union = (first | second).sum()
    return (first & second).sum() / union if union else torch.tensor(1.0)


def table(name: str, rows: dict[str, dict[str, float]]) -> Table:
    """The summaries side by side."""
    result = Table(name, *rows)
    for key in next(iter(rows.values())):
        result.add_row(key.replace("_", " "), *(f"{row[key]:.4g}" for row in rows.values()))
    return result


def pairs(found: list[list[Explanation]], file: Path, count: int = 20) -> None:
    """Draw images with the saliency of the first two ways, one below the other."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    count = min(count, len(found[0]))
    figure = Figure(figsize=(3 * 5, 2.2 * -(-count // 5) * 2), layout="constrained")
    axes = figure.subplots(-(-count // 5) * 2, 5, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for place in range(count):
        for which, some in enumerate(found[:2]):
            answer = some[place]
            axis = axes[2 * (place // 5) + which, place % 5]
            axis.imshow(answer.photo.pixels.permute(1, 2, 0).numpy())
            axis.imshow(answer.saliency.numpy(), cmap="inferno", alpha=0.55, vmin=0, vmax=1)
            axis.set_title(f"{answer.run.preset}: {answer.target.short}, {answer.objective:.3f}", fontsize=7)
    panels.save(figure, file)


if __name__ == "__main__":
    main()
