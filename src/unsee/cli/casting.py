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
from unsee.experiments.maps import Look
from unsee.images import Squash
from unsee.masks.network_input import NetworkInput
from unsee.runs.rendered_row import RenderedRow, render_row
from unsee.runs.store import Store
from unsee.runs.targets import EACH, LABEL, ClassMap, target_rule


@dataclass(frozen=True, eq=False)
class Cast:
    """Looks with their stores.

    Args:
        looks: at least one; the first says what was asked.
        stores: its name → where its maps are.
        seed: of the frames.
        class_map: label's name → the first network's classes, None where their names are the same.
    """

    looks: Sequence[Look]
    stores: Mapping[str, Store]
    seed: int
    class_map: ClassMap | None = None

    @cached_property
    def _asked(self) -> Mapping[str, Mapping[str, list[str]]]:
        """Look → picture → what was asked about it, where there is a map."""
        found: dict[str, dict[str, list[str]]] = {}
        for look in self.looks:
            own = found.setdefault(look.name, {})
            for row in self.stores[look.name].table(["id", "asked", "error"]).to_pylist():
                if row["error"] is None:
                    own.setdefault(row["id"], []).append(row["asked"])
        return found

    def asked(self, numbers: Sequence[int]) -> list[list[Any]]:
        """For each picture its id, and which maps each look has of it, as JSON values."""
        ids = [self.looks[0].dataset.id(number) for number in numbers]
        return [[id, *(own.get(id, []) for own in self._asked.values())] for id in ids]

    def seen_by_all(self, numbers: Sequence[int]) -> set[str]:
        """The pictures that every look has a map of."""
        return {id for id, *maps in self.asked(numbers) if all(maps)}

    @cached_property
    def _truths(self) -> Mapping[int, tuple[int, ...]]:
        """Label → the first network's classes for it; empty where the two do not go together."""
        first = self.looks[0]
        try:
            return target_rule(LABEL, first.dataset, first.classifier, self.class_map).classes
        except UnseeError:
            return {}

    def cases(self, numbers: Sequence[int]) -> Iterator[Case]:
        """Some pictures, by their numbers in the data set, with the maps that every look has made of them."""
        dataset = self.looks[0].dataset
        place = {dataset.id(number): number for number in numbers}
        rows = {look.name: self._rows(look, list(place)) for look in self.looks}
        asked = self._questions(rows)
        for key in sorted(asked, key=lambda key: place[key[0]]):
            own = {name: known.get(key) or known.get((key[0], "")) for name, known in rows.items()}
            if all(own.values()):
                yield self._case(place[key[0]], {name: row for name, row in own.items() if row is not None})

    def _rows(self, look: Look, ids: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows with a map by picture and question; of a look that asks the same of all, by picture alone."""
        store = self.stores[look.name]
        own = store.manifest["settings"]["target"] in (LABEL, EACH)
        return {
            (row["id"], row["asked"] if own else ""): row for row in store.rows(ids) if row["error"] is None
        }

    def _questions(self, rows: Mapping[str, Mapping[tuple[str, str], Any]]) -> list[tuple[str, str]]:
        """What was asked about which picture: by looks that ask after labels, if there are any."""
        found = dict.fromkeys(key for known in rows.values() for key in known)
        return [key for key in found if key[1]] or list(found)

    def _case(self, number: int, rows: Mapping[str, dict[str, Any]]) -> Case:
        samples: dict[int, Sample] = {}
        frames: dict[tuple[int, tuple[int, int]], NetworkInput] = {}
        seen: dict[str, NetworkInput] = {}
        maps: dict[str, Tensor] = {}
        for look in self.looks:
            data, size = id(look.dataset), look.classifier.size
            if data not in samples:
                samples[data] = look.dataset[number]
            if (data, size) not in frames:
                network, photo = look.classifier, photo_of(samples[data])
                frames[data, size] = NetworkInput(
                    photo, size, 0, Squash(), network.color, self.seed, network.dtype
                )
            seen[look.name] = frames[data, size]
            maps[look.name] = torch.from_numpy(self.stores[look.name].saliency(rows[look.name]))
        first = self._first(rows)
        numbers = {
            name: {key: value for key, value in row.items() if key != "mask"} for name, row in rows.items()
        }
        sample = samples[id(self.looks[0].dataset)]
        frame = seen[self.looks[0].name]
        truth = None if sample.label is None else self._truths.get(sample.label)
        return Case(sample, frame, tuple(first["target"]), first["label"], maps, seen, numbers, truth)

    def _first(self, rows: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The row that says what was asked: of the first look that asks after labels, or of the first."""
        for look in self.looks:
            if self.stores[look.name].manifest["settings"]["target"] in (LABEL, EACH):
                return rows[look.name]
        return rows[self.looks[0].name]

    def proofs(self, numbers: Sequence[int], count: int) -> dict[str, list[RenderedRow]]:
        """The first pictures that every look has a map of, look by look, at most so many."""
        found: dict[str, list[RenderedRow]] = {look.name: [] for look in self.looks}
        dataset = self.looks[0].dataset
        for number in numbers:
            rows = {look.name: self._rows(look, [dataset.id(number)]) for look in self.looks}
            if all(rows.values()):
                for look in self.looks:
                    row = next(iter(rows[look.name].values()))
                    photo = photo_of(look.dataset[number])
                    found[look.name].append(render_row(self.stores[look.name], row, photo))
                if len(found[self.looks[0].name]) == count:
                    break
        return found
