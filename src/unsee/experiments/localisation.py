"""Weak localisation (§5.6, table 1): how often the box around the salient part misses the object."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from unsee.classifier import Classifier
from unsee.experiments.experiment import About, Case, Line, Plot, Record, Summary, Table, by
from unsee.experiments.maps import MASK, MASK_TOP5, MapSource, Setup, of_methods
from unsee.metrics import (
    ENERGY_ALPHAS,
    MEAN_ALPHAS,
    VALUE_ALPHAS,
    Estimate,
    boxes_at,
    localised,
    mean_of,
    proportion,
)

RULES: Mapping[str, tuple[float, ...]] = {
    "value": VALUE_ALPHAS,
    "energy": ENERGY_ALPHAS,
    "mean": MEAN_ALPHAS,
}
"""The three rules that threshold a map, with the thresholds that are tried."""

IMAGES_FILE = "submission-pictures.txt"
"""The file that names the image of each line of a submission."""

PAPER = {
    "gradient": (46.04, 43.91, 41.66),
    "guided_backprop": (50.19, 46.97, 41.99),
    "excitation_backprop": (46.09, 38.71, 38.98),
    "grad_cam": (53.03, 53.88, 53.31),
    "occlusion": (51.15, 49.39, 48.58),
    "mask": (48.4, 46.1, 46.0),
    "mask_top5": (44.02, 43.15, 43.24),
}
"""Table 1, errors in %: BVLC GoogLeNet, 48,238 validation images of ImageNet. The table has the mask of the
best five classes; the supplement's table 1 has that of the default preset."""


@dataclass(frozen=True)
class Localisation:
    """The error of each rule, at the threshold that is best on other images.

    Args:
        folds: number of folds of the images; the threshold of each is chosen on the others.
    """

    folds: int = 5
    about: ClassVar[About] = About(
        name="localisation",
        title="Weak localisation (§5.6, table 1)",
        asks=(
            "Each map is thresholded by three rules, and the tight box around the rest is compared with the "
            "object's boxes: an IoU below 0.5 counts as an error. The threshold for each fifth of the images "
            "is chosen on the other four; the α shown is the one chosen on all."
        ),
        needs="images of one class with boxes: imagenet:, voc:, coco: or the menagerie",
        target="label",
        paper_data=("imagenet",),
        methods_added=(MASK_TOP5,),
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each method."""
        return of_methods(setup)

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """For each method and rule, the box at each threshold and whether it finds an object of the class."""
        if case.label is None or not case.sample.boxes(case.label):
            return
        truths = torch.tensor(case.sample.boxes(case.label), dtype=torch.float64)
        size = case.sample.image.shape[:2]
        for method, saliency in case.maps.items():
            for rule, alphas in RULES.items():
                boxes = boxes_at(saliency, (size[0], size[1]), rule, alphas)
                yield {
                    "id": case.sample.id,
                    "method": method,
                    "rule": rule,
                    "class": case.target[0],
                    "boxes": boxes.tolist(),
                    "found": localised(boxes.double(), truths).tolist(),
                }

    def summary(self, records: Sequence[Record]) -> Summary:
        """Errors in %, with the chosen α, and the error over α."""
        order = list(dict.fromkeys(record["id"] for record in records))
        fold = {id: place % self.folds for place, id in enumerate(order)}
        rows: dict[str, dict[str, Estimate]] = {}
        misses: dict[str, dict[str, list[bool]]] = {}
        lines: dict[str, dict[str, Line]] = {rule: {} for rule in RULES}
        files = {}
        for method, own in by(records, "method").items():
            for rule, some in by(own, "rule").items():
                alphas, chosen = RULES[rule], self._chosen(some, fold)
                pairs = zip(some, chosen, strict=True) if len(order) > 1 else ()
                missed = [not record["found"][k] for record, k in pairs]
                misses.setdefault(method, {})[rule] = missed
                rows.setdefault(method, {})[rule] = proportion(missed, 100)
                best = Estimate.exactly(alphas[_best([record["found"] for record in some])])
                rows[method][f"α of {rule}"] = best
                columns = zip(*(record["found"] for record in some), strict=True)
                errors = tuple(proportion([not hit for hit in column], 100) for column in columns)
                lines[rule][method] = Line(alphas, errors)
                files[f"submission-{method}-{rule}.txt"] = _submission(some, chosen)
        files[IMAGES_FILE] = "".join(f"{id}\n" for id in order)
        paper = {m: dict(zip(RULES, PAPER[m], strict=True)) for m in rows if m in PAPER}
        table = Table("localisation error, %", rows, paper, "low")
        plots = tuple(Plot(f"threshold by {rule}", "α", "error, %", lines[rule]) for rule in RULES)
        against = _against_mask(misses)
        return Summary((table, against) if against.rows else (table,), plots, files=files)

    def _chosen(self, records: Sequence[Record], fold: Mapping[str, int]) -> list[int]:
        """For each image the threshold that is best on the other folds, or on all if there are no others."""
        best = {}
        for own in set(fold.values()):
            others = [record["found"] for record in records if fold[record["id"]] != own]
            best[own] = _best(others or [record["found"] for record in records])
        return [best[fold[record["id"]]] for record in records]


def _against_mask(misses: Mapping[str, Mapping[str, Sequence[bool]]]) -> Table:
    """How many more images in 100 other methods miss than the mask, image by image."""
    others = {method: own for method, own in misses.items() if MASK in misses and method != MASK}
    rows = {
        method: {
            rule: mean_of([100.0 * (a - b) for a, b in zip(missed, misses[MASK][rule], strict=True)])
            for rule, missed in own.items()
        }
        for method, own in others.items()
    }
    return Table("error more than the mask's, image by image, in points", rows)


def _submission(records: Sequence[Record], chosen: Sequence[int]) -> str:
    """A line for each image in ILSVRC's format: the class, and the box with inclusive ends, from 0."""
    lines = []
    for record, place in zip(records, chosen, strict=True):
        left, top, right, bottom = (round(end) for end in record["boxes"][place])
        lines.append(f"{record['class']} {left} {top} {right - 1} {bottom - 1}\n")
    return "".join(lines)


def _best(tried: Sequence[Sequence[bool]]) -> int:
    """The threshold at which most images are localised, the first of several."""
    found = [sum(column) for column in zip(*tried, strict=True)]
    return found.index(max(found))
