"""Images with the maps that stores hold of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from unsee.datasets.picture import dataset_for, photo_of
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.experiments.experiment import Case, MaskCount
from unsee.experiments.maps import MapSource
from unsee.images import Squash
from unsee.masks.network_input import NetworkInput
from unsee.runs.rendered_row import RenderedRow, render_row
from unsee.runs.store import Store
from unsee.runs.targets import EACH, LABEL, ClassMap, target_rule
from unsee.verdicts import CONVERGED

_Form = tuple[int, int, tuple[float, float]]


def _form_of(source: MapSource) -> _Form:
    """What images that are read alike have in common: data set, channels and value range."""
    return id(source.dataset), source.classifier.input_shape[0], source.classifier.value_range


@dataclass(frozen=True, eq=False)
class StoredMaps:
    """Map sources with their stores.

    Args:
        sources: at least one; the first decides the target.
        stores: a source's name → the store of its maps.
        seed: of the network inputs.
        class_map: name of a label → the first network's classes, None if their names are the same.
    """

    sources: Sequence[MapSource]
    stores: Mapping[str, Store]
    seed: int
    class_map: ClassMap | None = None

    @cached_property
    def _states(self) -> Mapping[str, list[dict[str, Any]]]:
        """Source → which maps there are and how they went."""
        columns = ["id", "asked", "error", "verdict", "attempts"]
        return {source.name: self.stores[source.name].table(columns).to_pylist() for source in self.sources}

    @cached_property
    def _targets(self) -> Mapping[str, Mapping[str, list[str]]]:
        """Source → image → the targets of its maps that count."""
        found: dict[str, dict[str, list[str]]] = {}
        for name, rows in self._states.items():
            own = found.setdefault(name, {})
            for row in filter(_counts, rows):
                own.setdefault(row["id"], []).append(row["asked"])
        return found

    def masks(self, numbers: Sequence[int]) -> dict[str, MaskCount]:
        """How the masks of some images went, for each source of learned masks."""
        ids = {self.sources[0].dataset.id(number) for number in numbers}
        found = {}
        for name, rows in self._states.items():
            own = [row for row in rows if row["id"] in ids and row["verdict"] is not None]
            if own:
                again = sum((row["attempts"] or 1) > 1 for row in own)
                found[name] = MaskCount(len(own), again, sum(not _counts(row) for row in own))
        return found

    def unconverged(self, numbers: Sequence[int]) -> set[str]:
        """The ids of images that have a map of every source, but none that converged of some source."""
        lacking = {self.sources[0].dataset.id(number) for number in numbers} - self.complete(numbers)
        mapped = [{row["id"] for row in rows if row["error"] is None} for rows in self._states.values()]
        return lacking.intersection(*mapped)

    def contents(self, numbers: Sequence[int]) -> list[list[Any]]:
        """For each image its id, and the targets of each source's maps of it, as JSON values."""
        ids = [self.sources[0].dataset.id(number) for number in numbers]
        return [[id, *(own.get(id, []) for own in self._targets.values())] for id in ids]

    def complete(self, numbers: Sequence[int]) -> set[str]:
        """The ids of the images that have a map of every source, masks being converged."""
        return {id for id, *maps in self.contents(numbers) if all(maps)}

    @cached_property
    def _truths(self) -> Mapping[int, tuple[int, ...]]:
        """Label → the first network's classes for it; empty if data set and network share no classes."""
        first = self.sources[0]
        try:
            return target_rule(LABEL, first.dataset, first.classifier, self.class_map).classes
        except UnseeError:
            return {}

    def cases(self, numbers: Sequence[int]) -> Iterator[Case]:
        """The cases of some images, by their numbers in the data set, with the map of every source."""
        dataset = self.sources[0].dataset
        place = {dataset.id(number): number for number in numbers}
        rows = {source.name: self._rows(source, list(place)) for source in self.sources}
        keys = _keys(rows)
        for key in sorted(keys, key=lambda key: place[key[0]]):
            own = {name: known.get(key) or known.get((key[0], "")) for name, known in rows.items()}
            if all(own.values()):
                yield self._case(place[key[0]], {name: row for name, row in own.items() if row is not None})

    def _by_label(self, source: MapSource) -> bool:
        """Whether a source explains labels, so that its targets differ from image to image."""
        return self.stores[source.name].manifest["settings"]["target"] in (LABEL, EACH)

    def _rows(self, source: MapSource, ids: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows with a map by image and target; by image alone if the source does not explain labels."""
        own = self._by_label(source)
        rows = self.stores[source.name].rows(ids)
        return {(row["id"], row["asked"] if own else ""): row for row in rows if _counts(row)}

    def _case(self, number: int, rows: Mapping[str, dict[str, Any]]) -> Case:
        samples: dict[_Form, Sample] = {}
        inputs: dict[tuple[_Form, tuple[int, int]], NetworkInput] = {}
        own_input: dict[str, NetworkInput] = {}
        maps: dict[str, Tensor] = {}
        for source in self.sources:
            data, size = _form_of(source), source.classifier.size
            if data not in samples:
                samples[data] = dataset_for(source.classifier, source.dataset)[number]
            if (data, size) not in inputs:
                photo = photo_of(samples[data])
                inputs[data, size] = NetworkInput.of(source.classifier, photo, Squash(), self.seed)
            own_input[source.name] = inputs[data, size]
            maps[source.name] = torch.from_numpy(self.stores[source.name].saliency(rows[source.name]))
        first = self._first(rows)
        numbers = {
            name: {key: value for key, value in row.items() if key != "mask"} for name, row in rows.items()
        }
        sample = samples[_form_of(self.sources[0])]
        return Case(
            sample=sample,
            network_input=own_input[self.sources[0].name],
            target=tuple(first["target"]),
            label=first["label"],
            maps=maps,
            network_inputs=own_input,
            numbers=numbers,
            truth=None if sample.label is None else self._truths.get(sample.label),
        )

    def _first(self, rows: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The row that decides the target: of the first source that explains labels, else of the first."""
        for source in self.sources:
            if self._by_label(source):
                return rows[source.name]
        return rows[self.sources[0].name]

    def rendered(self, numbers: Sequence[int], count: int) -> dict[str, list[RenderedRow]]:
        """Source → rendered rows of the first images that have a map of every source, at most `count`."""
        found: dict[str, list[RenderedRow]] = {source.name: [] for source in self.sources}
        dataset = self.sources[0].dataset
        for number in numbers:
            rows = {source.name: self._rows(source, [dataset.id(number)]) for source in self.sources}
            if all(rows.values()):
                for source in self.sources:
                    row = next(iter(rows[source.name].values()))
                    photo = photo_of(dataset_for(source.classifier, source.dataset)[number])
                    found[source.name].append(render_row(self.stores[source.name], row, photo))
                if len(found[self.sources[0].name]) == count:
                    break
        return found


def _counts(row: Mapping[str, Any]) -> bool:
    """Whether there is a map, and its mask, if it is one, has converged."""
    return row["error"] is None and row["verdict"] in (None, CONVERGED)


def _keys(rows: Mapping[str, Mapping[tuple[str, str], Any]]) -> list[tuple[str, str]]:
    """Every (image, target): the targets of sources that explain labels, if there are any."""
    found = dict.fromkeys(key for known in rows.values() for key in known)
    return [key for key in found if key[1]] or list(found)
