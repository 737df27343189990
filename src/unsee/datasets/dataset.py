"""The protocol of data sets: images by index, read on access."""

import json
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from unsee.datasets.sample import Sample
from unsee.errors import UnseeError


@runtime_checkable
class Dataset(Protocol):
    """Images with their ground truth.

    `classes` names the labels, in order; it is empty if labels have no names or there are none. A data set
    may also have `described`, a mapping of JSON values that identifies its images.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, index: int) -> Sample:
        """Read one image; negative indices count from the end.

        Raises:
            UnseeError: the image is missing or broken; the message names its file.
            IndexError: there is no such image.
        """

    def id(self, index: int) -> str:
        """The image's name in the data set, known without reading it."""

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes in the image, its own first, known without reading it."""


def read_as(dataset: Dataset, channels: int, value_range: tuple[float, float]) -> Dataset:
    """The data set with images as a network takes them, if it has a choice: a method `reading`.

    Args:
        dataset: any.
        channels: of the network.
        value_range: what black and white are for the network.
    """
    own = getattr(dataset, "reading", None)
    if own is None:
        return dataset
    found: Dataset = own(channels, value_range)
    return found


def description(dataset: Dataset) -> Mapping[str, Any]:
    """The `described` of a data set, or else the name of its type.

    Raises:
        UnseeError: it has no name, or cannot be written as JSON.
    """
    own: Any = getattr(dataset, "described", None)
    if own is None:
        return {"name": type(dataset).__qualname__}
    said = f"`described` of the data set {type(dataset).__qualname__}"
    if not isinstance(own, Mapping) or not isinstance(own.get("name"), str):
        raise UnseeError(f"{said} has no name: give a mapping with 'name', a string")
    try:
        json.dumps(dict(own), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnseeError(
            f"{said} is not JSON ({error}): use strings, finite numbers, lists and mappings"
        ) from None
    return own


def position(index: int, length: int) -> int:
    """The index of an image from the start; negative indices count from the end.

    Raises:
        IndexError: there is no such image.
    """
    if not -length <= index < length:
        raise IndexError(f"image {index} of {length}")
    return index % length
