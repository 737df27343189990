"""Pictures with the maps that stores hold of them, for `unsee experiment`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from unsee.datasets.picture import photo_of
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.experiments.experiment import Case
from unsee.experiments.maps import MapSource
from unsee.images import Squash
from unsee.masks.network_input import NetworkInput
from unsee.runs.rendered_row import RenderedRow, render_row
from unsee.runs.store import Store
from unsee.runs.targets import EACH, LABEL, ClassMap, target_rule


@dataclass(frozen=True, eq=False)
class Cast:
    """Looks with their stores.

    Args:
        sources: at least one; the first says what was asked.
        stores: its name → where its maps are.
        seed: of the network inputs.
        class_map: label's name → the first network's classes, None where their names are the same.
    """

    sources: Sequence[MapSource]
    stores: Mapping[str, Store]
    seed: int
    class_map: ClassMap | None = None

    @cached_property
    def _asked(self) -> Mapping[str, Mapping[str, list[str]]]:
        """Map source → picture → what was asked about it, where there is a map."""
        found: dict[str, dict[str, list[str]]] = {}
        for source in self.sources:
            own = found.setdefault(source.name, {})
            for row in self.stores[source.name].table(["id", "asked", "error"]).to_pylist():
                if row["error"] is None:
                    own.setdefault(row["id"], []).append(row["asked"])
        return found

    def asked(self, numbers: Sequence[int]) -> list[list[Any]]:
        """For each picture its id, and which maps each source has of it, as JSON values."""
        ids = [self.sources[0].dataset.id(number) for number in numbers]
        return [[id, *(own.get(id, []) for own in self._asked.values())] for id in ids]

    def seen_by_all(self, numbers: Sequence[int]) -> set[str]:
        """The pictures that every source has a map of."""
        return {id for id, *maps in self.asked(numbers) if all(maps)}

    @cached_property
    def _truths(self) -> Mapping[int, tuple[int, ...]]:
        """Label → the first network's classes for it; empty where the two do not go together."""
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
        asked = self._questions(rows)
        for key in sorted(asked, key=lambda key: place[key[0]]):
            own = {name: known.get(key) or known.get((key[0], "")) for name, known in rows.items()}
            if all(own.values()):
                yield self._case(place[key[0]], {name: row for name, row in own.items() if row is not None})

    def _rows(self, source: MapSource, ids: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows with a map by image and target; by image alone where a source has one target for all."""
        store = self.stores[source.name]
        own = store.manifest["settings"]["target"] in (LABEL, EACH)
        return {
            (row["id"], row["asked"] if own else ""): row for row in store.rows(ids) if row["error"] is None
        }

    def _questions(self, rows: Mapping[str, Mapping[tuple[str, str], Any]]) -> list[tuple[str, str]]:
        """What was asked about which picture: by sources that ask after labels, if there are any."""
        found = dict.fromkeys(key for known in rows.values() for key in known)
        return [key for key in found if key[1]] or list(found)

    def _case(self, number: int, rows: Mapping[str, dict[str, Any]]) -> Case:
        samples: dict[int, Sample] = {}
        inputs: dict[tuple[int, tuple[int, int]], NetworkInput] = {}
        seen: dict[str, NetworkInput] = {}
        maps: dict[str, Tensor] = {}
        for source in self.sources:
            data, size = id(source.dataset), source.classifier.size
            if data not in samples:
                samples[data] = source.dataset[number]
            if (data, size) not in inputs:
                network, photo = source.classifier, photo_of(samples[data])
                inputs[data, size] = NetworkInput(
                    photo, size, 0, Squash(), network.color, self.seed, network.dtype
                )
            seen[source.name] = inputs[data, size]
            maps[source.name] = torch.from_numpy(self.stores[source.name].saliency(rows[source.name]))
        first = self._first(rows)
        numbers = {
            name: {key: value for key, value in row.items() if key != "mask"} for name, row in rows.items()
        }
        sample = samples[id(self.sources[0].dataset)]
        network_input = seen[self.sources[0].name]
        truth = None if sample.label is None else self._truths.get(sample.label)
        return Case(sample, network_input, tuple(first["target"]), first["label"], maps, seen, numbers, truth)

    def _first(self, rows: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The row that says what was asked: of the first source that asks after labels, or of the first."""
        for source in self.sources:
            if self.stores[source.name].manifest["settings"]["target"] in (LABEL, EACH):
                return rows[source.name]
        return rows[self.sources[0].name]

    def proofs(self, numbers: Sequence[int], count: int) -> dict[str, list[RenderedRow]]:
        """The first pictures that every source has a map of, source by source, at most so many."""
        found: dict[str, list[RenderedRow]] = {source.name: [] for source in self.sources}
        dataset = self.sources[0].dataset
        for number in numbers:
            rows = {source.name: self._rows(source, [dataset.id(number)]) for source in self.sources}
            if all(rows.values()):
                for source in self.sources:
                    row = next(iter(rows[source.name].values()))
                    photo = photo_of(source.dataset[number])
                    found[source.name].append(render_row(self.stores[source.name], row, photo))
                if len(found[self.sources[0].name]) == count:
                    break
        return found
