"""What an experiment is: what it declares, records of single images, and a summary of records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.datasets.sample import Sample
from unsee.experiments.maps import MapSource, Setup
from unsee.masks.network_input import NetworkInput
from unsee.metrics import Estimate

Record = dict[str, Any]
"""What was measured on one image, as JSON values."""
_OTHER_NETWORK = "The paper's numbers were measured with BVLC GoogLeNet, not with this network."


class FirstImages(Enum):
    """How the first images of an experiment are drawn: with maps and edits, boxes, or keypoints."""

    MAPS = "maps"
    BOXES = "boxes"
    POINTS = "points"


@dataclass(frozen=True)
class About:
    """What an experiment declares: the runner and the report read this, and never its type or name.

    Args:
        name: its name in `EXPERIMENTS` and on the command line.
        title: what it finds out, with its place in the paper.
        asks: what is done to find out, in a sentence or two.
        needs: which images it can use.
        target: what is explained in each image, one of `unsee.runs.targets.TARGETS`.
        paper_data: the kinds of data set that the paper's numbers were measured on.
        costly: many masks are learned per image, so a report gives it fewer images.
        several_networks: it compares all networks that are given; others use the first.
        methods_added: further methods that a report adds if "mask" is among its methods.
        own_maps: it makes its own maps, and reads no stores of existing maps.
        shows: how its first images are drawn, None if they are not.
        on_layers: makes it for layers that are named, None if it is not about layers.
    """

    name: str
    title: str
    asks: str
    needs: str
    target: str
    paper_data: tuple[str, ...] = ()
    costly: bool = False
    several_networks: bool = False
    methods_added: tuple[str, ...] = ()
    own_maps: bool = False
    shows: FirstImages | None = None
    on_layers: "Callable[[tuple[str, ...]], Experiment] | None" = None


@dataclass(frozen=True, eq=False)
class Case:
    """An image with the maps that methods made of it.

    Args:
        sample: the image, with its ground truth.
        network_input: the image at the network's input.
        target: the network's classes that were explained.
        label: the class in the data set, None if the predicted class was explained.
        maps: method, or the name of a map source → saliency at its own size, high where salient.
        network_inputs: the same names → the input that the map was made for, if it is another one.
        numbers: the same names → the other columns of the map's row in its store.
        truth: the network's classes for the image's own label, None if they are unknown.
    """

    sample: Sample
    network_input: NetworkInput
    target: tuple[int, ...]
    label: int | None
    maps: Mapping[str, Float[Tensor, "hm wm"]]
    network_inputs: Mapping[str, NetworkInput] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    truth: tuple[int, ...] | None = None

    def at_input(self, method: str) -> Float[Tensor, "h w"]:
        """A method's map, resized bilinearly to the network's input."""
        small = self.maps[method][None, None].float()
        grown: Tensor = F.interpolate(small, self.network_input.size, mode="bilinear", align_corners=False)
        return grown[0, 0]


class Line(NamedTuple):
    """A line of a plot: places along the axis, and an estimate at each."""

    places: tuple[float, ...]
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True)
class Plot:
    """A plot of lines, one for each method or perturbation.

    Args:
        title: what it shows.
        across: label of the horizontal axis.
        up: label of the vertical axis.
        lines: name → line.
        logarithmic: whether the horizontal axis is logarithmic.
        usual: the default value, which is marked; None for no mark.
        ticks: names of the places 0, 1, …, if the places are categories.
    """

    title: str
    across: str
    up: str
    lines: Mapping[str, Line]
    logarithmic: bool = False
    usual: float | None = None
    ticks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Numbers by row and column.

    Args:
        title: what they are, with their unit.
        rows: row → column → our number; a row may lack columns.
        paper: row → column → the published number.
        better: "low" or "high": which numbers are better; "" if neither is.
    """

    title: str
    rows: Mapping[str, Mapping[str, Estimate]]
    paper: Mapping[str, Mapping[str, float | int]] = field(default_factory=dict)
    better: str = ""

    @property
    def heading(self) -> str:
        """The title, with what is better."""
        return f"{self.title} ({self.better}er is better)" if self.better else self.title

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order in which rows name them."""
        return tuple(dict.fromkeys(name for row in self.rows.values() for name in row))


class MaskCount(NamedTuple):
    """How the masks of one source went: learned, begun again among them, not converged and left out."""

    learned: int
    again: int
    left_out: int


@dataclass(frozen=True)
class Summary:
    """The results of an experiment over all images.

    Args:
        tables: the numbers.
        plots: the lines of the figure.
        left_out: reason → how many images or records were left out.
        files: name → text of further files.
        masks: name of a mask → how many were learned, begun again, and left out since they did not converge.
        note: why our numbers differ from the paper's, if it is known.
        same_network: whether the paper's network was used, so that the numbers can be compared.
    """

    tables: tuple[Table, ...]
    plots: tuple[Plot, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, "MaskCount"] = field(default_factory=dict)
    note: str = ""
    same_network: bool = True

    def without_paper(self) -> "Summary":
        """The same without published numbers, for data that are not the paper's."""
        return replace(self, tables=tuple(replace(table, paper={}) for table in self.tables), note="")

    def of_another_network(self) -> "Summary":
        """The same with a note that the published numbers are of another network."""
        return replace(self, note=_OTHER_NETWORK, same_network=False)


@runtime_checkable
class Experiment(Protocol):
    """Pure functions from an image, its maps and a classifier to records, and from records to a summary.

    The fields of an experiment are its parameters; `experiment.json` records them.
    """

    about: ClassVar[About]

    def map_sources(self, setup: Setup) -> Sequence[MapSource]:
        """The maps that it reads; those of the first source decide the target."""

    def records(self, classifier: Classifier, case: Case) -> Iterable[Record]:
        """What is measured on one image: one or more records a method, none if the image is unsuitable."""

    def summary(self, records: Sequence[Record]) -> Summary:
        """The results over the records of all images."""


def shown(value: float | int, digits: int = 4) -> str:
    """A number for people: whole with commas from a thousand on, others with so many significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def by(records: Iterable[Record], key: str) -> dict[Any, list[Record]]:
    """Records grouped by one of their values, in the order in which values first occur."""
    found: dict[Any, list[Record]] = {}
    for record in records:
        found.setdefault(record[key], []).append(record)
    return found


def on_device(classifier: Classifier, image: Float[Tensor, "*any h w"]) -> Float[Tensor, "*any h w"]:
    """An image on the classifier's device, in its dtype."""
    return image.to(classifier.device, classifier.dtype)
