"""Weak localisation (§5.6, table 1): how often the box round the salient part misses the object."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from unsee.classifier import Classifier
from unsee.experiments.experiment import Case, Line, Plot, Record, Summary, Table, by
from unsee.metrics import ENERGY_ALPHAS, MEAN_ALPHAS, VALUE_ALPHAS, Estimate, boxes_at, localised, proportion

RULES: Mapping[str, tuple[float, ...]] = {
    "value": VALUE_ALPHAS,
    "energy": ENERGY_ALPHAS,
    "mean": MEAN_ALPHAS,
}
"""The three ways to cut a map, with the thresholds that are tried."""

PICTURES = "submission-pictures.txt"
"""The file that says which picture each line of a submission is of."""

PAPER = {
    "gradient": (46.04, 43.91, 41.66),
    "guided_backprop": (50.19, 46.97, 41.99),
    "excitation_backprop": (46.09, 38.71, 38.98),
    "grad_cam": (53.03, 53.88, 53.31),
    "occlusion": (51.15, 49.39, 48.58),
    "mask": (48.4, 46.1, 46.0),
    "mask_top5": (44.02, 43.15, 43.24),
}
"""Table 1, errors in %: BVLC GoogLeNet, 48,238 validation pictures of ImageNet. Printed is the mask of the
best five classes; that of the default preset stands in the supplement, table 1."""


@dataclass(frozen=True)
class Localisation:
    """The error of each rule, at the threshold that does best on other pictures.

    Args:
        folds: into so many parts are the pictures dealt out; of each the threshold is chosen on the others.
    """

    folds: int = 5
    name: str = "localisation"
    title: str = "Weak localisation (§5.6, table 1)"
    asks: str = (
        "Each map is cut by three rules, the tight box round what is left is set against the object's boxes, "
        "and misses below an IoU of a half are counted. The threshold of each fifth of the pictures is "
        "chosen on the other four; the one that is shown is that of all."
    )
    paper_data: tuple[str, ...] = ("imagenet",)
    needs: str = "pictures of one class with boxes: imagenet:, voc:, coco: or the menagerie"
    target: str = "label"

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """For each method and rule the box at each threshold, and whether it finds an object of the class."""
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
        lines: dict[str, dict[str, Line]] = {rule: {} for rule in RULES}
        files = {}
        for method, own in by(records, "method").items():
            for rule, some in by(own, "rule").items():
                alphas, chosen = RULES[rule], self._chosen(some, fold)
                missed = [not record["found"][k] for record, k in zip(some, chosen, strict=True)]
                rows.setdefault(method, {})[rule] = proportion(missed if len(order) > 1 else [], 100)
                best = Estimate.exactly(alphas[_best([record["found"] for record in some])])
                rows[method][f"α of {rule}"] = best
                columns = zip(*(record["found"] for record in some), strict=True)
                errors = tuple(proportion([not hit for hit in column], 100) for column in columns)
                lines[rule][method] = Line(alphas, errors)
                files[f"submission-{method}-{rule}.txt"] = _submission(some, chosen)
        files[PICTURES] = "".join(f"{id}\n" for id in order)
        paper = {m: dict(zip(RULES, PAPER[m], strict=True)) for m in rows if m in PAPER}
        table = Table("localisation error, %", rows, paper, "low")
        plots = tuple(Plot(f"threshold by {rule}", "α", "error, %", lines[rule]) for rule in RULES)
        return Summary((table,), plots, files=files)

    def _chosen(self, records: Sequence[Record], fold: Mapping[str, int]) -> list[int]:
        """For each picture the threshold that does best on other folds, or on all if there are none."""
        best = {}
        for own in set(fold.values()):
            others = [record["found"] for record in records if fold[record["id"]] != own]
            best[own] = _best(others or [record["found"] for record in records])
        return [best[fold[record["id"]]] for record in records]


def _submission(records: Sequence[Record], chosen: Sequence[int]) -> str:
    """A line for each picture as ILSVRC has it: class, and the box with both ends in it, from 0."""
    lines = []
    for record, place in zip(records, chosen, strict=True):
        left, top, right, bottom = (round(end) for end in record["boxes"][place])
        lines.append(f"{record['class']} {left} {top} {right - 1} {bottom - 1}\n")
    return "".join(lines)


def _best(tried: Sequence[Sequence[bool]]) -> int:
    """The threshold at which most pictures were found, the first of several."""
    found = [sum(column) for column in zip(*tried, strict=True)]
    return found.index(max(found))
