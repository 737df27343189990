"""Minimality of deletions (§5.3, fig. 8): the mean area of the smallest box that suppresses the score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unsee.classifier import Classifier
from unsee.experiments.experiment import Case, Curve, Plot, Record, Summary, Table, by
from unsee.experiments.minimality import smallest_boxes
from unsee.metrics import mean_of

PAPER = {
    "gradient": (15142, 17217, 19150, 23289),
    "guided_backprop": (13737, 15646, 17484, 21608),
    "excitation_backprop": (12738, 14885, 16844, 21089),
    "contrastive_excitation_backprop": (12874, 14841, 16606, 19890),
    "mask": (11765, 13362, 15008, 18864),
    "occlusion": (12588, 14674, 16687, 21394),
    "grad_cam": (21120, 23157, 25018, 28417),
}
"""Fig. 8, in pixels of 224²: printed by the authors' notebook, for 5,000 training pictures of ImageNet, the
last two for 1,000; Grad-CAM at inception_4e."""


@dataclass(frozen=True)
class MinimalBoxes:
    """The smallest box at each share of suppression, for each method."""

    shares: tuple[float, ...] = (0.8, 0.9, 0.95, 0.99)
    name: str = "minimality"
    title: str = "Minimality of deletions (§5.3, fig. 8)"
    asks: str = (
        "Each map is cut at every hundredth of its range; the smallest tight box round what is left whose "
        "blurring takes away the given share of the score counts."
    )
    paper_data: tuple[str, ...] = ("imagenet",)
    target: str = "label"

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """For each method and share the area of its smallest box, None where no box will do."""
        for method, saliency in case.maps.items():
            boxes = smallest_boxes(classifier, case.frame.plain, saliency, case.target, self.shares)
            for share, box in zip(self.shares, boxes, strict=True):
                area = None if box is None else box.area
                yield {"id": case.sample.id, "method": method, "share": share, "area": area}

    def summary(self, records: Sequence[Record]) -> Summary:
        """Mean areas; boxes that were not found are left out, and counted."""
        rows, lines, left_out = {}, {}, {}
        for method, own in by(records, "method").items():
            found = {
                share: mean_of([record["area"] for record in some if record["area"] is not None])
                for share, some in by(own, "share").items()
            }
            rows[method] = {_percent(share): estimate for share, estimate in found.items()}
            lines[method] = Curve(tuple(100 * share for share in found), tuple(found.values()))
            missing = sum(record["area"] is None for record in own)
            if missing:
                left_out[f"{method}: no box suppresses so much"] = missing
        paper = {
            method: dict(zip(map(_percent, self.shares), PAPER[method], strict=True))
            for method in rows
            if method in PAPER
        }
        table = Table("mean area of the smallest box, pixels of the input", rows, paper, "low")
        plot = Plot("smallest box that suppresses the score", "suppression, %", "mean area, px²", lines)
        return Summary((table,), (plot,), left_out)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
