"""Do masks on patch tokens agree with masks on the blurred picture? Area, suppression, overlap, correlation.

A vision transformer explains the same photos with tokens that are dropped and with pixels that are blurred.
Photos come from UNSEE_ASSETS. Explanations are saved in the folder, where a stopped command continues.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

import unsee
from common import network, sources
from unsee.drawing import panels
from unsee.explanation import Explanation
from unsee.images import PhotoLike
from unsee.masks import adjusted
from unsee.masks.objective import Objective
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.settings import Settings

_AT_ONCE = 8
_SHARE = 0.2
"""The share of the photo that masks are cut at to compare where they lie."""
_SIDE = 14


def main() -> None:
    """Print the table, and write it as JSON, with the masks side by side as an image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="vit_tiny_patch16_224")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--tv", default="", help="other weights λ2 of tokens, with commas")
    parser.add_argument("--out", type=Path, default=Path("tokens-out"))
    arguments = parser.parse_args()
    classifier, photos = network(arguments.network), sources(arguments.count)
    ways = {"blur": unsee.PRESETS["fast"], "tokens": unsee.PRESETS["tokens"]}
    for weight in map(float, filter(None, arguments.tv.split(","))):
        objective = Objective(penalties=(L1(1e-4), TotalVariation(weight)))
        ways[f"tokens, λ2 = {weight:g}"] = replace(unsee.PRESETS["tokens"], objective=objective)
    ways["mean colour"] = adjusted(unsee.PRESETS["fast"], perturbation="constant")
    found = {
        way: explained(classifier, photos, settings, arguments.out / way) for way, settings in ways.items()
    }
    rows = {way: summary(some, found["blur"]) for way, some in found.items()}
    names = list(next(iter(rows.values())))
    table = Table(classifier.name, *names, title=f"{len(photos)} photos")
    for way, row in rows.items():
        table.add_row(way, *("–" if row[name] is None else f"{row[name]:.3f}" for name in names))
    Console(width=160).print(table)
    (arguments.out / "tokens.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    draw(list(found.values()), arguments.out / "pairs.png")


def explained(
    classifier: unsee.Classifier, photos: list[PhotoLike], settings: Settings, place: Path
) -> list[Explanation]:
    """One explanation for each photo, read from the folder if it is there."""
    missing = [number for number in range(len(photos)) if not (place / f"{number:04}").exists()]
    for first in range(0, len(missing), _AT_ONCE):
        some = missing[first : first + _AT_ONCE]
        answers = unsee.explain(
            classifier, [photos[number] for number in some], preset=settings, batch_size=_AT_ONCE
        )
        assert isinstance(answers, list)
        for number, answer in zip(some, answers, strict=True):
            answer.save(place / f"{number:04}", overwrite=True)
    return [Explanation.load(place / f"{number:04}", source) for number, source in enumerate(photos)]


def summary(some: list[Explanation], others: list[Explanation]) -> dict[str, float | None]:
    """Means over the photos; agreement with others by overlap at equal area and by correlation."""
    pairs = [(coarse(one.saliency), coarse(other.saliency)) for one, other in zip(some, others, strict=True)]
    tokens = [one.run.token_check for one in some if one.run.token_check]
    apart = [abs(row["dropped_score"] - row["binarised_score"]) for row in tokens]
    removed = [
        (one.scores.original - row["dropped_score"]) / one.scores.original
        for one, row in zip(some, tokens, strict=False)
    ]
    return {
        "area": mean([one.area for one in some]),
        "suppression": mean([one.suppression for one in some]),
        "p / p₀": mean([one.scores.perturbed / one.scores.original for one in some]),
        "evaluations": mean([float(one.run.evaluations) for one in some]),
        "converged": mean([float(one.converged) for one in some]),
        "IoU with blur": mean([overlap(*pair) for pair in pairs]),
        "correlation": mean([float(torch.corrcoef(torch.stack(pair).flatten(1))[0, 1]) for pair in pairs]),
        "deleted": mean([row["deleted"] / row["tokens"] for row in tokens]) if tokens else None,
        "removed by dropping": mean(removed) if tokens else None,
        "|dropped - binarised|": max(apart) if tokens else None,
    }


def coarse(saliency: Tensor) -> Tensor:
    """The saliency's mean over each of 14 × 14 places."""
    return F.adaptive_avg_pool2d(saliency[None], _SIDE)[0]


def overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union of the fifth of the places where each is highest."""
    count = round(_SHARE * one.numel())
    first, second = ({*each.flatten().topk(count).indices.tolist()} for each in (one, other))
    return len(first & second) / len(first | second)


def mean(values: list[float]) -> float:
    """The mean."""
    return sum(values) / len(values)


def draw(ways: list[list[Explanation]], path: Path) -> None:
    """For each photo, the overlay of each way's saliency beside the photo; two photos in a row."""
    strips = []
    for number, first in enumerate(ways[0]):
        photo = panels.shrunk(first.photo.pixels)
        maps = [F.interpolate(way[number].saliency[None, None], photo.shape[-2:])[0, 0] for way in ways]
        strip = torch.cat([photo, *(panels.overlaid(photo, each) for each in maps)], dim=2)
        width = 160 * (len(ways) + 1)
        strips.append(F.interpolate(strip[None], (120, width), mode="bilinear", antialias=True)[0])
    rows = [torch.cat(strips[place : place + 2], dim=2) for place in range(0, len(strips) - 1, 2)]
    panels.save_view(path, torch.cat(rows, dim=1))


if __name__ == "__main__":
    main()
