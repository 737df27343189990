"""Sensitivity of masks to their hyper-parameters: each is changed alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.experiment import About, Case, FirstImages, Line, Plot, Record, Summary, Table, by
from unsee.experiments.maps import MASK, MapSource, Setup
from unsee.experiments.mask_numbers import SOURCE
from unsee.masks import PRESETS
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.grid import Grid
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.penalty_protocol import Penalty
from unsee.masks.settings import Settings
from unsee.metrics import boxes_at, localised, mean_of, proportion

DEFAULT = "default"
_CUT = 0.25
"""Threshold of a mask's box, as a share of its range: the value rule with the paper's α for the mask."""
_SIGN, _UP = " = ", "mean or share"


def _with(settings: Settings, penalty: Penalty) -> Settings:
    return replace(settings, objective=settings.objective.with_penalty(penalty))


def _l1(settings: Settings, times: float) -> Settings:
    return _with(settings, L1(1e-4 * times))


def _tv(settings: Settings, times: float) -> Settings:
    return _with(settings, TotalVariation(1e-2 * times))


def _beta(settings: Settings, beta: float) -> Settings:
    return _with(settings, TotalVariation(1e-2, beta=beta))


def _jitter(settings: Settings, places: float) -> Settings:
    return replace(settings, jitter=int(places))


def _cells(settings: Settings, cell: float) -> Settings:
    """Another cell size; λ1 weighs a sum over cells, and scales with their number."""
    return replace(settings, grid=Grid(cell=cell))


Change = Callable[[Settings, float], Settings]
CHANGES: Mapping[str, tuple[Change, tuple[float, ...], float, str]] = {
    "λ1": (_l1, (0.1, 0.3, 3.0, 10.0), 1.0, "λ1, times 1e-4"),
    "λ2": (_tv, (0.1, 0.3, 3.0, 10.0), 1.0, "λ2, times 1e-2"),
    "β": (_beta, (1.5, 2.0, 2.5, 4.0), 3.0, "β"),
    "jitter": (_jitter, (0.0, 2.0, 8.0, 16.0), 4.0, "places of the jitter"),
    "cell": (_cells, (4.0, 6.0, 16.0, 32.0), 8.0, "pixels of a mask's cell"),
}
"""Hyper-parameter → how to set it, the values to try, the default value, and the label of the axis."""
OTHERS = ("constant", "noise", "median", "joint")
_VARIED = ("objective", "jitter", "grid", "perturbations")


@dataclass(frozen=True)
class Sensitivity:
    """Objective, area, suppression and localisation of masks, one hyper-parameter at a time."""

    about: ClassVar[About] = About(
        name="thresholds-sensitivity",
        title="Sensitivity to hyper-parameters (§4.3, supplement §6.2)",
        asks=(
            "Masks are learned with one hyper-parameter changed at a time: λ1, λ2, β, jitter, cell size, "
            "perturbation. The objective includes the changed setting, so it is comparable along a line only "
            "if the setting is not part of it. Localisation fails if the box of the mask, thresholded at a "
            "quarter of its range, has an IoU below 0.5."
        ),
        needs="images with a map of every setting",
        target="label",
        shows=FirstImages.MAPS,
        costly=True,
        own_maps=True,
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """The preset, and each change to it.

        Raises:
            UnseeError: the preset's values differ from the paper's, from which the changes start.
        """
        base, paper = PRESETS[setup.preset], PRESETS["paper"]
        if any(getattr(base, part) != getattr(paper, part) for part in _VARIED):
            raise UnseeError(
                f"{self.about.name} varies the paper's settings, and {setup.preset} has others: use fast or "
                "paper"
            )
        every = {DEFAULT: base}
        for name, (change, values, _, _) in CHANGES.items():
            every |= {f"{name}{_SIGN}{value:g}": change(base, value) for value in values}
        for name in OTHERS:
            edits = PERTURBATIONS[name]
            every[f"perturbation{_SIGN}{name}"] = replace(base, perturbations=edits, shown_with=base.shown)
        network = setup.classifiers[0]
        return [
            MapSource(name, MASK, setup.dataset, network, settings, setup.target)
            for name, settings in every.items()
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """For each source its numbers, and whether its box finds the object; None if no box is known."""
        boxes = () if case.label is None else case.sample.boxes(case.label)
        truths = torch.tensor(boxes, dtype=torch.float64)
        size = case.sample.image.shape[:2]
        for source, row in case.numbers.items():
            found = None
            if boxes:
                box = boxes_at(case.maps[source], (size[0], size[1]), "value", (_CUT,))
                found = bool(localised(box.double(), truths)[0])
            numbers = {name: row[name] for name in ("objective", "area", "suppression")}
            yield {"id": case.sample.id, SOURCE: source, "found": found, **numbers}

    def summary(self, records: Sequence[Record]) -> Summary:
        """Means for each source, and for each hyper-parameter a line over its values."""
        rows = {}
        for source, own in by(records, SOURCE).items():
            hits = [record["found"] for record in own if record["found"] is not None]
            known = {
                name: mean_of([record[name] for record in own if record[name] is not None])
                for name in ("objective", "area", "suppression")
            }
            rows[source] = known | (
                {"localisation error": proportion([not hit for hit in hits])} if hits else {}
            )
        table = Table("masks with one hyper-parameter changed, means and shares", rows)
        plots = (*(_plot(name, table) for name in CHANGES), _perturbations(table))
        return Summary((table,), plots)


def _plot(name: str, table: Table) -> Plot:
    _, values, usual, axis = CHANGES[name]
    places = tuple(sorted((*values, usual)))
    sources = [DEFAULT if value == usual else f"{name}{_SIGN}{value:g}" for value in places]
    lines = _lines(table, dict(zip(places, sources, strict=True)))
    return Plot(name, axis, _UP, lines, logarithmic=name.startswith("λ"), usual=usual)


def _perturbations(table: Table) -> Plot:
    sources = (DEFAULT, *(f"perturbation{_SIGN}{name}" for name in OTHERS))
    lines = _lines(table, {float(place): source for place, source in enumerate(sources)})
    return Plot("perturbation", "", _UP, lines, usual=0.0, ticks=("blur", *OTHERS))


def _lines(table: Table, sources: Mapping[float, str]) -> dict[str, Line]:
    """Column → its line over the places of sources."""
    return {
        column: Line(
            tuple(place for place, source in sources.items() if column in table.rows.get(source, {})),
            tuple(
                table.rows[source][column]
                for source in sources.values()
                if column in table.rows.get(source, {})
            ),
        )
        for column in table.columns
    }
