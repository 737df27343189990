"""The pointing game (§5.6, table 2): does the highest point of the map lie on the object?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unsee.classifier import Classifier
from unsee.datasets.sample import Instance
from unsee.experiments.experiment import Case, Record, Summary, Table, by
from unsee.metrics import Estimate, difficult, first_peak, hits, mean_precision_of, peak, touched

PAPER = {
    "center": (27.93, 17.86),
    "gradient": (36.40, 28.21),
    "guided_backprop": (32.68, 26.16),
    "excitation_backprop": (41.78, 32.73),
    "contrastive_excitation_backprop": (50.95, 41.99),
    "occlusion": (44.50, 36.45),
    "blur_occlusion": (45.41, 37.45),
    "variable_occlusion": (42.31, 33.87),
    "mask": (36.40, 28.21),
}
"""Table 2, mean precision per class in %: BVLC GoogLeNet, a part of COCO val2014, all and difficult."""


@dataclass(frozen=True)
class Pointing:
    """Hits within 15 px of the network's input, ties averaged, as in the paper; and by the rules of TorchRay.

    The paper brought its pictures to 224² (supplement 4); TorchRay measures in pixels of the picture.

    Args:
        most: so many pictures of a class count, the first ones (§5.6).
    """

    most: int = 400
    name: str = "pointing"
    title: str = "The pointing game (§5.6, table 2)"
    asks: str = (
        "The highest point of each map is a hit if it lies within 15 pixels of an object of the class that "
        "was asked about."
    )
    paper_data: tuple[str, ...] = ("coco",)
    needs: str = "pictures with objects: coco:, voc: or the menagerie"
    target: str = "each"

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """For each method whether its point hits, by either rule, and whether the picture is difficult."""
        if case.label is None or case.label not in case.sample.labels:
            return
        height, width = case.sample.image.shape[:2]
        instances = _instances([i for i in case.sample.instances if i.label == case.label])
        shrunk = _brought(instances, (height, width), case.network_input.size)
        for method, saliency in case.maps.items():
            yield {
                "id": case.sample.id,
                "label": case.label,
                "method": method,
                "hit": hits(peak(saliency, case.network_input.size), shrunk),
                "hit_torchray": touched(first_peak(saliency, (height, width)), instances),
                "difficult": difficult(case.sample, case.label),
            }

    def summary(self, records: Sequence[Record]) -> Summary:
        """Mean per-class precision in %, of all pictures and of the difficult ones."""
        rows = {}
        for method, every in by(records, "method").items():
            own = [record for some in by(every, "label").values() for record in some[: self.most]]
            hard = [record for record in own if record["difficult"]]
            rows[method] = {
                "all": _precision(own, "hit"),
                "difficult": _precision(hard, "hit"),
                "all, TorchRay": _precision(own, "hit_torchray"),
                "difficult, TorchRay": _precision(hard, "hit_torchray"),
            }
        paper = {
            method: dict(zip(("all", "difficult"), PAPER[method], strict=True))
            for method in rows
            if method in PAPER
        }
        return Summary((Table("mean precision per class, %", rows, paper, "high"),))


def _precision(records: Sequence[Record], key: str) -> Estimate:
    return mean_precision_of([r[key] for r in records], [r["label"] for r in records], 100)


def _brought(instances: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Segments or boxes brought from a picture's size to another; segments by the pixels that they touch."""
    if instances.dtype == torch.bool:
        return F.adaptive_max_pool2d(instances[:, None].float(), new)[:, 0] > 0
    across, down = new[1] / old[1], new[0] / old[0]
    return instances * torch.tensor([across, down, across, down], dtype=instances.dtype)


def _instances(instances: Sequence[Instance]) -> Tensor:
    """Their segments where all have one, else their boxes."""
    segments = [i.segment for i in instances if i.segment is not None]
    if len(segments) == len(instances):
        return torch.stack([torch.from_numpy(segment) for segment in segments])
    return torch.tensor([i.box for i in instances], dtype=torch.float64)
