"""Animal parts (§5.4; supplement, table 2): are eyes more salient than feet?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unsee.classifier import Classifier
from unsee.datasets.sample import Keypoint
from unsee.experiments.experiment import Case, Record, Summary, Table, by
from unsee.metrics import Estimate, around_keypoints, mean_of, proportion, ratio_of

EYE, FOOT = "eye", "foot"


@dataclass(frozen=True)
class AnimalParts:
    """The mean saliency in 5 × 5 pixels of the network's input round eyes and feet.

    Args:
        window: pixels along each side.
    """

    window: int = 5
    name: str = "animal-parts"
    title: str = "Animal parts: eyes and feet (§5.4; supplement, table 2)"
    asks: str = "The mean saliency in 5 × 5 pixels of the network's input round every eye and every foot."
    paper_data: tuple[str, ...] = ("keypoints",)
    target: str = "label"

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """For each method the mean saliency at the picture's eyes and at its feet, None where it has none."""
        points = [p for i in case.sample.instances if case.label in (None, i.label) for p in i.keypoints]
        eyes, feet = ([p for p in points if p.kind == kind] for kind in (EYE, FOOT))
        if not eyes and not feet:
            return
        for method in case.maps:
            yield {
                "id": case.sample.id,
                "class": next((i.name for i in case.sample.instances if i.keypoints), ""),
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
        """Per method: the means, and in how many classes eyes are more salient.

        Table 2's ratio, feet over eyes of a mask whose 1 keeps, is of 1 - saliency: only a mask has it.
        """
        rows, classes = {}, {}
        for method, own in by(records, "method").items():
            rows[method] = {
                "eyes": mean_of([r[EYE] for r in own if r[EYE] is not None]),
                "feet": mean_of([r[FOOT] for r in own if r[FOOT] is not None]),
                "classes with eyes above feet, %": proportion(self._eyes_first(own), 100),
            }
            both = [r for r in own if r[EYE] is not None and r[FOOT] is not None]
            if method == "mask":
                rows[method]["mask at feet over eyes"] = _ratio(both)
                classes = {
                    name: {"mask at feet over eyes": _ratio(some)} for name, some in by(both, "class").items()
                }
        tables = [Table("saliency round eyes and feet", rows)]
        if classes:
            tables.append(Table("by class", classes))
        return Summary(tuple(tables))

    def _eyes_first(self, records: Sequence[Record]) -> list[bool]:
        """For each class with both whether its eyes are the more salient."""
        found = []
        for own in by(records, "class").values():
            eyes = [r[EYE] for r in own if r[EYE] is not None]
            feet = [r[FOOT] for r in own if r[FOOT] is not None]
            if eyes and feet:
                found.append(sum(eyes) / len(eyes) > sum(feet) / len(feet))
        return found


def _ratio(records: Sequence[Record]) -> Estimate:
    return ratio_of([1 - r[FOOT] for r in records], [1 - r[EYE] for r in records])
