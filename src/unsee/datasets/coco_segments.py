"""COCO's segments, polygons and run lengths, decoded by pycocotools.

pycocotools does not check its input: runs that are too short leave pixels undefined, and numbers that are too
large kill the process. So both are checked first.
"""

import warnings
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from unsee.datasets.coco_json import Entry
from unsee.decoding import shown_name
from unsee.errors import UnseeError
from unsee.optional import library

_OFFSET, _BITS, _MORE = 48, 5, 32  # of a character of compressed run lengths
_STRAY = 2  # how many sides of the image a polygon may extend beyond it


def segment_of(entry: Entry, shape: tuple[int, ...], source: Path) -> Bool[np.ndarray, "h w"] | None:
    """The pixels of an annotation in an image (height, width), None if it has no segment.

    Raises:
        UnseeError: the annotation, which is in the file `source`, is broken, or pycocotools is missing.
    """
    segmentation = entry.get("segmentation")
    if not segmentation:
        return None
    coco = library("pycocotools.coco", "data").COCO()
    coco.imgs = {entry["image_id"]: {"height": shape[0], "width": shape[1]}}
    try:
        _check(segmentation, shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of numpy 2, about how pycocotools uses it
            return np.asarray(coco.annToMask(entry), dtype=np.bool_)
    except Exception as error:
        where = f"{shown_name(source)}, annotation {entry.get('id', '?')}"
        size = "x".join(map(str, shape[::-1]))
        reason = shown_name(error)
        raise UnseeError(f"{where}: its segmentation does not fit an image of {size} ({reason})") from error


def _check(segmentation: Any, shape: tuple[int, ...]) -> None:  # noqa: ANN401
    if isinstance(segmentation, list):
        _check_polygons(segmentation, _STRAY * max(shape))
        return
    counts = segmentation["counts"]
    runs = decompressed(counts) if isinstance(counts, str) else counts
    if segmentation["size"] != list(shape):
        raise ValueError(f"its size is {segmentation['size']}, height before width")
    if min(runs) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError(f"its runs add up to {sum(runs)} pixels")


def _check_polygons(polygons: list[Any], most: int) -> None:
    for polygon in polygons:
        if not all(isfinite(number) and abs(number) <= most for number in polygon):
            raise ValueError("a polygon lies far outside")


def decompressed(counts: str) -> list[int]:
    """The runs of the compressed form; from the fourth on, each is a difference to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for byte in counts.encode():
        bits = byte - _OFFSET
        value |= (bits & (_MORE - 1)) << shift
        shift += _BITS
        if not bits & _MORE:
            value -= (1 << shift) if bits & (_MORE >> 1) else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
