"""Which classes a run asks about in each picture."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset
from unsee.errors import UnseeError
from unsee.masks.photos import TOP5

PREDICTED, TOP1, LABEL, EACH = "predicted", "top1", "label", "each"
TARGETS = (PREDICTED, TOP1, TOP5, LABEL, EACH)
"""What a run may ask: the predicted classes, as many as the preset says; the best one; the best five; the
picture's own class; every class in the picture, a row each."""


ClassMap = Mapping[str, tuple[int, ...]]
"""A label's name → the classifier's classes for it."""
_SHOWN = 6


class RowTarget(NamedTuple):
    """One question about one picture.

    `name` is what its row says was asked; `target` the classes, None for the predicted ones; `label` the
    picture's class in the data set, or the one of its classes that is asked about; `problem` why its
    classes are not known.
    """

    name: str
    classes: tuple[int, ...] | None
    label: int | None
    problem: str | None = None


@dataclass(frozen=True)
class TargetRule:
    """What is asked about every picture of a data set.

    Args:
        kind: one of `TARGETS`, or the classes that are asked about in all pictures, as they were named.
        classes: label → the classifier's classes for it; only "label" and "each" have any.
        fixed: those classes; None where they are not the same for all pictures.
    """

    kind: str
    classes: Mapping[int, tuple[int, ...]]
    fixed: tuple[int, ...] | None = None

    def targets_in(self, dataset: Dataset, index: int) -> list[RowTarget]:
        """The questions about one picture; none where "each" finds no class that the classifier knows."""
        try:
            labels = dataset.labels(index)
        except UnseeError as error:
            asks_for_labels = self.kind in (LABEL, EACH)
            return [RowTarget(self.kind, None, None, str(error) if asks_for_labels else None)]
        label = labels[0] if labels else None
        if self.kind == EACH:
            return [RowTarget(named(dataset, k), self.classes[k], k) for k in labels if k in self.classes]
        if self.kind == LABEL:
            known = None if label is None else self.classes.get(label)
            return [] if known is None else [RowTarget(LABEL, known, label)]
        return [RowTarget(self.kind, self.fixed, label)]


def named(dataset: Dataset, label: int) -> str:
    """A label's name, with its number where several have that name, or its number where it has none."""
    if label >= len(dataset.classes):
        return str(label)
    name = dataset.classes[label]
    return name if dataset.classes.count(name) == 1 else f"{name} ({label})"


def target_rule(
    kind: str,
    dataset: Dataset,
    classifier: Classifier,
    class_map: ClassMap | None = None,
) -> TargetRule:
    """The question of a kind, with the classifier's classes for the data set's labels.

    Args:
        kind: one of `TARGETS`, or a class of the classifier by name or index, several joined by "+".
        dataset: what is asked about.
        classifier: what is asked.
        class_map: name of a label → the classifier's classes for it; labels that are not in it are left
            out. Without one the names have to be the classifier's, or, where either has none, the numbers.

    Raises:
        UnseeError: an unknown kind, no labels, a label that is no class of the classifier, or a class map
            where none is used.
    """
    if class_map is not None and kind not in (LABEL, EACH):
        raise UnseeError(f"a class map is for the targets label and each: {kind} asks about no label")
    if kind in TARGETS and kind not in (LABEL, EACH):
        return TargetRule(kind, {})
    count = classifier.probabilities(torch.zeros(1, 3, *classifier.size)).shape[1]
    if kind not in TARGETS:
        return TargetRule(kind, {}, _fixed(kind, classifier, count))
    present = _labels_in(dataset, kind)
    if kind == LABEL and not _has_own_label(dataset):
        raise UnseeError("no picture has a class of its own: ask for each class in it, with --target each")
    if class_map is not None:
        return TargetRule(kind, _mapped(class_map, present, dataset, count))
    return TargetRule(kind, {label: (_index(label, dataset, classifier, count),) for label in present})


def _fixed(text: str, classifier: Classifier, count: int) -> tuple[int, ...]:
    """The classes of a name that is none of `TARGETS`.

    Raises:
        UnseeError: the classifier has no such class.
    """
    parts = [part.strip() for part in text.split("+")]
    if not all(parts):
        raise UnseeError(f"{text!r} lacks a class beside a '+': join classes as in 243+282")
    try:
        return tuple(dict.fromkeys(classifier.class_index(part, count) for part in parts))
    except UnseeError as error:
        raise UnseeError(f"{error}; a run asks about a class, or {', '.join(TARGETS)}") from error


def _mapped(
    class_map: ClassMap, present: Sequence[int], dataset: Dataset, count: int
) -> dict[int, tuple[int, ...]]:
    """The classifier's classes for the labels that a class map names.

    Raises:
        UnseeError: it names none of them, or a class that is not there.
    """
    names = {label: named(dataset, label) for label in present}
    chosen = {label: class_map[name] for label, name in names.items() if name in class_map}
    wrong = [index for indices in chosen.values() for index in indices if not 0 <= index < count]
    if wrong:
        raise UnseeError(f"the class map does not fit: the network has no class {wrong[0]}, only {count}")
    if not chosen:
        few = ", ".join(list(names.values())[:_SHOWN])
        raise UnseeError(f"the class map does not fit: it names none of the classes that are shown ({few})")
    return chosen


def class_map_of(given: Mapping[str, int | Sequence[int]] | None) -> ClassMap | None:
    """A class map as it was given, each class with a tuple of indices.

    Raises:
        UnseeError: no mapping, or a value that is no index and no list of indices.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise UnseeError(f"a class map is a mapping such as {{'dog': [151, 152]}}, not {given!r}")
    found: dict[str, tuple[Any, ...]] = {}
    for name, value in given.items():
        indices = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not indices or not all(type(index) is int for index in indices):
            raise UnseeError(f"the class map has {value!r} for {name!r}: give an index, or a list of them")
        found[str(name)] = indices
    return found


def _labels_in(dataset: Dataset, kind: str) -> list[int]:
    """The labels that will be asked about, each once.

    Raises:
        UnseeError: there is none.
    """
    found: set[int] = set()
    for index in range(len(dataset)):
        with suppress(UnseeError):
            labels = dataset.labels(index)
            found.update(labels if kind == EACH else labels[:1])
    if not found:
        raise UnseeError("the data set has no labels: ask for the predicted class, with --target top1")
    return sorted(found)


def _has_own_label(dataset: Dataset) -> bool:
    """Whether the first picture that shows a class and can be read has a class of its own."""
    for index in range(len(dataset)):
        with suppress(UnseeError):
            if dataset.labels(index):
                return dataset[index].label is not None
    return True


def _index(label: int, dataset: Dataset, classifier: Classifier, count: int) -> int:
    names = classifier.class_names
    same = names is not None and tuple(dataset.classes) == tuple(names)
    if same or not dataset.classes or (names is None and len(dataset.classes) == count):
        if label < count:
            return label
        raise UnseeError(f"label {label} is no class of {classifier.name}, which has {count}")
    name = named(dataset, label)
    exact = [index for index, other in enumerate(names or ()) if other.casefold() == name.casefold()]
    if len(exact) == 1 and exact[0] < count:
        return exact[0]
    raise UnseeError(
        f"the data set's class {name!r} is none of {classifier.name}'s: give a --class-map, or ask for the "
        "predicted class with --target top1"
    )
