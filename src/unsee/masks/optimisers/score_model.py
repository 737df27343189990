"""What some evaluations say of the score near a mask, without a gradient: a Gaussian process over masks.

Masks are compared by smooth features: their difference from the centre, weighted with how much the centre
deletes there, in a basis of cosines of which the low frequencies count most. Both weights follow gradients of
real networks (docs/decisions/surrogate.md). The process has a squared exponential kernel; its length and its
noise are those under which the evaluations are most likely. (Rasmussen & Williams 2006, §2.2 and §5.4.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.tensors import smooth

_LENGTHS = (0.5, 1.5, 5.0, 15.0, 50.0)
"""Squares of the kernel's length that are tried, against the median squared distance of the evaluations."""
_NOISES = (1e-4, 6e-4, 4e-3, 2.5e-2, 0.15)
"""Variances of the noise that are tried, against that of the process."""
_JITTER = 4.0
"""Variance of what all evaluations at one place of the jitter share, against that of the noise."""
_NODES = (-math.sqrt(1.5), 0.0, math.sqrt(1.5))
"""Standard deviations at which a normal noise is sampled: Chebyshev's quadrature, with equal weights."""
_LEAST_WEIGHT, _DELETED_WEIGHT = 0.2, 6.0
"""The squared weight of a cell that is kept, and what is added for one that is deleted."""
_EDGE = 1.5
_FALL = 8.0
"""A gradient's energy falls by e over so many half waves across the mask."""
_WAVES = 512
"""Random waves that a sample of the process is made of."""


def choices_near(choice: int | None) -> tuple[int, ...]:
    """The pairs of a length and a noise next to an earlier choice, and that one; all pairs for None."""
    if choice is None:
        return tuple(range(len(_LENGTHS) * len(_NOISES)))
    length, noise = divmod(choice, len(_NOISES))
    steps = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    return tuple(
        (length + long) * len(_NOISES) + noise + loud
        for long, loud in steps
        if 0 <= length + long < len(_LENGTHS) and 0 <= noise + loud < len(_NOISES)
    )


@lru_cache(maxsize=16)
def cosines(count: int, waves: int) -> Float[Tensor, "waves count"]:
    """The first cosines over so many cells, orthonormal, in float64."""
    cells, numbers = torch.arange(count, dtype=torch.float64), torch.arange(waves, dtype=torch.float64)
    rows = torch.cos(torch.pi * numbers[:, None] * (cells + 0.5) / count)
    return torch.nn.functional.normalize(rows, dim=1)


@dataclass(frozen=True, eq=False)
class Features:
    """Smooth features of masks near a centre.

    Args:
        center: the mask that features are differences from.
        weights: of each cell.
        rows, columns: cosines along each axis.
        energy: the weight of each pair of cosines.
    """

    center: Float[Tensor, "r c"]
    weights: Float[Tensor, "r c"]
    rows: Float[Tensor, "m r"]
    columns: Float[Tensor, "n c"]
    energy: Float[Tensor, "m n"]

    @classmethod
    def near(cls, center: Float[Tensor, "r c"], ideal: float, waves: int) -> "Features":
        """Features near a centre, with so many cosines along each axis.

        Args:
            center: a mask in [0,1].
            ideal: the value of a cell that costs nothing.
            waves: at most as many as there are cells along an axis.
        """
        height, width = center.shape
        deleted = smooth((center - ideal).abs()[None, None], _EDGE)[0, 0]
        weights = (_LEAST_WEIGHT + _DELETED_WEIGHT * deleted.square()).sqrt()
        rows, columns = (cosines(count, min(waves, count)).to(center) for count in (height, width))
        first, second = (
            torch.arange(len(part)) * (28 / count) for part, count in ((rows, height), (columns, width))
        )
        energy = torch.exp(-torch.hypot(first[:, None], second[None]) / (2 * _FALL)).to(center)
        return cls(center, weights / weights.square().mean().sqrt(), rows, columns, energy)

    def of(self, masks: Float[Tensor, "k r c"]) -> Float[Tensor, "k f"]:
        """The features of masks; 0 for the centre."""
        waves = self.rows @ (self.weights * (masks - self.center)) @ self.columns.T
        return (self.energy * waves).flatten(1)

    def gradient(self, features: Float[Tensor, "k f"]) -> Float[Tensor, "k r c"]:
        """Gradients with respect to masks, from those with respect to features."""
        waves = self.energy * features.view(-1, *self.energy.shape)
        return self.weights * (self.rows.T @ waves @ self.columns)


class Fit(NamedTuple):
    """A length and a noise with what follows from them."""

    likelihood: float
    choice: int
    factor: Float[Tensor, "n n"]
    mean: float
    variance: float


@dataclass(frozen=True, eq=False)
class ScoreModel:
    """The score near a centre: its mean, and samples of what it could be.

    Args:
        features: of masks.
        seen: the features of the evaluated masks.
        length: of the kernel, squared.
        mean: of the process.
        shifts: by which evaluations differ from the process: those of each place of the jitter, more and less
            the noise. Each is as likely as another.
        weights: of the kernel at each evaluated mask, for each function; the first is the mean's.
        waves, phases, heights: random waves of each function before it is corrected by the evaluations.
        choice: which length and noise were taken, for the next fit.
    """

    features: Features
    seen: Float[Tensor, "n f"]
    length: float
    mean: float
    shifts: Float[Tensor, " s"]
    weights: Float[Tensor, "n k"]
    waves: Float[Tensor, "f w"]
    phases: Float[Tensor, " w"]
    heights: Float[Tensor, "w k"]
    choice: int

    @classmethod
    def fitted(
        cls,
        features: Features,
        masks: Float[Tensor, "n r c"],
        values: Float[Tensor, " n"],
        jitter: Int[Tensor, " n"],
        count: int,
        draws: torch.Generator,
        choices: Sequence[int],
    ) -> "ScoreModel":
        """The process given evaluations, and samples of it.

        Args:
            features: of masks.
            masks: the evaluated ones, at least two that differ.
            values: their scores, on a scale without ends.
            jitter: the number of the place that each was jittered to.
            count: how many functions: the mean, and samples.
            draws: for the samples.
            choices: pairs of a length and a noise to choose from; see `choices_near`.
        """
        seen = features.of(masks)
        squares = _distances(seen, seen)
        shared = _JITTER * (jitter[:, None] == jitter).double()
        typical = max(float(squares.flatten().median()), 1e-12)
        fits = [_fit(squares / typical, shared, values.double(), number) for number in choices]
        fit = max(fits, key=lambda one: one.likelihood)
        length, noise = _LENGTHS[fit.choice // len(_NOISES)] * typical, _NOISES[fit.choice % len(_NOISES)]
        waves = torch.randn(seen.shape[1], _WAVES, generator=draws).to(seen) / math.sqrt(length)
        phases = 2 * math.pi * torch.rand(_WAVES, generator=draws).to(seen)
        heights = torch.randn(_WAVES, count, generator=draws).to(seen) * math.sqrt(2 * fit.variance / _WAVES)
        unit = math.sqrt(fit.variance * noise)
        errors = unit * torch.randn(len(seen), count, generator=draws).to(seen)
        moves = torch.randn(int(jitter.max()) + 1, count, generator=draws).to(seen)
        errors += unit * math.sqrt(_JITTER) * moves[jitter]
        heights[:, 0], errors[:, 0] = 0, 0
        prior = torch.cos(seen @ waves + phases) @ heights + errors
        off = values.double()[:, None] - fit.mean - prior.double()
        weights = torch.cholesky_solve(off, fit.factor).to(seen)
        shifts = noise * _JITTER * torch.zeros_like(moves[:, 0]).index_add_(0, jitter, weights[:, 0])
        return cls(
            features,
            seen,
            length,
            fit.mean,
            (shifts[torch.unique(jitter)][:, None] + unit * seen.new_tensor(_NODES)).flatten(),
            weights,
            waves,
            phases,
            heights,
            fit.choice,
        )

    def means(self, masks: Float[Tensor, "k r c"]) -> Float[Tensor, " k"]:
        """The expected score of masks."""
        kernel = torch.exp(-_distances(self.features.of(masks), self.seen) / (2 * self.length))
        return self.mean + kernel @ self.weights[:, 0]

    def samples(self, masks: Float[Tensor, "k r c"]) -> tuple[Float[Tensor, " k"], Float[Tensor, "k r c"]]:
        """Value and gradient of each function at a mask of its own; the first is the mean."""
        found = self.features.of(masks)
        phases = found @ self.waves + self.phases
        heights = self.heights.T
        kernel = torch.exp(-_distances(found, self.seen) / (2 * self.length)) * self.weights.T
        value = self.mean + (phases.cos() * heights).sum(dim=1) + kernel.sum(dim=1)
        pull = (kernel @ self.seen - kernel.sum(dim=1, keepdim=True) * found) / self.length
        return value, self.features.gradient(pull - (phases.sin() * heights) @ self.waves.T)


def _distances(some: Float[Tensor, "n f"], others: Float[Tensor, "m f"]) -> Float[Tensor, "n m"]:
    """Squared distances."""
    squares = some.square().sum(dim=1)[:, None] + others.square().sum(dim=1)
    return torch.addmm(squares, some, others.T, alpha=-2).clamp_(min=0)


def _fit(
    squares: Float[Tensor, "n n"], shared: Float[Tensor, "n n"], values: Float[Tensor, " n"], choice: int
) -> Fit:
    """How likely the values are with one length and noise; mean and variance are the most likely ones."""
    count, noise = len(values), _NOISES[choice % len(_NOISES)]
    kernel = torch.exp(squares.double() / (-2 * _LENGTHS[choice // len(_NOISES)]))
    kernel.add_(shared, alpha=noise).diagonal().add_(noise)
    factor = torch.linalg.cholesky(kernel)
    ones = torch.ones_like(values)
    own, level = torch.cholesky_solve(torch.stack([values, ones], dim=1), factor).unbind(dim=1)
    mean = float(own.sum() / level.sum())
    variance = max(float((values - mean) @ (own - mean * level)) / count, 1e-12)
    likelihood = -0.5 * count * math.log(variance) - float(factor.diagonal().log().sum())
    return Fit(likelihood, choice, factor, mean, variance)
