"""Penalties of the low-resolution mask: L1 and total variation (eq. 3 and 4), the paper's and the port's.

Values and gradients are weighted already. Values are (B,), one for each mask.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.game import Game
from unsee.masks.penalty_protocol import Penalty, gradient_of
from unsee.tensors.tiles import tiled, tiles_of, untiled


@dataclass(frozen=True)
class L1(Penalty):
    """λ1·Σ|1-m| in deletion, λ1·Σ|m| in preservation: a sum over the cells (eq. 3).

    The paper's weight is for 784 cells. On another grid it is scaled by `cells` over the number of cells, so
    that a fully edited mask costs the same. `cells=None` uses the weight as it is.
    """

    weight: float
    cells: int | None = 784
    name: str = "l1"

    @property
    def lambda1(self) -> float:
        """The weight."""
        return self.weight

    def value(
        self,
        masks: Float[Tensor, "b r c"],
        game: Game,
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, " b"]:
        """The weighted sum of distances from the ideal mask."""
        return self._scaled(masks) * game.saliency(masks).sum(dim=(-2, -1))

    def gradient(
        self,
        masks: Float[Tensor, "b r c"],
        game: Game,
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, "b r c"]:
        """±λ1 in each cell, 0 where the cell has its ideal value."""
        return (masks - game.ideal).sign_().mul_(self._scaled(masks))

    def _scaled(self, masks: Tensor) -> float:
        share = 1.0 if self.cells is None else self.cells / (masks.shape[-2] * masks.shape[-1])
        return self.weight * share


@dataclass(frozen=True)
class TotalVariation(Penalty):
    """λ2·Σ (dx²+dy²)^{β/2}: forward differences, 0 at the last row and column; a sum over the cells (eq. 4).

    Where both differences are 0 the gradient is 0, for every β.

    Raises:
        UnseeError: β is not above 0.
    """

    weight: float
    beta: float = 3.0
    name: str = "tv"

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise UnseeError(f"the exponent of the total variation must be above 0, got {self.beta}")

    def value(
        self,
        masks: Float[Tensor, "b r c"],
        game: Game,  # noqa: ARG002
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, " b"]:
        """The weighted variation; the same in both games."""
        rows = torch.diff(masks, dim=-2, append=masks[..., -1:, :])
        columns = torch.diff(masks, dim=-1, append=masks[..., :, -1:])
        square = rows.square() + columns.square()
        flat = square == 0
        powers = torch.where(flat, 1.0, square).pow(self.beta / 2)
        return self.weight * torch.where(flat, 0.0, powers).sum(dim=(-2, -1))

    def gradient(
        self,
        masks: Float[Tensor, "b r c"],
        game: Game,  # noqa: ARG002
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, "b r c"]:
        """The gradient in closed form."""
        rows, columns = torch.zeros_like(masks), torch.zeros_like(masks)
        torch.sub(masks[..., 1:, :], masks[..., :-1, :], out=rows[..., :-1, :])
        torch.sub(masks[..., :, 1:], masks[..., :, :-1], out=columns[..., :, :-1])
        square = (rows * rows).addcmul_(columns, columns)
        factor = square.pow(self.beta / 2 - 1).mul_(self.weight * self.beta)
        factor.masked_fill_(square == 0, 0.0)
        rows.mul_(factor)
        columns.mul_(factor)
        gradient = (rows + columns).neg_()
        gradient[..., 1:, :] += rows[..., :-1, :]
        gradient[..., :, 1:] += columns[..., :, :-1]
        return gradient

    def in_cells(self) -> "TotalVariation":
        """The same at a weight that follows the number of cells."""
        return ScaledVariation(self.weight, self.beta, self.name)


@dataclass(frozen=True)
class ScaledVariation(TotalVariation):
    """The total variation on a grid of any size: an edge of the same width on the image costs the same.

    On a grid with n times as many rows and columns an edge has n^(2-β) times its variation. The weight is for
    784 cells, as in the paper; on others it is multiplied by (their number / 784)^(β/2-1): with β = 3 by a
    half for a quarter of the cells.
    """

    cells: int = 784

    def value(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The weighted variation."""
        return self._scale(masks) * super().value(masks, game, iteration)

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient in closed form."""
        return super().gradient(masks, game, iteration).mul_(self._scale(masks))

    def in_cells(self) -> "ScaledVariation":
        """Itself: its weight follows the number of cells already."""
        return self

    def _scale(self, masks: Tensor) -> float:
        share: float = masks.shape[-2] * masks.shape[-1] / self.cells
        return float(share ** (self.beta / 2 - 1))


@dataclass(frozen=True)
class TiledVariation(Penalty):
    """`TotalVariation` of each channel of a mask whose channels are tiled (`unsee.tensors.tiles`), summed."""

    weight: float
    channels: int
    beta: float = 3.0
    name: str = "tv"

    def value(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """The weighted variation; there is none between tiles."""
        each = untiled(masks, tiles_of(self.channels))
        values = self._single.value(each.flatten(0, 1), game, iteration.repeat_interleave(self.channels))
        return values.view(len(masks), -1).sum(dim=1)

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient in closed form."""
        each = untiled(masks, tiles_of(self.channels))
        iterations = iteration.repeat_interleave(self.channels)
        gradient = self._single.gradient(each.flatten(0, 1), game, iterations)
        return tiled(gradient.view_as(each), tiles_of(self.channels))

    @property
    def _single(self) -> TotalVariation:
        return TotalVariation(self.weight, self.beta)


@dataclass(frozen=True)
class MeanL1(Penalty):
    """The PyTorch port's λ1: a mean over the cells instead of a sum."""

    weight: float
    name: str = "l1"

    @property
    def lambda1(self) -> float:
        """The weight."""
        return self.weight

    def value(
        self,
        masks: Float[Tensor, "b r c"],
        game: Game,
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, " b"]:
        """The weighted mean distance from the ideal mask."""
        return self.weight * game.saliency(masks).mean(dim=(-2, -1))

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient by autograd."""
        return gradient_of(self, masks, game, iteration)


@dataclass(frozen=True)
class MeanAxisVariation(Penalty):
    """The PyTorch port's λ2: the mean of |d|^β along each axis, added; rows and columns are not coupled.

    Raises:
        UnseeError: β is below 1, where a flat mask would have no gradient.
    """

    weight: float
    beta: float = 3.0
    name: str = "tv"

    def __post_init__(self) -> None:
        if not self.beta >= 1:
            raise UnseeError(f"the exponent of the port's variation must be at least 1, got {self.beta}")

    def value(
        self,
        masks: Float[Tensor, "b r c"],
        game: Game,  # noqa: ARG002
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, " b"]:
        """The weighted variation, the same in both games; an axis with one cell adds nothing."""
        total = masks.new_zeros(len(masks))
        for axis in (-2, -1):
            if masks.shape[axis] > 1:
                total = total + torch.diff(masks, dim=axis).abs().pow(self.beta).mean(dim=(-2, -1))
        return self.weight * total

    def gradient(
        self, masks: Float[Tensor, "b r c"], game: Game, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b r c"]:
        """The gradient by autograd."""
        return gradient_of(self, masks, game, iteration)
