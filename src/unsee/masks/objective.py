"""What a mask is rewarded for (eq. 3, 4 and 6; supplement eq. 1 and 2). Every loss is (B,), one an image."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError

Score = Callable[[Tensor, Tensor], Tensor]
"""(logits (B,C), targets (B,C) with 1 for each target class) → (B,) scores."""


def softmax_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The summed probabilities of the target classes, in [0,1]: the paper's score."""
    return (logits.softmax(dim=1) * targets).sum(dim=1)


def logit_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The summed logits of the target classes."""
    return (logits * targets).sum(dim=1)


SCORES: dict[str, Score] = {"softmax": softmax_score, "logit": logit_score}


@dataclass(frozen=True)
class Game:
    """Which way the mask plays.

    Args:
        name: "deletion" or "preservation".
        ideal: the mask value that costs nothing; saliency is the distance from it.
        sign: +1 where the score is to fall, -1 where it is to stay.
    """

    name: str
    ideal: float
    sign: float

    def saliency(self, mask: Tensor) -> Tensor:
        """In [0,1], high where the mask says the evidence is; the same shape as the mask."""
        return (self.ideal - mask).abs()


DELETION = Game("deletion", ideal=1.0, sign=1.0)
PRESERVATION = Game("preservation", ideal=0.0, sign=-1.0)
GAMES: dict[str, Game] = {game.name: game for game in (DELETION, PRESERVATION)}


@runtime_checkable
class Penalty(Protocol):
    """A weighted regulariser of the low-resolution mask."""

    def __call__(self, mask: Float[Tensor, "b h w"], game: Game) -> Float[Tensor, " b"]:
        """The weighted penalty of each mask."""


@dataclass(frozen=True)
class L1:
    """λ1·Σ|1-m| in deletion, λ1·Σ|m| in preservation, a sum over the cells.

    The weight belongs to a number of cells; on another grid it is scaled so that a whole mask costs the
    same. `cells=None` leaves the weight alone.
    """

    weight: float
    cells: int | None = 784

    def __call__(self, mask: Float[Tensor, "b h w"], game: Game) -> Float[Tensor, " b"]:
        """The weighted sum of distances from the ideal mask."""
        return self._price(mask) * game.saliency(mask).sum(dim=(-2, -1))

    def slopes(self, mask: Float[Tensor, "b h w"], game: Game) -> Float[Tensor, "b h w"]:
        """Its gradient."""
        return (mask - game.ideal).sign_().mul_(self._price(mask))

    def _price(self, mask: Tensor) -> float:
        share = 1.0 if self.cells is None else self.cells / (mask.shape[-2] * mask.shape[-1])
        return self.weight * share


@dataclass(frozen=True)
class TotalVariation:
    """λ2·Σ (dx²+dy²)^{β/2}, forward differences, zero at the last row and column; a sum over the cells.

    Where both differences are 0 the gradient is 0, for every β.

    Raises:
        UnseeError: β not above 0.
    """

    weight: float
    beta: float = 3.0

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise UnseeError(f"the exponent of the total variation must be above 0, not {self.beta}")

    def __call__(self, mask: Float[Tensor, "b h w"], game: Game) -> Float[Tensor, " b"]:  # noqa: ARG002
        """The weighted variation; the same in both games."""
        rows = torch.diff(mask, dim=-2, append=mask[..., -1:, :])
        columns = torch.diff(mask, dim=-1, append=mask[..., :, -1:])
        square = rows.square() + columns.square()
        flat = square == 0
        steep = torch.where(flat, 1.0, square).pow(self.beta / 2)
        return self.weight * torch.where(flat, 0.0, steep).sum(dim=(-2, -1))

    def slopes(self, mask: Float[Tensor, "b h w"], game: Game) -> Float[Tensor, "b h w"]:  # noqa: ARG002
        """Its gradient."""
        rows, columns = torch.zeros_like(mask), torch.zeros_like(mask)
        torch.sub(mask[..., 1:, :], mask[..., :-1, :], out=rows[..., :-1, :])
        torch.sub(mask[..., :, 1:], mask[..., :, :-1], out=columns[..., :, :-1])
        square = (rows * rows).addcmul_(columns, columns)
        steep = square.pow(self.beta / 2 - 1).mul_(self.weight * self.beta)
        steep.masked_fill_(square == 0, 0.0)
        rows.mul_(steep)
        columns.mul_(steep)
        slopes = (rows + columns).neg_()
        slopes[..., 1:, :] += rows[..., :-1, :]
        slopes[..., :, 1:] += columns[..., :, :-1]
        return slopes


@dataclass(frozen=True)
class MeanL1:
    """The PyTorch port's λ1: a mean over the cells instead of a sum."""

    weight: float

    def __call__(self, mask: Float[Tensor, "b h w"], game: Game) -> Float[Tensor, " b"]:
        """The weighted mean distance from the ideal mask."""
        return self.weight * game.saliency(mask).mean(dim=(-2, -1))


@dataclass(frozen=True)
class MeanAxisVariation:
    """The PyTorch port's λ2: the mean of |d|^β along each axis, added; rows and columns are not coupled.

    Raises:
        UnseeError: β below 1, where a flat mask would have no gradient.
    """

    weight: float
    beta: float = 3.0

    def __post_init__(self) -> None:
        if not self.beta >= 1:
            raise UnseeError(f"the exponent of the port's variation must be at least 1, not {self.beta}")

    def __call__(self, mask: Float[Tensor, "b h w"], game: Game) -> Float[Tensor, " b"]:  # noqa: ARG002
        """The weighted variation; the same in both games; an axis of one cell has none."""
        total = mask.new_zeros(len(mask))
        for axis in (-2, -1):
            if mask.shape[axis] > 1:
                total = total + torch.diff(mask, dim=axis).abs().pow(self.beta).mean(dim=(-2, -1))
        return self.weight * total


class Terms(NamedTuple):
    """The parts of an objective, each (B,) and weighted; their sum is the objective."""

    score: Tensor
    l1: Tensor
    tv: Tensor

    @property
    def total(self) -> Float[Tensor, " b"]:
        """The objective."""
        return self.score + self.l1 + self.tv


@dataclass(frozen=True)
class Objective:
    """Game, score and regularisers.

    Args:
        game: deletion or preservation.
        l1: what an edited cell costs.
        tv: what an uneven mask costs.
        score: "softmax", "logit", or any callable of (logits, targets).
    """

    game: Game = DELETION
    l1: Penalty = field(default_factory=lambda: L1(1e-4))
    tv: Penalty = field(default_factory=lambda: TotalVariation(1e-2))
    score: Score = softmax_score

    def terms(self, mask: Float[Tensor, "b h w"], scores: Float[Tensor, " b"]) -> Terms:
        """The weighted parts for masks and the scores of what they make of the pictures."""
        return Terms(self.game.sign * scores, self.l1(mask, self.game), self.tv(mask, self.game))

    def penalty_slopes(self, masks: Float[Tensor, "b r c"]) -> Float[Tensor, "b r c"]:
        """The gradient of the regularisers alone."""
        return _slopes(self.l1, masks, self.game) + _slopes(self.tv, masks, self.game)

    @property
    def bounded(self) -> bool:
        """Whether the score is a probability, so that its logit can be modelled."""
        return self.score is softmax_score


def _slopes(penalty: Penalty, masks: Float[Tensor, "b r c"], game: Game) -> Float[Tensor, "b r c"]:
    """A penalty's gradient in closed form where it has one, else by autograd."""
    if isinstance(penalty, L1 | TotalVariation):
        return penalty.slopes(masks, game)
    with torch.enable_grad():
        free = masks.detach().requires_grad_()
        price = penalty(free, game).sum()
        return torch.autograd.grad(price, free)[0] if price.requires_grad else torch.zeros_like(free)
