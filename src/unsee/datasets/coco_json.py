"""COCO's JSON: images, categories and annotations, checked and sorted by image."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any

from unsee.datasets.files import read_json, repeated
from unsee.datasets.sample import Box, Keypoint
from unsee.decoding import shown_name
from unsee.errors import UnseeError

THING = "thing"
"""The supercategory that marks things that are not classes in the menagerie's export."""
_PARTS = {"eye": ("eye",), "foot": ("paw", "foot", "feet", "hoof", "hoove")}
_NEAR_EYES = ("eyebrow", "eyelid", "eyelash")

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Category:
    """A category; `label` is None for things that are not classes, `group` is the supercategory or ""."""

    name: str
    label: int | None
    keypoints: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Pictured:
    """An image's entry: its file, its size (width, height) if given, and its annotations."""

    file: str
    size: tuple[int, int] | None
    annotations: tuple[Entry, ...]


@dataclass(frozen=True)
class Book:
    """The contents of a file; labels are the ranks of the sorted category ids."""

    path: Path
    categories: Mapping[int, Category]
    pictures: tuple[Pictured, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return tuple(category.name for category in self.categories.values() if category.label is not None)


def read_book(path: Path) -> Book:
    """Read a file and check it.

    Raises:
        UnseeError: it is missing, holds no images, or an entry is broken; the message names the file.
    """
    shown = shown_name(path)
    held = read_json(path)
    try:
        categories = _categories(held["categories"])
        pictures = {image["id"]: _pictured(image) for image in held["images"]}
        again = repeated(picture.file for picture in pictures.values())
        if again is not None or len(pictures) < len(held["images"]):
            raise UnseeError(f"{shown} lists {'an id' if again is None else repr(again)} twice")
        found = defaultdict(list)
        for annotation in held["annotations"]:
            found[_checked(annotation, pictures, categories, shown)].append(annotation)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {shown_name(error)}"
        raise UnseeError(f"{shown} is not valid COCO JSON ({reason}): download it again") from error
    if not pictures:
        raise UnseeError(f"{shown} lists no images")
    listed = (Pictured(p.file, p.size, tuple(found[image])) for image, p in pictures.items())
    return Book(path, categories, tuple(listed))


def corners(box: list[int | float]) -> Box:
    """COCO's box [x, y, width, height] as (x0, y0, x1, y1)."""
    x, y, width, height = box
    return x, y, x + width, y + height


def keypoints_of(annotation: Entry, names: tuple[str, ...]) -> tuple[Keypoint, ...]:
    """The keypoints that are labelled, v > 0; eyes and feet are recognised by their names."""
    flat = annotation.get("keypoints") or ()
    marked = zip(names, flat[0::3], flat[1::3], flat[2::3], strict=False)
    return tuple(Keypoint(float(x), float(y), part(name)) for name, x, y, v in marked if v > 0)


def part(name: str) -> str:
    """Whether a keypoint is an "eye" or a "foot" by its name; else the name."""
    lowered = name.lower()
    if any(word in lowered for word in _NEAR_EYES):
        return name
    return next((kind for kind, words in _PARTS.items() if any(word in lowered for word in words)), name)


def _categories(held: list[Entry]) -> dict[int, Category]:
    categories: dict[int, Category] = {}
    labels = count()
    for entry in sorted(held, key=lambda entry: entry["id"]):
        if entry["id"] in categories:
            raise ValueError(f"category {entry['id']} is listed twice")
        label = None if entry.get("supercategory") == THING else next(labels)
        names = tuple(str(name) for name in entry.get("keypoints") or ())
        group = str(entry.get("supercategory") or "")
        categories[entry["id"]] = Category(str(entry["name"]), label, names, group)
    return categories


def _pictured(image: Entry) -> Pictured:
    size = (int(image["width"]), int(image["height"])) if "width" in image and "height" in image else None
    return Pictured(str(image["file_name"]), size, ())


def _checked(
    entry: Entry,
    pictures: Mapping[Any, Pictured],
    categories: Mapping[int, Category],
    shown: str,
) -> Any:  # noqa: ANN401
    """The id of the image that an annotation belongs to."""
    where = f"{shown}, annotation {entry.get('id', '?')}"
    held: list[Any] = [entry.get(key) for key in ("image_id", "category_id", "bbox", "keypoints")]
    image, category, box, points = held
    if image not in pictures:
        raise UnseeError(f"{where}: there is no image {image!r}")
    if category not in categories:
        raise UnseeError(f"{where}: there is no category {category!r}")
    if not _numbers(box, 4) or min(box[2:]) < 0:
        raise UnseeError(f"{where}: its bbox is {shown_name(box)}, not [x, y, width, height]")
    wanted = 3 * len(categories[category].keypoints)
    if points and not _numbers(points, wanted):
        raise UnseeError(f"{where}: its keypoints must be {wanted} numbers, x, y and v for each")
    return image


def _numbers(held: object, length: int) -> bool:
    if not isinstance(held, list) or len(held) != length:
        return False
    return all(type(number) in (int, float) and isfinite(number) for number in held)
