"""What every experiment of section 5 is: records of single pictures, and what they come to together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.datasets.sample import Sample
from unsee.masks.network_input import NetworkInput
from unsee.metrics import Estimate

Record = dict[str, Any]
"""What one picture has to say, as JSON values."""
_OTHER_NETWORK = "The paper's numbers are of BVLC GoogLeNet, another network than the one asked here."


@dataclass(frozen=True, eq=False)
class Case:
    """A picture with the maps that methods made of it.

    Args:
        sample: the picture, with its truth.
        network_input: the image at the network's input.
        target: the network's classes that were asked about.
        label: the class in the data set, None where it was the predicted one.
        maps: method, or the name of a map source → saliency at its own size, high where salient.
        network_inputs: the same names → the input that the map was made for, where it is another one.
        numbers: the same names → the other columns of the map's row in its store.
        truth: the network's classes for the picture's own label, None where they are not known.
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
        """A method's map, brought to the network's input bilinearly."""
        small = self.maps[method][None, None].float()
        grown: Tensor = F.interpolate(small, self.network_input.size, mode="bilinear", align_corners=False)
        return grown[0, 0]


class Line(NamedTuple):
    """A line of a figure: places along the axis, and an estimate at each."""

    places: tuple[float, ...]
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True)
class Plot:
    """A figure of lines, one for each method or perturbation.

    Args:
        title: what it shows.
        across: the axis of places.
        up: the axis of estimates.
        lines: name → line.
        logarithmic: whether places are drawn by their logarithm.
        usual: a place that is marked, None for none.
        ticks: what places 0, 1, … are called, where they are no numbers.
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
        rows: row → column → our number; columns may be missing in a row.
        paper: row → column → the number that was published.
        better: "low" or "high": which numbers a method would like to have; "" where neither is meant.
    """

    title: str
    rows: Mapping[str, Mapping[str, Estimate]]
    paper: Mapping[str, Mapping[str, float | int]] = field(default_factory=dict)
    better: str = ""

    @property
    def heading(self) -> str:
        """The title, with what is meant to be better."""
        return f"{self.title} ({self.better}er is better)" if self.better else self.title

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order in which rows name them."""
        return tuple(dict.fromkeys(name for row in self.rows.values() for name in row))


@dataclass(frozen=True)
class Summary:
    """What records come to.

    Args:
        tables: the numbers.
        plots: the figure's lines.
        left_out: reason → how many records had to be left out.
        files: name → text of further files.
        note: why our numbers are not the paper's, where it is known.
        same_network: whether they were measured with the paper's network, so that the two can be compared.
    """

    tables: tuple[Table, ...]
    plots: tuple[Plot, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    same_network: bool = True

    def without_paper(self) -> "Summary":
        """The same without what was published, for data that are not the paper's."""
        return replace(self, tables=tuple(replace(table, paper={}) for table in self.tables), note="")

    def of_another_network(self) -> "Summary":
        """The same with a word that what was published is of another network."""
        return replace(self, note=_OTHER_NETWORK, same_network=False)


@runtime_checkable
class Experiment(Protocol):
    """A pure function from pictures, saliency and a classifier to records, and a summary of records."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def title(self) -> str:
        """What it finds out, with its place in the paper."""

    @property
    def asks(self) -> str:
        """What is done to find out, in a sentence or two."""

    @property
    def needs(self) -> str:
        """Which pictures can serve."""

    @property
    def target(self) -> str:
        """What it asks about each picture: one of `unsee.runs.targets.TARGETS`."""

    @property
    def paper_data(self) -> tuple[str, ...]:
        """The kinds of data set that the paper's numbers are of."""

    def records(self, classifier: Classifier, case: Case) -> Iterable[Record]:
        """What one picture has to say, a record for each method or more."""

    def summary(self, records: Sequence[Record]) -> Summary:
        """What the records of all pictures come to."""


def shown(value: float | int, digits: int = 4) -> str:
    """A number for people: thousands in whole numbers, with commas, others with so many digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def by(records: Iterable[Record], key: str) -> dict[Any, list[Record]]:
    """Records by one of their values, in the order in which values first come."""
    found: dict[Any, list[Record]] = {}
    for record in records:
        found.setdefault(record[key], []).append(record)
    return found


def on_device(classifier: Classifier, picture: Float[Tensor, "*any h w"]) -> Float[Tensor, "*any h w"]:
    """A picture where the classifier is, in what it computes in."""
    return picture.to(classifier.device, classifier.dtype)
