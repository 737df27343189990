"""Animal parts (§5.4, fig. 9; supplement, fig. 11 and table 2): are eyes more salient than feet?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unsee.classifier import Classifier
from unsee.datasets.sample import Instance, Keypoint
from unsee.experiments.experiment import Case, Record, Summary, Table, by
from unsee.experiments.looks import MASK, Look, Picture, Stage, of_methods
from unsee.metrics import Estimate, around_keypoints, mean_of, proportion, ratio_of

EYE, FOOT = "eye", "foot"
RATIO = "mask at feet over eyes"
PAPER = {
    "small_mammal": 4.03,
    "dog": 3.70,
    "medium_mammal": 3.49,
    "bird": 3.03,
    "large_mammal": 2.53,
    "amphibian_reptile": 1.96,
}
"""Table 2 of the supplement: the mean over a group's classes of the ratio, for ImageNet's animals."""


@dataclass(frozen=True)
class AnimalParts:
    """The mean saliency in 5 × 5 pixels of the network's input round eyes and feet.

    Args:
        window: pixels along each side.
    """

    window: int = 5
    name: str = "animal-parts"
    title: str = "Animal parts: eyes and feet (§5.4, fig. 9; supplement, fig. 11 and table 2)"
    asks: str = (
        "The mean saliency in 5 × 5 pixels of the network's input round every eye and every foot. A group is "
        "what the data set calls a class of classes, its number the mean over its classes."
    )
    paper_data: tuple[str, ...] = ("keypoints",)
    target: str = "label"
    shows: Picture = Picture.POINTS

    def looks(self, stage: Stage) -> list[Look]:
        """One for each method."""
        return of_methods(stage)

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """For each method the mean saliency at the picture's eyes and at its feet, None where it has none."""
        animals = animals_in(case)
        points = [point for animal in animals for point in animal.keypoints]
        eyes, feet = ([p for p in points if p.kind == kind] for kind in (EYE, FOOT))
        if not eyes and not feet:
            return
        for method in case.maps:
            yield {
                "id": case.sample.id,
                "class": animals[0].name,
                "group": animals[0].group,
                "method": method,
                EYE: self._mean(case, method, eyes),
                FOOT: self._mean(case, method, feet),
            }

    def _mean(self, case: Case, method: str, points: Sequence[Keypoint]) -> float | None:
        if not points:
            return None
        size = case.sample.image.shape[:2]
        places = [(point.x, point.y) for point in points]
        found = around_keypoints(case.at_input(method), places, (size[0], size[1]), self.window)
        return float(found.mean())

    def summary(self, records: Sequence[Record]) -> Summary:
        """Per method: the means, and in how many classes eyes are more salient; of the mask, class by class.

        Table 2's ratio, feet over eyes of a mask whose 1 keeps, is of 1 - saliency: only a mask has it.
        """
        rows = {}
        for method, own in by(records, "method").items():
            rows[method] = {
                "eyes": mean_of([r[EYE] for r in own if r[EYE] is not None]),
                "feet": mean_of([r[FOOT] for r in own if r[FOOT] is not None]),
                "share of classes with eyes above feet": proportion(self._eyes_first(own)),
            }
            if method == MASK:
                rows[method][RATIO] = _ratio(_both(own))
        own = [record for record in records if record["method"] == MASK]
        tables = (Table("saliency round eyes and feet", rows), *_by_class(own), *_by_group(own))
        return Summary(tuple(table for table in tables if table.rows))

    def _eyes_first(self, records: Sequence[Record]) -> list[bool]:
        """For each class with both whether its eyes are the more salient."""
        found = []
        for own in by(records, "class").values():
            eyes = [r[EYE] for r in own if r[EYE] is not None]
            feet = [r[FOOT] for r in own if r[FOOT] is not None]
            if eyes and feet:
                found.append(sum(eyes) / len(eyes) > sum(feet) / len(feet))
        return found


def animals_in(case: Case) -> list[Instance]:
    """The instances with keypoints, of the class that was asked about."""
    return [i for i in case.sample.instances if case.label in (None, i.label) and i.keypoints]


def _by_class(records: Sequence[Record]) -> Iterator[Table]:
    """The mask, 1 keeps, at eyes and at feet of each class, and their ratio."""
    ends, ratios = {}, {}
    for name, own in by(_both(records), "class").items():
        ends[name] = {
            what: mean_of([1 - r[key] for r in own]) for what, key in (("eyes", EYE), ("feet", FOOT))
        }
        ratios[name] = {RATIO: _ratio(own)}
    yield Table("mask, 1 keeps, by class", ends)
    yield Table(f"{RATIO}, by class", ratios)


def _by_group(records: Sequence[Record]) -> Iterator[Table]:
    """The mean ratio of each group's classes, for data sets whose classes are grouped."""
    rows = {}
    for group, own in by(_both(records), "group").items():
        ratios = [_ratio(some).value for some in by(own, "class").values()]
        rows[group] = {RATIO: mean_of(ratios), "classes": Estimate.exactly(len(ratios))}
    known = {name: _underscored(name) for name in rows}
    paper = {name: {RATIO: PAPER[key]} for name, key in known.items() if key in PAPER}
    yield Table(f"{RATIO}, by group of classes", {name: row for name, row in rows.items() if name}, paper)


def _underscored(name: str) -> str:
    return name.lower().replace(" ", "_")


def _both(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record[EYE] is not None and record[FOOT] is not None]


def _ratio(records: Sequence[Record]) -> Estimate:
    return ratio_of([1 - r[FOOT] for r in records], [1 - r[EYE] for r in records])
