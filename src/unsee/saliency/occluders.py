"""Occluders: hide parts of an image one after another and measure how far the score falls."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.memory import BATCH_SIZE
from unsee.saliency.targets import score_of
from unsee.tensors import smooth

SIDE = 224
"""The side in pixels of the image that the paper's sizes are for; they scale with the image."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """Occluders of one image, and how far the score falls under each.

    Args:
        pieces: 1 where the image is hidden, 0 where it is shown.
        falls: the original score minus the score under the occluder.
    """

    pieces: Float[Tensor, "n h w"]
    falls: Float[Tensor, " n"]


@torch.no_grad()
def hide(
    classifier: Classifier,
    image: Float[Tensor, "c h w"],
    target: tuple[int, ...],
    reference: Float[Tensor, "c h w"],
    pieces: Iterator[Float[Tensor, "n h w"]],
) -> Iterator[Hidden]:
    """Show the reference in place of each piece, batch by batch.

    Args:
        classifier: must be borrowed by the caller.
        image: at the input's size, in [0,1].
        target: the classes whose scores are summed.
        reference: what a piece shows, in [0,1].
        pieces: batches of occluders, 1 where the image is hidden.
    """
    score = score_of(classifier, [target])
    original = score(image[None])
    for some in pieces:
        inputs = torch.lerp(image, reference, some[:, None].to(image))
        yield Hidden(some, original - score(inputs))


def mean_fall(hidden: Iterator[Hidden]) -> Float[Tensor, "h w"]:
    """For each pixel the mean fall over the pieces that cover it, weighted by how much each covers it."""
    total: Tensor | float = 0.0
    cover: Tensor | float = 0.0
    for some in hidden:
        pieces = some.pieces.to(some.falls)
        total = total + torch.einsum("n,nhw->hw", some.falls, pieces)
        cover = cover + pieces.sum(dim=0)
    assert isinstance(total, Tensor)
    assert isinstance(cover, Tensor)
    return torch.where(cover > 0, total / cover, 0.0)


def squares(size: tuple[int, int], side: float, stride: float) -> Iterator[Float[Tensor, "n h w"]]:
    """Squares at every stride from the upper left, cropped at the right and bottom."""
    rows, columns = (_stripes(length, size, side, stride) for length in size)
    places = torch.cartesian_prod(torch.arange(len(rows)), torch.arange(len(columns)))
    for some in torch.split(places, BATCH_SIZE):
        yield rows[some[:, 0]][:, :, None] * columns[some[:, 1]][:, None, :]


def discs(
    size: tuple[int, int], centers: Float[Tensor, "n 2"], radii: Float[Tensor, " n"], softness: float
) -> Iterator[Float[Tensor, "n h w"]]:
    """Discs with soft edges, batch by batch.

    Args:
        size: height and width of the image in pixels.
        centers: row and column of each disc, in pixels.
        radii: in pixels.
        softness: standard deviation of the Gaussian that blurs the edges, in pixels.
    """
    rows, columns = (torch.arange(length, dtype=torch.float32) for length in size)
    for some, reach in zip(torch.split(centers, BATCH_SIZE), torch.split(radii, BATCH_SIZE), strict=True):
        down, across = rows - some[:, :1], columns - some[:, 1:]
        inside = down.square()[:, :, None] + across.square()[:, None, :] <= reach.square()[:, None, None]
        yield smooth(inside.to(rows), softness)


def scale(size: tuple[int, int]) -> float:
    """The image's size relative to the one that the paper's sizes are for."""
    return min(size) / SIDE


def _stripes(length: int, size: tuple[int, int], side: float, stride: float) -> Float[Tensor, "n length"]:
    unit = scale(size)
    starts = torch.arange(0, length / unit, stride)
    pixels = torch.arange(length)
    first, last = (starts * unit).round(), ((starts + side) * unit).round()
    return ((pixels >= first[:, None]) & (pixels < last[:, None])).float()
