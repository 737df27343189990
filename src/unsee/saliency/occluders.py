"""Pieces of the picture hidden one after another, and what the score loses by each."""

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
"""The side in pixels of the pictures that the paper's sizes are meant for; they grow with the picture."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """Pieces of one picture, hidden, and how much the score fell.

    Args:
        pieces: 1 where hidden, 0 where not.
        falls: original score less the score without the piece.
    """

    pieces: Float[Tensor, "n h w"]
    falls: Float[Tensor, " n"]


@torch.no_grad()
def hide(
    classifier: Classifier,
    view: Float[Tensor, "3 h w"],
    target: tuple[int, ...],
    reference: Float[Tensor, "3 h w"],
    pieces: Iterator[Float[Tensor, "n h w"]],
) -> Iterator[Hidden]:
    """Show the reference in place of each piece, a group of them at a time; the classifier is borrowed."""
    score = score_of(classifier, [target])
    original = score(view[None])
    for some in pieces:
        views = torch.lerp(view, reference, some[:, None].to(view))
        yield Hidden(some, original - score(views))


def mean_fall(hidden: Iterator[Hidden]) -> Float[Tensor, "h w"]:
    """For each pixel the mean fall over the pieces that cover it, each counted as far as it does."""
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
    """Squares at every stride from the upper left, cut off at the right and bottom."""
    rows, columns = (_stripes(length, size, side, stride) for length in size)
    places = torch.cartesian_prod(torch.arange(len(rows)), torch.arange(len(columns)))
    for some in torch.split(places, BATCH_SIZE):
        yield rows[some[:, 0]][:, :, None] * columns[some[:, 1]][:, None, :]


def discs(
    size: tuple[int, int], centers: Float[Tensor, "n 2"], radii: Float[Tensor, " n"], softness: float
) -> Iterator[Float[Tensor, "n h w"]]:
    """Discs round centres (row, column), softened by a Gaussian of so many pixels."""
    rows, columns = (torch.arange(length, dtype=torch.float32) for length in size)
    for some, reach in zip(torch.split(centers, BATCH_SIZE), torch.split(radii, BATCH_SIZE), strict=True):
        down, across = rows - some[:, :1], columns - some[:, 1:]
        inside = down.square()[:, :, None] + across.square()[:, None, :] <= reach.square()[:, None, None]
        yield smooth(inside.to(rows), softness)


def scale(size: tuple[int, int]) -> float:
    """How much larger a picture is than those that the paper's sizes are meant for."""
    return min(size) / SIDE


def _stripes(length: int, size: tuple[int, int], side: float, stride: float) -> Float[Tensor, "n length"]:
    unit = scale(size)
    starts = torch.arange(0, length / unit, stride)
    pixels = torch.arange(length)
    first, last = (starts * unit).round(), ((starts + side) * unit).round()
    return ((pixels >= first[:, None]) & (pixels < last[:, None])).float()
