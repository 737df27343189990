"""What determines the size of a learned mask's smallest box (§5.3, fig. 8)? One change at a time.

A way is VARIANT, VARIANT:READING or VARIANT:READING:EDIT. The variant says how masks are learned (with @50,
@100 or @200, an earlier iterate of Adam), or names another method (with @LAYER, the layer that it reads).
The reading says which map is computed from a mask and thresholded (with /10 at tenths of its range only,
also for other methods). The edit says what replaces the inside of a box. All ways use the same images, so
differences are paired. Masks and scores are saved in the folder, where a stopped command continues.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

import unsee
from minimality_ways import EDITS, READINGS, VARIANTS, Traced, levelled
from unsee.classifier import Classifier
from unsee.experiments.smallest_box import boxes_of
from unsee.images import read_photo
from unsee.masks.edits.linear_blend import blend
from unsee.masks.edits.perturbation import Blended
from unsee.masks.network_input import NetworkInput
from unsee.masks.optimisers.adam import Adam
from unsee.masks.photos import Plan, learn_photos
from unsee.memory import keep_freed
from unsee.methods import METHODS
from unsee.metrics import mean_of
from unsee.tensors import Box
from unsee.tuning import tuned

Row = dict[str, Any]
T = TypeVar("T")
Scores = dict[str, float]
SHARES = (0.8, 0.9, 0.95, 0.99)
COLUMNS = ("n", "80 % - first", "80 % - gradient", "99 % - gradient", "least", "does", "area", "plateau")
_AT_ONCE = 16
_SAME_SCORE = 1e-6


class Case(NamedTuple):
    """An image, its class, and the predicted class."""

    id: str
    network_input: NetworkInput
    target: int
    predicted: int


def main() -> None:
    """Print the table and write the areas of every image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="KIND:FOLDER, as in `unsee learn`")
    parser.add_argument("--model", default="unsee:googlenet-bvlc")
    parser.add_argument("--weights", type=Path)
    parser.add_argument(
        "--ways", default="paper,gradient", help="separated by commas; the others are compared with the first"
    )
    parser.add_argument(
        "--count", type=int, help="number of images, spread over the data set; defaults to all"
    )
    parser.add_argument("--correct", action="store_true", help="only correctly classified images")
    parser.add_argument("--precision", default="bfloat16", help="of learning and of scoring boxes")
    parser.add_argument("--out", type=Path, default=Path("minimality-out"))
    arguments = parser.parse_args()
    keep_freed()
    arguments.out.mkdir(parents=True, exist_ok=True)
    classifier = unsee.load(arguments.model, arguments.weights)
    cases = cases_of(classifier, arguments.data, arguments.count)
    chosen = [case for case in cases if case.target == case.predicted or not arguments.correct]
    found = {
        way: records(classifier, chosen, way, arguments.out, arguments.precision)
        for way in arguments.ways.split(",")
    }
    (arguments.out / "minimality.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    Console(width=170, emoji=False).print(table(found))


def cases_of(classifier: Classifier, address: str, count: int | None) -> list[Case]:
    """Images of the data set, spread over it."""
    data = unsee.open_dataset(address)
    cases = []
    count = min(count or len(data), len(data))
    for sample in (data[number * len(data) // count] for number in range(count)):
        if sample.label is None:
            raise SystemExit("the data set must have a class for every image")
        photo = read_photo(sample.path if sample.path is not None else sample.image)
        network_input = NetworkInput(
            photo, classifier.size, 4, unsee.Squash(), classifier.color, 0, classifier.dtype
        )
        image = network_input.plain[None]
        predicted = int(classifier.probabilities(image).argmax())
        cases.append(Case(sample.id, network_input, sample.label, predicted))
    return cases


def records(classifier: Classifier, cases: list[Case], way: str, out: Path, precision: str) -> list[Row]:
    """For each image the areas at each share, None if no box suffices, and statistics of the map."""
    variant, reading, edit = [*way.split(":"), *("mask", "blur")[way.count(":") :]]
    reading, _, levels = reading.partition("/")
    method, _, layer = variant.partition("@")
    if method in METHODS and not METHODS[method].learned:
        maps = [map_of(classifier, case, method, layer) for case in cases]
    else:
        grids = masks_of(classifier, cases, variant, out, precision)
        maps = [READINGS[reading](grids[case.id], classifier.size) for case in cases]
    if levels:
        maps = [levelled(saliency, int(levels)) for saliency in maps]
    file = out / f"boxes-{edit}-{precision}.json"
    known: dict[str, Scores] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    quick = tuned(classifier, precision == "bfloat16")
    rows = [
        record(quick, case, saliency, EDITS[edit], known.setdefault(case.id, {}))
        for case, saliency in followed(list(zip(cases, maps, strict=True)), way)
    ]
    file.write_text(json.dumps(known), encoding="utf-8")
    return rows


def followed(steps: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """The steps with a progress bar."""
    return track(steps, total=total, description=what, console=Console(emoji=False))


def map_of(classifier: Classifier, case: Case, method: str, layer: str) -> Tensor:
    """The map of another method."""
    return METHODS[method](classifier, case.network_input.plain[None], [case.target], layer=layer or None)[0]


def masks_of(
    classifier: Classifier, cases: list[Case], variant: str, out: Path, precision: str
) -> dict[str, Tensor]:
    """The 28² mask of each image, read from the folder if it is there."""
    name, _, stop = variant.partition("@")
    file = out / f"masks-{name}-{precision}.pt"
    kept: dict[str, dict[str, Tensor]] = torch.load(file) if file.exists() else {"": {}}
    missing = [case for case in cases if case.id not in kept[""]]
    settings = VARIANTS[name]
    if type(settings.optimiser) is Adam:
        settings = replace(settings, optimiser=Traced(settings.optimiser.rate, settings.optimiser.iterations))
    plan = Plan(settings, name, batch_size=_AT_ONCE, precision=precision)
    asked = ((case.network_input.photo, case.target) for case in missing)
    learning = learn_photos(classifier, asked, plan)
    for case, seen in followed(zip(missing, learning, strict=True), variant, len(missing)):
        kept[""][case.id] = seen.learned.grid
    for count, some in getattr(settings.optimiser, "seen", {}).items():
        rows = zip([case.id for case in missing], torch.cat(some) if some else (), strict=False)
        kept.setdefault(str(count), {}).update(rows)
    torch.save(kept, file)
    return kept[stop]


def record(classifier: Classifier, case: Case, saliency: Tensor, edit: Blended, scores: Scores) -> Row:
    """The smallest boxes of one map; boxes are evaluated from the smallest up, and each only once."""
    boxes = sorted(boxes_of(saliency, classifier.size), key=area)
    whole = (0, 0, classifier.size[1], classifier.size[0])
    if str(whole) not in scores:
        evaluate(classifier, case, edit, [None, whole], scores)
    original, reference = scores["None"], scores[str(whole)]
    span = original - reference
    areas: dict[str, int | None] = dict.fromkeys(map(str, SHARES))
    place = 0
    while span >= _SAME_SCORE and place < len(boxes) and None in areas.values():
        if str(boxes[place]) not in scores:
            evaluate(classifier, case, edit, boxes[place : place + _AT_ONCE], scores)
        gone = (original - scores[str(boxes[place])]) / span
        for share in SHARES:
            if gone >= share and areas[str(share)] is None:
                areas[str(share)] = area(boxes[place])
        place += 1
    low, high = saliency.min(), saliency.max()
    first = (original - scores[str(boxes[0])]) / span if str(boxes[0]) in scores and span > 0 else 0.0
    return {
        "id": case.id,
        "areas": areas,
        "least": area(boxes[0]),
        "least_does": first >= SHARES[0],
        "mean": float(saliency.mean()) if float(high) <= 1 else None,
        "plateau": float(((saliency - low) / (high - low) >= 0.99).float().mean()),
    }


@torch.no_grad()
def evaluate(
    classifier: Classifier, case: Case, edit: Blended, boxes: Sequence[Box | None], scores: Scores
) -> None:
    """The class's probability with each box edited; None stands for the unedited image."""
    missing = [box for box in boxes if str(box) not in scores]
    keep = torch.ones(len(missing), 1, *classifier.size)
    for row, box in zip(keep, missing, strict=True):
        if box is not None:
            row[:, box[1] : box[3], box[0] : box[2]] = 0
    reference = edit.references(case.network_input)[0]
    pictures = blend(
        case.network_input.plain.expand(len(keep), -1, -1, -1), reference.expand(len(keep), -1, -1, -1), keep
    )
    answers = classifier.probabilities(pictures)[:, case.target].float().tolist()
    scores.update(zip(map(str, missing), answers, strict=True))


def area(box: Box) -> int:
    """The area of a box in pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def table(found: dict[str, list[Row]]) -> Table:
    """Mean areas with standard errors, differences to the first way and to the gradient, and the maps.

    `least` is the area of a map's smallest box, `does` the share of images where that box removes 80 % of the
    score already, `plateau` the share of pixels within 1 % of the map's maximum.
    """
    result = Table("way", *(f"{100 * share:g} %" for share in SHARES), *COLUMNS)
    first = next(iter(found.values()))
    for way, rows in found.items():
        means = [shown([row["areas"][str(share)] for row in rows]) for share in SHARES]
        others = [("0.8", first)]
        others += [(share, found.get("gradient", [])) for share in ("0.8", "0.99")]
        gaps = [shown(paired(rows, some, share)) for share, some in others]
        known = [row["mean"] for row in rows if row["mean"] is not None]
        statistics = [sum(row[key] for row in rows) / len(rows) for key in ("least", "least_does", "plateau")]
        count = sum(row["areas"]["0.8"] is not None for row in rows)
        mean = f"{sum(known) / len(known):.3f}" if known else ""
        result.add_row(
            way,
            *means,
            str(count),
            *gaps,
            f"{statistics[0]:.0f}",
            f"{statistics[1]:.2f}",
            mean,
            f"{statistics[2]:.3f}",
        )
    return result


def paired(rows: list[Row], others: list[Row], share: str) -> list[int | None]:
    """Differences in area, image by image, where both have a box."""
    theirs = {row["id"]: row["areas"][share] for row in others}
    pairs = [(row["areas"][share], theirs.get(row["id"])) for row in rows]
    return [own - other for own, other in pairs if own is not None and other is not None]


def shown(values: Sequence[int | None]) -> str:
    """A mean with its standard error."""
    estimate = mean_of([value for value in values if value is not None])
    return f"{estimate.value:.0f} ± {estimate.standard_error:.0f}" if estimate.n else ""


if __name__ == "__main__":
    main()
