"""Interrogation (§5.1, fig. 6): boxes are blurred, and scores are compared before and after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from unsee.classifier import Classifier
from unsee.experiments.experiment import About, Case, FirstImages, Record, Summary, Table, by, on_device
from unsee.experiments.maps import MapSource, Setup, of_methods
from unsee.experiments.masked_scores import scores_under
from unsee.masks.edits.perturbation import Blur
from unsee.metrics import LEAST_SPAN, mean_of, proportion
from unsee.tensors import Box, fitted_box

OBJECT = "the object's box"
_CUT, _MUCH = 0.5, 0.8


@dataclass(frozen=True)
class Interrogations:
    """The score after blurring the box fitted to each map, and the object's own box."""

    about: ClassVar[About] = About(
        name="interrogation",
        title="Interrogation of boxes (§5.1, fig. 6)",
        asks=(
            "The tight box around the upper half of each map's range is blurred, and the object's own box if "
            "it is known. The scores before and after show whether the content of the box mattered."
        ),
        needs="images with a map of every method",
        target="label",
        shows=FirstImages.BOXES,
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each method."""
        return of_methods(setup)

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """For each box, in pixels of the network's input, its area and the scores."""
        boxes = {method: fitted_box(case.at_input(method), _CUT) for method in case.maps}
        if case.label is not None and case.sample.boxes(case.label):
            boxes[OBJECT] = _around(case)
        image = on_device(classifier, case.network_input.plain)
        blurred = on_device(classifier, Blur().references(case.network_input)[0])
        keep = torch.ones(len(boxes) + 2, *case.network_input.size).to(image)
        keep[-1] = 0
        for row, (left, top, right, bottom) in zip(keep, boxes.values(), strict=False):
            row[top:bottom, left:right] = 0
        *scores, before, gone = scores_under(classifier, image, blurred, keep, case.target).tolist()
        for (what, box), after in zip(boxes.items(), scores, strict=True):
            area = (
                (box[2] - box[0])
                * (box[3] - box[1])
                / (case.network_input.size[0] * case.network_input.size[1])
            )
            lost = (before - after) / (before - gone) if before - gone >= LEAST_SPAN else None
            yield {
                "id": case.sample.id,
                "what": what,
                "box": list(box),
                "area": area,
                "before": before,
                "after": after,
                "lost": lost,
            }

    def summary(self, records: Sequence[Record]) -> Summary:
        """Means for each kind of box, and the share of images that lose four fifths of the score."""
        rows = {}
        for what, own in by(records, "what").items():
            lost = [record["lost"] for record in own if record["lost"] is not None]
            rows[what] = {
                "score before": mean_of([record["before"] for record in own]),
                "after": mean_of([record["after"] for record in own]),
                "share of the image": mean_of([record["area"] for record in own]),
                "share of the score lost": mean_of(lost),
                "images that lose four fifths": proportion([value >= _MUCH for value in lost]),
            }
        unclear = sum(record["lost"] is None for record in records)
        left_out = (
            {"boxes of images whose score does not fall if all of the image is blurred": unclear}
            if unclear
            else {}
        )
        return Summary((Table("boxes blurred", rows),), left_out=left_out)


def _around(case: Case) -> Box:
    """The box around all objects of the class, in pixels of the network's input, rounded outwards."""
    boxes = torch.tensor(case.sample.boxes(case.label or 0), dtype=torch.float64)
    height, width = case.sample.image.shape[:2]
    down, across = case.network_input.size[0] / height, case.network_input.size[1] / width
    left, top = (
        (boxes[:, :2].amin(dim=0) * torch.tensor([across, down], dtype=torch.float64)).floor().int().tolist()
    )
    right, bottom = (
        (boxes[:, 2:].amax(dim=0) * torch.tensor([across, down], dtype=torch.float64)).ceil().int().tolist()
    )
    return (
        max(left, 0),
        max(top, 0),
        min(right, case.network_input.size[1]),
        min(bottom, case.network_input.size[0]),
    )
