"""Bounding boxes in the XML format of Pascal VOC and ILSVRC, one file per image."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from torchvision.datasets import VOCDetection

from unsee.datasets.sample import Box
from unsee.decoding import shown_name
from unsee.errors import UnseeError


@dataclass(frozen=True)
class Noted:
    """One annotated object."""

    name: str
    box: Box
    difficult: bool = False


@dataclass(frozen=True)
class Annotation:
    """The annotation of an image in the file `source`; `size` is (width, height), or None."""

    source: Path
    size: tuple[int, int] | None = None
    objects: tuple[Noted, ...] = ()


def read_annotation(path: Path, first: int) -> Annotation:
    """The objects of an annotation, parsed by torchvision; parts of objects are left out.

    `first` is the number of the first pixel: Pascal VOC counts from 1, ImageNet from 0.

    Raises:
        UnseeError: the file is missing, or not such an annotation.
    """
    try:
        root = ElementTree.parse(path).getroot()
        noted = VOCDetection.parse_voc_xml(root)["annotation"]
        size = _size(noted)
        return Annotation(path, size, tuple(_object(entry, size, first) for entry in noted["object"]))
    except OSError as error:
        raise UnseeError(f"{shown_name(path)} cannot be read ({error.strerror}): check it") from error
    except (ElementTree.ParseError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {shown_name(error)}"
        raise UnseeError(
            f"{shown_name(path)} is not bounding-box XML ({reason}): download it again"
        ) from error


def half_open(x0: float, y0: float, x1: float, y1: float, first: int) -> Box:
    """A box in the coordinates of this package.

    Args:
        x0, y0, x1, y1: its first and last column and row, both inclusive, in pixels.
        first: the number of the first pixel, 0 or 1.

    Returns:
        The half-open box [x0, y0, x1, y1), counted from 0.
    """
    return x0 - first, y0 - first, x1 - first + 1, y1 - first + 1


def within(box: Box, size: tuple[int, int] | None) -> Box | None:
    """A box cropped to an image of (width, height), or None if it lies outside."""
    x0, y0, x1, y1 = box
    width, height = size or (x1, y1)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _size(noted: Mapping[str, Any]) -> tuple[int, int] | None:
    if "size" not in noted:
        return None
    size = int(noted["size"]["width"]), int(noted["size"]["height"])
    return size if min(size) > 0 else None


def _object(entry: Mapping[str, Any], size: tuple[int, int] | None, first: int) -> Noted:
    corners = entry["bndbox"]
    left, top, right, bottom = (float(corners[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
    box = within(half_open(left, top, right, bottom, first), size)
    if box is None:
        raise ValueError(f"the box {', '.join(corners.values())} holds no pixel")
    return Noted(str(entry["name"]), box, entry.get("difficult", "0") == "1")
