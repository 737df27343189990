"""Scores in closed form, in a network's place: they drive an optimiser through the loop without images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from unsee.masks.batch import Batch
from unsee.masks.game import DELETION
from unsee.masks.loop import Capacity, optimise
from unsee.masks.objective import Objective, total
from unsee.masks.optimisers.protocol import Bounds, Optimiser
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.scoring import Scored

CELLS = (8, 8)
OBJECTIVE = Objective(DELETION, (L1(5e-4), TotalVariation(5e-3))).on("softmax")
"""A good mask costs an eighth of what the untouched image does."""

Value = Callable[[Tensor, int, int], Tensor]
"""Masks (k,r,c), the image's seed and the step → mean scores (k)."""


def blob(seed: int, cells: tuple[int, int] = CELLS) -> Tensor:
    """How much each cell counts: a smooth bump at a place of the seed's own, with a maximum of 1."""
    rows, columns = (torch.linspace(0, 1, count, dtype=torch.float64) for count in cells)
    place = 0.3 + 0.4 * torch.rand(2, generator=torch.Generator().manual_seed(seed)).double()
    return torch.exp(-((rows[:, None] - place[0]).square() + (columns - place[1]).square()) / 0.05)


def quadratic(masks: Tensor, seed: int) -> Tensor:
    """A log-odds of the second degree: 3 where all is kept, -5 where the bump is deleted."""
    weights = blob(seed, (masks.shape[-2], masks.shape[-1])).to(masks)
    deleted = (weights * (1 - masks)).sum(dim=(-2, -1)) / weights.sum()
    uneven = (weights * (masks - 0.5).square()).mean(dim=(-2, -1))
    return 3 - 12 * deleted + 4 * deleted.square() + 2 * (uneven - 0.25 * weights.mean())


def smooth_score(masks: Tensor, seed: int, step: int) -> Tensor:
    """The probability of that log-odds."""
    return quadratic(masks, seed).sigmoid()


def noisy_score(masks: Tensor, seed: int, step: int) -> Tensor:
    """The same with 2 % of noise, within [0,1]."""
    draws = torch.Generator().manual_seed(1000 * seed + step)
    noise = 1 + 0.02 * torch.randn(len(masks), generator=draws).to(masks)
    return (smooth_score(masks, seed, step) * noise).clamp(0, 1)


def label(masks: Tensor, seed: int, step: int) -> Tensor:
    """Whether the class is the best one: 0 or 1."""
    return (quadratic(masks, seed) > 0).to(masks)


@dataclass(frozen=True, eq=False)
class Analytic:
    """A scorer whose scores are a function of the masks."""

    value: Value
    seeds: tuple[int, ...]
    objective: Objective = OBJECTIVE
    edits: int = 1
    plain: None = None

    def scores(self, masks: Tensor, iteration: Tensor) -> Scored:
        rows = zip(masks, self.seeds, iteration.tolist(), strict=True)
        return Scored(self.edits * torch.stack([self.value(*row) for row in rows]), None)

    def select(self, rows: Tensor) -> "Analytic":
        return replace(self, seeds=tuple(self.seeds[row] for row in rows.tolist()))

    def joined(self, other: "Analytic") -> "Analytic":
        return replace(self, seeds=self.seeds + other.seeds)


def learned(
    optimiser: Optimiser,
    value: Value = smooth_score,
    seeds: Sequence[int] = (0,),
    groups: Sequence[int] | None = None,
    cells: tuple[int, int] = CELLS,
    bounds: tuple[float, float] | None = None,
    dtype: torch.dtype = torch.float64,
    **of: object,
) -> dict[int, Batch]:
    """The finished batch of each image, by its seed.

    Args:
        optimiser: what is driven.
        value: the mean score.
        seeds: one for each image.
        groups: how many images join at each step, in turn; all at once by default.
        cells: of the masks.
        bounds: of every cell.
        dtype: of the masks.
        of: what else `Analytic` takes.
    """
    left, sizes = list(seeds), list(groups or [len(seeds)])

    def more(_: int) -> Batch | None:
        if not left:
            return None
        taken = [left.pop(0) for _ in range(min(sizes.pop(0) if sizes else 1, len(left)))]
        scorer = Analytic(value, tuple(taken), **of)
        masks = torch.full((len(taken), *cells), 1 - scorer.objective.game.ideal, dtype=dtype)
        batch = Batch.begin(tuple(taken), scorer, masks, optimiser)
        if bounds is None:
            return batch
        low, high = (torch.full_like(masks, side) for side in bounds)
        return replace(batch, masks=masks.clamp(*bounds), bounds=Bounds(low, high))

    found = {}
    for batch in optimise(more, optimiser, Capacity(2 * len(seeds))):
        for row, number in enumerate(batch.ids):
            found[number] = batch.select(torch.arange(len(batch)) == row)
    return found


def cost(mask: Tensor, seed: int, objective: Objective = OBJECTIVE, edits: int = 1) -> Tensor:
    """The objective of a mask (r,c) without noise."""
    scores = edits * quadratic(mask[None], seed).sigmoid()
    return total(objective.terms(mask[None], scores, torch.zeros(1, dtype=torch.long)))[0]


def optimum(
    seed: int, objective: Objective = OBJECTIVE, cells: tuple[int, int] = CELLS, edits: int = 1
) -> tuple[Tensor, float]:
    """The best of what SciPy's L-BFGS-B finds from several starts with gradients, and its objective."""

    def both(flat: np.ndarray) -> tuple[float, np.ndarray]:
        mask = torch.from_numpy(flat).view(cells).requires_grad_()
        value = cost(mask, seed, objective, edits)
        (gradient,) = torch.autograd.grad(value, mask)
        return float(value.detach()), gradient.flatten().numpy()

    count = cells[0] * cells[1]
    starts = [np.full(count, 0.5), np.full(count, 0.05), np.full(count, 0.95)]
    starts.append(1 - blob(seed, cells).flatten().numpy())
    found = [minimize(both, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * count) for start in starts]
    best = min(found, key=lambda one: one.fun)
    return torch.from_numpy(best.x).view(cells), float(best.fun)
