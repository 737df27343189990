"""Minimality of deletions (§5.3, fig. 8): the mean area of the smallest box that suppresses the score."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unsee.classifier import Classifier
from unsee.experiments.experiment import About, Case, Line, Plot, Record, Summary, Table, by
from unsee.experiments.maps import MASK, MapSource, Setup, of_methods
from unsee.experiments.smallest_box import blurred_boxes, boxes_of, smallest_of
from unsee.metrics import Estimate, mean_of

PAPER = {
    "gradient": (15142, 17217, 19150, 23289),
    "guided_backprop": (13737, 15646, 17484, 21608),
    "excitation_backprop": (12738, 14885, 16844, 21089),
    "contrastive_excitation_backprop": (12874, 14841, 16606, 19890),
    "mask": (11765, 13362, 15008, 18864),
    "occlusion": (12588, 14674, 16687, 21394),
    "grad_cam": (21120, 23157, 25018, 28417),
}
"""Fig. 8, in pixels of 224²: as printed by the authors' notebook, for 5,000 training images of ImageNet, the
last two for 1,000; Grad-CAM at inception_4e."""


NOTE = (
    "The choice of images matters most: on 48 training images nearly every method's boxes are smaller than "
    "published, the gradient's by a tenth; the difference between mask and gradient is as published. A "
    "mask's boxes grow by a sixth if its cells are read as squares, by a third if it is cut at tenths, and "
    "double if λ1 and λ2 weigh means over the cells, which makes masks wide and flat. Learning rate, start, "
    "number of iterations and 8-bit rounding have little effect. Grad-CAM reads the last maps here, "
    "inception_4e in the paper. `python benchmarks/minimality.py` measures all this; docs/minimality.md has "
    "the numbers."
)
"""Why our numbers differ from the paper's."""
COARSE = 10
_AREA, _COARSE_AREA = "area", "area_at_tenths"


@dataclass(frozen=True)
class Minimality:
    """The smallest box at each share of suppression, for each method."""

    shares: tuple[float, ...] = (0.8, 0.9, 0.95, 0.99)
    about: ClassVar[About] = About(
        name="minimality",
        title="Minimality of deletions (§5.3, fig. 8)",
        asks=(
            "Each map is thresholded at every hundredth of its range, as in the authors' code, and at every "
            "tenth, as in the text. The result is the smallest tight box around the rest whose blurring "
            "removes the given share of the score."
        ),
        needs="images with a map of every method",
        target="label",
        paper_data=("imagenet",),
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each method."""
        return of_methods(setup)

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """For each method and share the area of its smallest box, None if no box suffices."""
        for method, saliency in case.maps.items():
            found = blurred_boxes(classifier, case.network_input.plain, saliency, case.target)
            few = set(boxes_of(saliency, case.network_input.size, COARSE))
            coarse = [box for box in found if box.box in few]
            for share in self.shares:
                areas = {_AREA: smallest_of(found, share), _COARSE_AREA: smallest_of(coarse, share)}
                known = {key: None if box is None else box.area for key, box in areas.items()}
                key = {"id": case.sample.id, "target": list(case.target)}
                yield {**key, "method": method, "share": share, **known}

    def summary(self, records: Sequence[Record]) -> Summary:
        """Mean areas at either step, and compared with the mask's; images without a box are counted."""
        rows = {method: self._means(own, _AREA) for method, own in by(records, "method").items()}
        coarse = {method: self._means(own, _COARSE_AREA) for method, own in by(records, "method").items()}
        lines = {
            method: Line(tuple(100 * share for share in self.shares), tuple(row.values()))
            for method, row in rows.items()
        }
        paper = {m: dict(zip(map(_percent, self.shares), PAPER[m], strict=True)) for m in rows if m in PAPER}
        tables = [
            Table("mean area of the smallest box, pixels of the input", rows, paper, "low"),
            Table("the same, thresholded at tenths of the range only", coarse, better="low"),
        ]
        if MASK in rows and len(rows) > 1:
            tables.append(self._against_mask(records))
        plot = Plot("smallest box that suppresses the score", "suppression, %", "mean area, px²", lines)
        return Summary(tuple(tables), (plot,), _left_out(records), note=NOTE)

    def _means(self, records: Sequence[Record], key: str) -> dict[str, Estimate]:
        found = by(records, "share")
        return {
            _percent(share): mean_of([r[key] for r in found.get(share, ()) if r[key] is not None])
            for share in self.shares
        }

    def _against_mask(self, records: Sequence[Record]) -> Table:
        """How much larger the boxes of other methods are, over the images where both have one."""
        methods = by(records, "method")
        own = by(methods.pop(MASK), "share")
        rows: dict[str, dict[str, Estimate]] = {}
        for method, theirs in methods.items():
            for share, some in by(theirs, "share").items():
                ours = _areas(own.get(share, ()))
                more = [area - ours[key] for key, area in _areas(some).items() if key in ours]
                rows.setdefault(method, {})[_percent(share)] = mean_of(more)
        return Table("area more than the mask's, image by image", rows)


def _areas(records: Iterable[Record]) -> dict[tuple[str, ...], int]:
    """Image and classes → area, if there is one."""
    found = {(record["id"], *map(str, record["target"])): record[_AREA] for record in records}
    return {key: area for key, area in found.items() if area is not None}


def _left_out(records: Sequence[Record]) -> dict[str, int]:
    """How many images have no box: their score does not fall even if all of the image is blurred."""
    without = {(record["id"], *map(str, record["target"])) for record in records if record[_AREA] is None}
    return (
        {"images whose score does not fall if all of the image is blurred": len(without)} if without else {}
    )


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
