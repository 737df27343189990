"""The pointing game (§5.6, table 2; supplement 4): does the highest point lie on the object?"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from unsee.datasets.sample import Instance, Sample
from unsee.errors import UnseeError
from unsee.metrics.localisation import checked_boxes
from unsee.metrics.maps import heights, picture_size, readable
from unsee.words import counted

TOLERANCE = 15.0
"""Pixels within which a point counts as on the object."""
_TIED = 1e-6
_DIFFICULT_BELOW = 0.25

Point = Sequence[float | int] | Real[Tensor, "2"]


def peak(saliency: Float[Tensor, "*b h w"], size: tuple[int, int]) -> Float[Tensor, "*b 2"]:
    """Where a map is highest: the mean position of all values within 1e-6 of its range of the maximum.

    Ties are averaged, since masks that are clipped to [0,1] saturate (supplement 4). They are averaged before
    the map is resized to the image, centres on centres. The peak of a constant map is the image's centre.

    Args:
        saliency: one map or a batch, at any size, high where salient.
        size: height and width of the image.

    Returns:
        x and y in pixels of the image, the centre of pixel (0, 0) being (0, 0); float64, on the CPU.

    Raises:
        UnseeError: a map that is not finite.
    """
    maps = readable(saliency)
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    tied = (maps >= high - _TIED * (high - low)).double()
    axes = [tied.sum(dim=-2), tied.sum(dim=-1)]
    height, width = picture_size(size)
    return torch.stack(
        [_centre(many, length) for many, length in zip(axes, (width, height), strict=True)], dim=-1
    )


def _centre(many: Float[Tensor, "*b cells"], length: int) -> Float[Tensor, "*b"]:
    """The mean cell of a line of counts, in pixels of a line of `length`."""
    cells = many.shape[-1]
    mean = many @ torch.arange(cells, dtype=many.dtype) / many.sum(dim=-1)
    return (mean + 0.5) * length / cells - 0.5


def first_peak(saliency: Float[Tensor, "*b h w"], size: tuple[int, int]) -> Float[Tensor, "*b 2"]:
    """The point that TorchRay's benchmark uses: the first maximum of the map at the image's size.

    The first, row by row from the top, of the map resized bilinearly, centres on centres. For a constant map
    it is the upper left pixel.

    Args:
        saliency: one map or a batch, at any size, high where salient.
        size: height and width of the image.

    Returns:
        x and y of a pixel, float64, on the CPU.

    Raises:
        UnseeError: a map that is not finite.
    """
    place = heights(saliency, size).flatten(-2).argmax(dim=-1)
    return torch.stack([place % size[1], place // size[1]], dim=-1).double()


def hits(
    point: Point, instances: Bool[Tensor, "n h w"] | Real[Tensor, "n 4"], tolerance: float = TOLERANCE
) -> bool:
    """Whether a point lies within `tolerance` pixels of any instance, inclusive.

    The distance is Euclidean, to the centre of the nearest pixel of an instance.

    Args:
        point: x and y in pixels of the image that the instances are given in.
        instances: boolean segments, or half-open boxes (x0, y0, x1, y1), of which every pixel they touch
            counts.
        tolerance: in pixels.

    Raises:
        UnseeError: the point or tolerance is invalid, or there is no instance to hit.
    """
    return _gap(point, instances, tolerance) <= tolerance


def touched(
    point: Point, instances: Bool[Tensor, "n h w"] | Real[Tensor, "n 4"], tolerance: float = TOLERANCE
) -> bool:
    """TorchRay's rule: whether the open disc around a point holds a pixel of any instance.

    Args and errors are those of `hits`; a distance of exactly `tolerance` misses.
    """
    return _gap(point, instances, tolerance) < tolerance


def _gap(point: Point, instances: Tensor, reach: float) -> float:
    """The distance in pixels to the nearest pixel of any instance; infinite where none is within reach."""
    place = torch.tensor([float(value) for value in point], dtype=torch.float64)
    if not bool(place.isfinite().all()):
        raise UnseeError(f"{tuple(place.tolist())} is not a point: its coordinates must be finite")
    if not 0 <= reach < math.inf:
        raise UnseeError(f"the tolerance must be finite and at least 0 pixels, got {reach}")
    kind, shape = instances.dtype, tuple(instances.shape)
    if kind == torch.bool and len(shape) == 3:
        union = instances.any(dim=0)
        some, pixels = bool(union.any()), _within(place, union, reach)
    elif kind != torch.bool and len(shape) == 2 and shape[1] == 4:
        pixels = _nearest(place, checked_boxes(instances).cpu())
        some = len(pixels) > 0
    else:
        raise UnseeError(f"instances must be boolean (n, h, w) or boxes (n, 4), got {kind} {shape}")
    if not some:
        raise UnseeError("there is no pixel of an instance to hit: leave out images without one")
    gaps = (pixels - place).square().sum(dim=1).sqrt()
    return float(gaps.min()) if len(gaps) else math.inf


def _within(place: Float[Tensor, "2"], union: Bool[Tensor, "h w"], reach: float) -> Float[Tensor, "m 2"]:
    """The pixels of a segment in a square around a place that holds all within reach."""
    left, top = (max(int(value), 0) for value in (place - reach).floor().tolist())
    right, bottom = (max(int(value) + 1, 0) for value in (place + reach).ceil().tolist())
    pixels = union[top:bottom, left:right].nonzero().flip(1).cpu()
    return pixels.double() + torch.tensor([left, top], dtype=torch.float64)


def _nearest(place: Float[Tensor, "2"], boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "m 2"]:
    """For each box that touches any pixel, its pixel nearest to a place."""
    first, last = boxes[:, :2].floor(), boxes[:, 2:].ceil() - 1
    some = (first <= last).all(dim=1)
    return place.round().clamp(first[some], last[some])


def difficult(sample: Sample, label: int) -> bool:
    """Whether a class covers less than 25 % of an image that shows at least one other class (§5.6).

    The area is that of the union of the class's segments; an instance without one counts with its box.

    Raises:
        UnseeError: the image does not show the class.
    """
    if label not in sample.labels:
        raise UnseeError(f"{sample.id} shows no instance of class {label}")
    covered = np.zeros(sample.image.shape[:2], dtype=np.bool_)
    for instance in sample.instances:
        if instance.label == label:
            covered |= _pixels(instance, covered.shape)
    return bool(covered.mean() < _DIFFICULT_BELOW) and len(sample.labels) > 1


def _pixels(instance: Instance, size: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    if instance.segment is not None:
        return instance.segment
    left, top, right, bottom = instance.box
    pixels = np.zeros(size, dtype=np.bool_)
    rows = slice(max(math.floor(top), 0), max(math.ceil(bottom), 0))
    pixels[rows, max(math.floor(left), 0) : max(math.ceil(right), 0)] = True
    return pixels


def class_precisions(
    hit: Sequence[bool] | Bool[Tensor, " n"], labels: Sequence[int] | Real[Tensor, " n"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """The share of hits of each class that has an image, by rising label, and how many images it has.

    Raises:
        UnseeError: the numbers of classes and images differ.
    """
    if len(hit) != len(labels):
        raise UnseeError(
            f"{counted(len(hit), 'image')} and {counted(len(labels), 'class', 'classes')}: give one for each"
        )
    scored = torch.as_tensor(hit, dtype=torch.float64).cpu()
    _, places = np.unique(torch.as_tensor(labels).cpu().numpy(), return_inverse=True)
    kinds = torch.from_numpy(places)
    numbers = torch.bincount(kinds).double()
    return torch.bincount(kinds, weights=scored) / numbers, numbers
