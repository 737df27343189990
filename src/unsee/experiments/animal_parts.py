"""Animal parts (§5.4, fig. 9; supplement, fig. 11 and table 2): are eyes more salient than feet?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unsee.classifier import Classifier
from unsee.datasets.sample import Instance, Keypoint
from unsee.experiments.experiment import Case, Record, Summary, Table, by
from unsee.experiments.maps import MASK, MapSource, Picture, Setup, heat_of, of_methods
from unsee.metrics import Estimate, around_keypoints, mean_of, proportion, ratio_of

EYE, FOOT = "eye", "foot"
RATIO = "mask at feet over eyes"
_FIRST = "share of classes with eyes above feet"
_ENDS = (("eyes", EYE), ("feet", FOOT))
PAPER = {
    "small_mammal": 4.03,
    "dog": 3.70,
    "medium_mammal": 3.49,
    "bird": 3.03,
    "large_mammal": 2.53,
    "amphibian_reptile": 1.96,
}
"""Table 2 of the supplement: the mean over a group's classes of the ratio, for ImageNet's animals; eyes are
more salient in all of 76 classes (§5.4)."""


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
        "The mean saliency in 5 × 5 pixels of the network's input round every eye and every foot, in "
        "pictures that have both; masks as they are, other maps stretched to [0,1]. A group is what the data "
        "set calls a class of classes, its number the mean over its classes."
    )
    paper_data: tuple[str, ...] = ("keypoints",)
    needs: str = "pictures with an eye and a foot: a keypoints: data set, or the menagerie"
    target: str = "label"
    shows: Picture = Picture.POINTS

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each method."""
        return of_methods(setup)

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """For each method the mean saliency at the picture's eyes and at its feet, if it has both."""
        animals = animals_in(case)
        points = [point for animal in animals for point in animal.keypoints]
        eyes, feet = ([p for p in points if p.kind == kind] for kind in (EYE, FOOT))
        if not eyes or not feet:
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

    def _mean(self, case: Case, method: str, points: Sequence[Keypoint]) -> float:
        size = case.sample.image.shape[:2]
        places = [(point.x, point.y) for point in points]
        heat = heat_of(method, case.at_input(method))
        return float(around_keypoints(heat, places, (size[0], size[1]), self.window).mean())

    def summary(self, records: Sequence[Record]) -> Summary:
        """Per method: the means, and in how many classes eyes are more salient; of the mask, class by class.

        Table 2's ratio, feet over eyes of a mask whose 1 keeps, is of 1 - saliency: only a mask has it.
        """
        ends, classes = {}, {}
        for method, own in by(records, "method").items():
            ends[method] = {name: mean_of([r[key] for r in own]) for name, key in _ENDS}
            classes[method] = {_FIRST: proportion(self._eyes_first(own))}
            if method == MASK:
                classes[method][RATIO] = _ratio(own)
        own = [record for record in records if record["method"] == MASK]
        tables = (
            Table("saliency round eyes and feet, each map in [0,1]", ends),
            Table("eyes against feet", classes, {MASK: {_FIRST: 1.0}} if MASK in classes else {}),
            *_by_class(own),
            *_by_group(own),
        )
        return Summary(tuple(table for table in tables if table.rows))

    def _eyes_first(self, records: Sequence[Record]) -> list[bool]:
        """For each class whether its eyes are the more salient."""
        return [sum(r[EYE] - r[FOOT] for r in own) > 0 for own in by(records, "class").values()]


def animals_in(case: Case) -> list[Instance]:
    """The instances with keypoints, of the class that was asked about."""
    return [i for i in case.sample.instances if case.label in (None, i.label) and i.keypoints]


def _by_class(records: Sequence[Record]) -> Iterator[Table]:
    """The mask, 1 keeps, at eyes and at feet of each class, and their ratio."""
    ends, ratios = {}, {}
    for name, own in by(records, "class").items():
        ends[name] = {what: mean_of([1 - r[key] for r in own]) for what, key in _ENDS}
        ratios[name] = {RATIO: _ratio(own)}
    yield Table("mask, 1 keeps, by class", ends)
    yield Table(f"{RATIO}, by class", ratios)


def _by_group(records: Sequence[Record]) -> Iterator[Table]:
    """The mean ratio of each group's classes, for data sets whose classes are grouped."""
    rows = {}
    for group, own in by(records, "group").items():
        ratios = [_ratio(some).value for some in by(own, "class").values()]
        rows[group] = {RATIO: mean_of(ratios), "classes": Estimate.exactly(len(ratios))}
    known = {name: _underscored(name) for name in rows}
    paper = {name: {RATIO: PAPER[key]} for name, key in known.items() if key in PAPER}
    yield Table(f"{RATIO}, by group of classes", {name: row for name, row in rows.items() if name}, paper)


def _underscored(name: str) -> str:
    return name.lower().replace(" ", "_")


def _ratio(records: Sequence[Record]) -> Estimate:
    return ratio_of([1 - r[FOOT] for r in records], [1 - r[EYE] for r in records])
