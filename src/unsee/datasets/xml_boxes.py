"""Bounding boxes as Pascal VOC and ILSVRC write them, an XML file for each picture."""

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
    """One object that an annotation names."""

    name: str
    box: Box
    difficult: bool = False


@dataclass(frozen=True)
class Annotation:
    """What is written about a picture in the file `source`; `size` is (width, height), None where unsaid."""

    source: Path
    size: tuple[int, int] | None = None
    objects: tuple[Noted, ...] = ()


def read_annotation(path: Path, first: int) -> Annotation:
    """The objects of an annotation, parsed by torchvision; parts of objects are left out.

    `first` is the number of the first pixel: Pascal VOC counts from 1, ImageNet from 0.

    Raises:
        UnseeError: the file is missing, or no such annotation.
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
        raise UnseeError(f"{shown_name(path)} is no bounding-box XML ({reason}): fetch it anew") from error


def half_open(x0: float, y0: float, x1: float, y1: float, first: int) -> Box:
    """A box whose pixels are counted from `first`, the last included, from 0 and with the last left out."""
    return x0 - first, y0 - first, x1 - first + 1, y1 - first + 1


def within(box: Box, size: tuple[int, int] | None) -> Box | None:
    """A box cut off at the border of a picture of (width, height), None where nothing of it is left."""
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
