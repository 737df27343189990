"""The job of a run: which images, which target classes, which method; and the rows that result."""

import json
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

import torch

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset
from unsee.datasets.picture import photo_of
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.pixels import UNIT
from unsee.records import digest
from unsee.runs.methods import RowMethod, TargetedPhoto
from unsee.runs.rows import Row
from unsee.runs.targets import ClassMap, RowTarget, TargetRule
from unsee.target_scores import SOFTMAX
from unsee.words import none_can

OnRow = Callable[[], None]
_OTHERS = 3
"""How many other images are tried if every image of a portion has failed."""


class MissingRow(NamedTuple):
    """A row to compute: the number of its image in the data set, the image's id, and the target."""

    number: int
    id: str
    target: RowTarget

    @property
    def key(self) -> tuple[str, str]:
        """Identifies a row within its store."""
        return self.id, self.target.name


class Portion(NamedTuple):
    """The images from `first` up to, but not including, `stop`: their rows become one part of the store."""

    number: int
    first: int
    stop: int


@dataclass(frozen=True, eq=False)
class Job:
    """Everything that a worker needs.

    Args:
        classifier: returned in the state in which it was given.
        dataset: the images.
        rule: which classes are explained for each image.
        method: what is computed for each image, with every setting resolved.
        data: the description of the data set, for the record.
        class_map: label's name → classes, for the record; None if none was given.
    """

    classifier: Classifier
    dataset: Dataset
    rule: TargetRule
    method: RowMethod
    data: Mapping[str, Any]
    class_map: ClassMap | None = None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting that decides the rows, as JSON values."""
        own = {
            "data": {**self.data, "pictures": len(self.dataset), "ids": ids_digest(self.dataset)},
            "model": self.classifier.name,
            "weights_sha256": self.classifier.weights_sha256 or weights_digest(self.classifier),
            "input_size": list(self.classifier.size),
            "mean": self.classifier.values.mean,
            "std": self.classifier.values.std,
            "color": self.classifier.color,
            **_unusual(self.classifier),
            "target": self.rule.kind,
            "class_map": None if self.class_map is None else {k: list(v) for k, v in self.class_map.items()},
        }
        whole: dict[str, Any] = json.loads(json.dumps(own | self.method.settings()))
        return whole

    @cached_property
    def settings_hash(self) -> str:
        """The hash of `settings`, hexadecimal."""
        return digest(self.settings)

    def portions(self, size: int, limit: int | None = None) -> list[Portion]:
        """The first `limit` images, `size` to a portion."""
        count = len(self.dataset) if limit is None else min(limit, len(self.dataset))
        starts = enumerate(range(0, count, size))
        return [Portion(number, first, min(first + size, count)) for number, first in starts]

    def items(self, portion: Portion) -> list[MissingRow]:
        """The rows to compute for a portion, in order."""
        return [item for number in range(portion.first, portion.stop) for item in self._items_of(number)]

    def _items_of(self, number: int) -> list[MissingRow]:
        id = text_of(self.dataset.id(number))
        return [MissingRow(number, id, target) for target in self.rule.targets_in(self.dataset, number)]

    def check_readable(self, portions: Sequence[Portion]) -> None:
        """Check that at least one image of these portions can be read.

        Raises:
            UnseeError: none can.
        """
        failed: dict[int, str] = {}
        for item in (item for portion in portions for item in self.items(portion)):
            if item.number not in failed:
                ((_, sample),) = self._read([item])
                if not isinstance(sample, str):
                    return
                failed[item.number] = sample
        raise UnseeError(f"{none_can(len(failed), 'image', 'be read')}: {next(iter(failed.values()))}")

    def rows(self, portion: Portion, on_row: OnRow | None = None) -> list[Row]:
        """The rows of a portion, in order; `on_row` is called after each is computed, in any order.

        An image that cannot be read, or at which the network or the method fails, gets a row with the error.
        If every image of the portion fails, a few others are tried. If those fail too, the images are not to
        blame, and the error is raised.

        Raises:
            UnseeError: an error that affects every image.
        """
        items, failure = self.items(portion), None
        try:
            found = self._rows(items, on_row)
        except Exception as error:
            failure = error
            found = [self._alone(item) for item in items]
        errors = [row.error for row in found if _was_read(row)]
        if errors and all(errors) and not self._can_do_others(portion):
            raise failure or UnseeError(f"{none_can(len(errors), 'image', 'be used')}: {errors[0]}")
        return found

    def _can_do_others(self, portion: Portion) -> bool:
        """Whether network and method succeed for one of the next images that can be read."""
        numbers = chain(range(portion.stop, len(self.dataset)), range(portion.first))
        tried = (self._alone(item) for number in numbers for item in self._items_of(number)[:1])
        return any(row.error is None for row in islice(filter(_was_read, tried), _OTHERS))

    def _alone(self, item: MissingRow) -> Row:
        ((_, sample),) = self._read([item])
        if isinstance(sample, str):
            return self._row(item, {"error": sample})
        facts: dict[str, Any] = {}
        try:
            facts = _facts(sample)
            photo = TargetedPhoto(photo_of(sample), item.target.classes)
            (values,) = self.method.values(self.classifier, [photo])
        except Exception as error:
            values = {"error": _reason(error)}
        return self._row(item, facts | values)

    def _rows(self, items: Sequence[MissingRow], on_row: OnRow | None = None) -> list[Row]:
        done: dict[tuple[str, str], Row] = {}
        report = on_row or _ignore
        drawn: deque[tuple[MissingRow, dict[str, Any]]] = deque()

        def photos() -> Iterator[TargetedPhoto]:
            for item, sample in self._read(items):
                if isinstance(sample, str):
                    done[item.key] = self._row(item, {"error": sample})
                    report()
                    continue
                drawn.append((item, _facts(sample)))
                yield TargetedPhoto(photo_of(sample), item.target.classes)

        for values in self.method.values(self.classifier, photos()):
            item, facts = drawn.popleft()
            done[item.key] = self._row(item, facts | values)
            report()
        return [done[item.key] for item in items]

    def _read(self, items: Sequence[MissingRow]) -> Iterator[tuple[MissingRow, Sample | str]]:
        """Each item with its image, read once for all of its targets, or with the reason why it cannot be."""
        for number, group in groupby(items, key=lambda item: item.number):
            try:
                sample: Sample | str = self.dataset[number]
            except Exception as error:
                sample = _reason(error)
            yield from ((item, item.target.problem or sample) for item in group)

    def _row(self, item: MissingRow, values: dict[str, Any]) -> Row:
        id, asked = item.key
        known = {"id": id, "asked": asked, "label": item.target.label, "settings_hash": self.settings_hash}
        return Row(**(known | values))


def _unusual(classifier: Classifier) -> dict[str, Any]:
    """What most networks do not have, and older stores neither: another head or value range, and facts."""
    values = {"value_range": classifier.value_range, "head": classifier.reading.summary}
    usual = {"value_range": UNIT, "head": SOFTMAX}
    changed = {name: value for name, value in values.items() if value != usual[name]}
    return {**changed, **classifier.facts}


def _reason(error: Exception) -> str:
    """An error that the user can correct as one line, any other with its traceback."""
    return str(error) if isinstance(error, UnseeError) else "".join(traceback.format_exception(error)).strip()


def _was_read(row: Row) -> bool:
    return row.photo_size is not None


def _ignore() -> None:
    """Ignore progress."""


def _facts(sample: Sample) -> dict[str, Any]:
    """The columns of a row that describe its photo."""
    return {
        "photo": None if sample.path is None else text_of(str(sample.path.absolute())),
        "photo_size": sample.image.shape[:2],
        "file_hash": sample.sha256,
    }


def text_of(name: str) -> str:
    """A name as valid UTF-8: bytes of a file name that are not become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def ids_digest(dataset: Dataset) -> str:
    """A hash of the ids of all images, in order.

    Raises:
        UnseeError: two images have the same id.
    """
    found, seen = sha256(), set()
    for number in range(len(dataset)):
        id = text_of(dataset.id(number))
        if id in seen:
            raise UnseeError(
                f"two images of the data set have the id {id!r}: their rows could not be distinguished"
            )
        seen.add(id)
        found.update(f"{id}\n".encode())
    return found.hexdigest()


def weights_digest(classifier: Classifier) -> str:
    """A hash of the network's parameters and buffers."""
    found = sha256()
    for name, value in classifier.net.state_dict().items():
        if isinstance(value, torch.Tensor):
            found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
