"""What every data set can do: pictures by number, read when they are asked for."""

import json
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from unsee.datasets.sample import Sample
from unsee.errors import UnseeError


@runtime_checkable
class Dataset(Protocol):
    """Pictures with what is known about them.

    `classes` names the labels, in order; it is empty where a data set has labels without names, or none. One
    that has `described` too, a mapping of JSON values, says by it which pictures these are.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""

    def __len__(self) -> int:
        """How many pictures there are."""

    def __getitem__(self, index: int) -> Sample:
        """Read one picture; negative indices count from the end.

        Raises:
            UnseeError: the picture is missing or broken; the line names its file.
            IndexError: there is no such picture.
        """

    def id(self, index: int) -> str:
        """What the picture is called: its own name in the data set, known without reading it."""

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes in the picture, its own first, known without reading it."""


def description(dataset: Dataset) -> Mapping[str, Any]:
    """What a data set says that it is, or else the name of its type.

    Raises:
        UnseeError: that has no name, or cannot be written as JSON.
    """
    own: Any = getattr(dataset, "described", None)
    if own is None:
        return {"name": type(dataset).__qualname__}
    said = f"`described` of the data set {type(dataset).__qualname__}"
    if not isinstance(own, Mapping) or not isinstance(own.get("name"), str):
        raise UnseeError(f"{said} has no name: give a mapping with 'name', a text")
    try:
        json.dumps(dict(own), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnseeError(
            f"{said} is no JSON ({error}): give texts, finite numbers, lists and mappings"
        ) from None
    return own


def position(index: int, length: int) -> int:
    """Where a picture is, counted from the start; negative indices count from the end.

    Raises:
        IndexError: there is no such picture.
    """
    if not -length <= index < length:
        raise IndexError(f"picture {index} of {length}")
    return index % length
