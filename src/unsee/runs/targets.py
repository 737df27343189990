"""Which classes a run explains for each image."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset
from unsee.errors import UnseeError
from unsee.masks.photos import TOP5, joined_classes

PREDICTED, TOP1, LABEL, EACH = "predicted", "top1", "label", "each"
TARGETS = (PREDICTED, TOP1, TOP5, LABEL, EACH)
"""What a run can explain: the predicted classes, as many as the preset says; the highest-scoring class; the
five highest-scoring; the image's own class; every class in the image, a row each."""


ClassMap = Mapping[str, tuple[int, ...]]
"""A label's name → the classifier's classes for it."""
_SHOWN = 6


class RowTarget(NamedTuple):
    """The target of one row.

    Args:
        name: the row's column `asked`.
        classes: the classifier's classes; None for the predicted ones.
        label: the image's class in the data set, or the one of its classes that is explained.
        problem: why its classes are not known.
    """

    name: str
    classes: tuple[int, ...] | None
    label: int | None
    problem: str | None = None


@dataclass(frozen=True)
class TargetRule:
    """Which classes are explained for each image of a data set.

    Args:
        kind: one of `TARGETS`, or the classes that are explained for all images, as they were named.
        classes: label → the classifier's classes for it; only for "label" and "each".
        fixed: the classes that are explained for all images; None for a kind of `TARGETS`.
    """

    kind: str
    classes: Mapping[int, tuple[int, ...]]
    fixed: tuple[int, ...] | None = None

    def targets_in(self, dataset: Dataset, index: int) -> list[RowTarget]:
        """The targets for one image; none if "each" finds no class that the classifier knows."""
        try:
            labels = dataset.labels(index)
        except UnseeError as error:
            needs_labels = self.kind in (LABEL, EACH)
            return [RowTarget(self.kind, None, None, str(error) if needs_labels else None)]
        label = labels[0] if labels else None
        if self.kind == EACH:
            return [RowTarget(named(dataset, k), self.classes[k], k) for k in labels if k in self.classes]
        if self.kind == LABEL:
            known = None if label is None else self.classes.get(label)
            return [] if known is None else [RowTarget(LABEL, known, label)]
        return [RowTarget(self.kind, self.fixed, label)]


def named(dataset: Dataset, label: int) -> str:
    """A label's name, with its number if several share the name, or its number if it has no name."""
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
    """The rule for a kind of target, with the classifier's classes for the data set's labels.

    Args:
        kind: one of `TARGETS`, or a class of the classifier by name or index, several joined by "+".
        dataset: the images.
        classifier: the network that is explained.
        class_map: name of a label → the classifier's classes for it; labels that are not in it are left
            out. Without a class map, names must match the classifier's; or, if either side has no names,
            numbers must match.

    Raises:
        UnseeError: an unknown kind, no labels, a label that the classifier does not have, or a class map
            for a kind that uses none.
    """
    if class_map is not None and kind not in (LABEL, EACH):
        raise UnseeError(f"a class map is for the targets label and each: {kind} uses no labels")
    if kind in TARGETS and kind not in (LABEL, EACH):
        return TargetRule(kind, {})
    count = classifier.reading.classes
    if kind not in TARGETS:
        return TargetRule(kind, {}, _fixed(kind, classifier, count))
    present = _labels_in(dataset, kind)
    if kind == LABEL and not _has_own_label(dataset):
        raise UnseeError("no image has a class of its own: explain all, with target='each' (--target each)")
    if class_map is not None:
        return TargetRule(kind, _mapped(class_map, present, dataset, count))
    return TargetRule(kind, {label: (_index(label, dataset, classifier, count),) for label in present})


def _fixed(text: str, classifier: Classifier, count: int) -> tuple[int, ...]:
    """The classes that a target names.

    Raises:
        UnseeError: the classifier has no such class.
    """
    parts = joined_classes(text)
    try:
        return tuple(dict.fromkeys(classifier.class_index(part, count) for part in parts))
    except UnseeError as error:
        raise UnseeError(f"{error}; a target is a class, or one of {', '.join(TARGETS)}") from error


def _mapped(
    class_map: ClassMap, present: Sequence[int], dataset: Dataset, count: int
) -> dict[int, tuple[int, ...]]:
    """The classifier's classes for the labels that a class map names.

    Raises:
        UnseeError: it names none of the labels, or a class that the network does not have.
    """
    names = {label: named(dataset, label) for label in present}
    chosen = {label: class_map[name] for label, name in names.items() if name in class_map}
    wrong = [index for indices in chosen.values() for index in indices if not 0 <= index < count]
    if wrong:
        raise UnseeError(f"the class map does not fit: the network has no class {wrong[0]}, only {count}")
    if not chosen:
        few = ", ".join(list(names.values())[:_SHOWN])
        raise UnseeError(f"the class map does not fit: it names none of the data set's classes ({few})")
    return chosen


def class_map_of(given: Mapping[str, int | Sequence[int]] | None) -> ClassMap | None:
    """A class map with a tuple of indices for each class.

    Raises:
        UnseeError: it is not a mapping, or a value is neither an index nor a list of indices.
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
    """The labels that will be explained, each once.

    Raises:
        UnseeError: the data set has no labels.
    """
    found: set[int] = set()
    for index in range(len(dataset)):
        with suppress(UnseeError):
            labels = dataset.labels(index)
            found.update(labels if kind == EACH else labels[:1])
    if not found:
        raise UnseeError(
            "the data set has no labels: explain the predicted class, with target='top1' (--target top1)"
        )
    return sorted(found)


def _has_own_label(dataset: Dataset) -> bool:
    """Whether the first image with labels that can be read has a class of its own."""
    for index in range(len(dataset)):
        with suppress(UnseeError):
            if dataset.labels(index):
                return dataset[index].label is not None
    return True


def _index(label: int, dataset: Dataset, classifier: Classifier, count: int) -> int:
    names = classifier.names
    same = names is not None and tuple(dataset.classes) == tuple(names)
    if same or not dataset.classes or (names is None and len(dataset.classes) == count):
        if label < count:
            return label
        raise UnseeError(f"{classifier.name} has no class {label}: it has {count} classes")
    name = named(dataset, label)
    exact = [index for index, other in enumerate(names or ()) if other.casefold() == name.casefold()]
    if len(exact) == 1 and exact[0] < count:
        return exact[0]
    raise UnseeError(
        f"{classifier.name} has no class {name!r}, which the data set has: give class_map=… "
        "(--class-map), or explain the predicted class with target='top1' (--target top1)"
    )
