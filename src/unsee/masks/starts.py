"""The first mask (§4.3 and supplement §2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.game import Game
from unsee.masks.grid import to_cells
from unsee.masks.scoring import Scoring
from unsee.memory import BATCH_SIZE, by_halves
from unsee.tensors import generator, smooth

_RANDOM_STREAM = 4
_SAME_SCORE = 1e-6


@dataclass(frozen=True, eq=False)
class Started:
    """The first masks, and how many evaluations of the network each image's start took."""

    masks: Float[Tensor, "b r c"]
    evaluations: Int[Tensor, " b"]


@runtime_checkable
class Start(Protocol):
    """Gives the first mask of every image."""

    def __call__(self, scoring: Scoring, game: Game, cells: tuple[int, int]) -> Started:
        """Masks in [0,1] on a grid of `cells`."""

    def in_cells(self) -> "Start":
        """The same for masks on cells of their own, such as tokens; itself if it has no lengths in pixels."""
        return self

    def scaled(self, scale: float | None) -> "Start":  # noqa: ARG002
        """The same with lengths in cells, `scale` of them for each pixel; None where masks are no picture.

        Itself if it has no lengths.
        """
        return self


@dataclass(frozen=True)
class ConstantStart(Start):
    """The same value in every cell, in [0,1]."""

    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise UnseeError(f"a mask must start from a value in [0, 1], got {self.value}")

    def __call__(self, scoring: Scoring, game: Game, cells: tuple[int, int]) -> Started:  # noqa: ARG002
        """Constant masks."""
        masks = torch.full((len(scoring), *cells), self.value).to(scoring.targets)
        return Started(masks, torch.zeros(len(masks), dtype=torch.long))


@dataclass(frozen=True)
class EditedStart(Start):
    """The fully edited mask, whose L1 penalty is highest: all deleted, or in preservation all kept."""

    def __call__(self, scoring: Scoring, game: Game, cells: tuple[int, int]) -> Started:
        """Constant masks."""
        return ConstantStart(1 - game.ideal)(scoring, game, cells)


@dataclass(frozen=True)
class RandomStart(Start):
    """Independent uniform values over [0,1], each image from its own seed."""

    def __call__(self, scoring: Scoring, game: Game, cells: tuple[int, int]) -> Started:  # noqa: ARG002
        """Random masks."""
        draws = [torch.rand(cells, generator=generator(seed, _RANDOM_STREAM)) for seed in scoring.seeds]
        return Started(torch.stack(draws).to(scoring.targets), torch.zeros(len(draws), dtype=torch.long))


@dataclass(frozen=True)
class CircularStart(Start):
    """The smallest centred disc that suppresses, or preserves, 99 % of the score (supplement §2).

    Discs of radius 0, `step`, … are softened by a Gaussian and tried in turn, without jitter. With s₀ the
    score of the image and s_full that of the fully perturbed one, q = (s-s_full)/(s₀-s_full). Deletion
    takes the first disc with q < 1-`share`, preservation the first with q ≥ `share`. If there is none, or s₀
    and s_full are equal, everything is perturbed.

    Args:
        share: of the score to suppress, or to preserve.
        step: pixels between radii.
        last: the last radius in pixels; larger for an image that is not covered by it.
        soften: standard deviation in pixels of the disc's edge.
        stretch: the authors' code: the mask on the grid is stretched to reach from 0 to 1.
        first_target: the authors' code: only each image's first target class is scored.
    """

    share: float = 0.99
    step: int = 5
    last: int = 175
    soften: float = 10.0
    stretch: bool = False
    first_target: bool = False

    def __call__(self, scoring: Scoring, game: Game, cells: tuple[int, int]) -> Started:
        """Disc masks brought to the grid."""
        if self.first_target:
            labels = torch.zeros_like(scoring.targets).scatter_(1, scoring.labels[:, None], 1.0)
            scoring = replace(scoring, targets=labels)
        discs = self.discs(scoring.size).to(scoring.targets)
        found = self._search(scoring, game, (game.ideal - discs).abs())
        none = torch.zeros(scoring.size).to(scoring.targets)
        choices = torch.cat([(game.ideal - discs).abs(), none[None]])
        masks = to_cells(choices, cells)[found]
        evaluations = torch.where(found < len(discs), found + 1, len(discs)) + 2
        evaluations *= len(scoring.edits)
        return Started(_stretched(masks) if self.stretch else masks, evaluations.cpu())

    def in_cells(self) -> "CircularStart":
        """The same for an edit whose masks have cells of their own: lengths are in cells, not pixels."""
        return replace(self, step=1, last=0, soften=1.0)

    def scaled(self, scale: float | None) -> Start:
        """Discs in cells; masks that are no picture, such as those over channels, start half deleted."""
        if scale is None:
            return ConstantStart(0.5)
        step, last = max(round(self.step * scale), 1), math.ceil(self.last * scale)
        return replace(self, step=step, last=last, soften=self.soften * scale)

    def radii(self, size: tuple[int, int]) -> range:
        """The radii that are tried, in pixels."""
        cover = math.ceil(math.hypot(*size) / 2 / self.step) * self.step
        return range(0, max(self.last, cover) + 1, self.step)

    def discs(self, size: tuple[int, int]) -> Float[Tensor, "k h w"]:
        """One softened disc for each radius, 1 inside, float64."""
        rows, columns = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size)
        distance = rows[:, None].square() + columns.square()
        hard = torch.stack([distance < radius**2 for radius in self.radii(size)])
        return smooth(hard.double(), self.soften)

    @torch.no_grad()
    def _search(self, scoring: Scoring, game: Game, masks: Float[Tensor, "k h w"]) -> Int[Tensor, " b"]:
        """The index of each image's first disc with enough effect; k if there is none."""
        batch, count = len(scoring), len(masks)
        ends = torch.stack([torch.ones_like(masks[0]), torch.zeros_like(masks[0])])
        original, full = _scores(scoring, ends).unbind(dim=1)
        found = torch.full((batch,), count, device=masks.device)
        chunk = max(BATCH_SIZE // batch, 1)
        for first in range(0, count, chunk):
            scores = _scores(scoring, masks[first : first + chunk])
            q = (scores - full[:, None]) / (original - full)[:, None]
            does = q < 1 - self.share if game.ideal == 1 else q >= self.share
            does &= ((original - full).abs() > _SAME_SCORE)[:, None]
            place = first + does.long().argmax(dim=1)
            found = torch.where(does.any(dim=1) & (found == count), place, found)
            if bool((found < count).all()):
                break
        return found


def _scores(scoring: Scoring, masks: Float[Tensor, "k h w"]) -> Float[Tensor, "b k"]:
    """Scores of every image under the same masks; under fewer at once where memory runs out."""

    def of(some: Sequence[Tensor]) -> list[Tensor]:
        each = torch.stack(list(some)).expand(len(scoring), -1, -1, -1)
        return list(scoring.still_scores(each).unbind(dim=1))

    return torch.stack(by_halves(of, masks.unbind()), dim=1)


def _stretched(masks: Float[Tensor, "b r c"]) -> Float[Tensor, "b r c"]:
    low, high = masks.amin(dim=(1, 2), keepdim=True), masks.amax(dim=(1, 2), keepdim=True)
    span = high - low
    return torch.where(span < _SAME_SCORE, masks, (masks - low) / span.clamp(min=_SAME_SCORE))
