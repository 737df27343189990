"""Estimates from a sample: a value, its standard error, and a 95 % interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from unsee.errors import UnseeError
from unsee.metrics.pointing import class_precisions
from unsee.words import counted

_Z = 1.959963984540054  # the normal quantile at 97.5 %

Values = Sequence[float | int] | Real[Tensor, " n"]


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and interval.

    `n` is the sample size. For an empty sample everything is NaN; for a single value, the standard error and
    interval of a mean are NaN.
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int

    @classmethod
    def exactly(cls, value: float | int) -> "Estimate":
        """A number that was chosen, not sampled: without error, and n = 0."""
        return cls(float(value), 0.0, float(value), float(value), 0)


def mean_of(values: Values) -> Estimate:
    """The mean, with its standard error s/√n and the normal interval; s² has n - 1 in its denominator.

    NaN values are left out and not counted in `n`.

    Raises:
        UnseeError: infinite values.
    """
    kept = _finite(values)
    kept = kept[~kept.isnan()]
    return _normal(_mean(kept), _deviation(kept), len(kept))


def proportion(hits: Sequence[bool] | Bool[Tensor, " n"], scale: float | int = 1) -> Estimate:
    """The share of True, with Wilson's interval (Wilson 1927), times `scale`: 100 gives percent.

    The standard error is √(p(1-p)/n), which is 0 where all are equal; the interval then still has a width.
    """
    return _wilson(float(_tensor(hits).mean()), float(len(hits)), len(hits), scale)


def ratio_of(above: Values, below: Values) -> Estimate:
    """The mean of `above` over the mean of `below`, pair by pair, by the delta method; normal interval.

    Var(R) ≈ (s_a² - 2R·s_ab + R²·s_b²)/(n·b̄²). Pairs with a NaN are left out. If the mean of
    `below` is 0, everything is NaN.

    Args:
        above: for each image.
        below: for the same images.

    Raises:
        UnseeError: the lengths differ, or there are infinite values.
    """
    if len(above) != len(below):
        raise UnseeError(f"a ratio takes pairs: {counted(len(above), 'value')} above, {len(below)} below")
    pairs = torch.stack([_finite(above), _finite(below)])
    over, under = pairs[:, ~pairs.isnan().any(dim=0)]
    base = _mean(under)
    if base == 0:
        return _normal(math.nan, math.nan, len(under))
    ratio = _mean(over) / base
    return _normal(ratio, _deviation(over - ratio * under) / abs(base), len(under))


def mean_precision_of(
    hit: Sequence[bool] | Bool[Tensor, " n"],
    labels: Sequence[int] | Real[Tensor, " n"],
    scale: float | int = 1,
) -> Estimate:
    """The mean of per-class precisions (§5.6), times `scale`; the classes are fixed, their images sampled.

    The standard error is √(Σ p_k(1-p_k)/n_k)/K. The interval is Wilson's for the mean precision and
    K²/Σ(1/n_k) images, the number at which a plain proportion would be as uncertain if all classes were
    equal; for one class it is the plain interval. `n` is the number of images.

    Args:
        hit: for each image.
        labels: its class.
        scale: 100 gives percent.

    Raises:
        UnseeError: the numbers of classes and images differ.
    """
    shares, numbers = class_precisions(hit, labels)
    if len(numbers) == 0:
        return _wilson(math.nan, 0.0, 0, scale)
    error = float((shares * (1 - shares) / numbers).sum().sqrt()) / len(numbers)
    pictures = len(numbers) ** 2 / float((1 / numbers).sum())
    return _wilson(float(shares.mean()), pictures, len(hit), scale, error)


def _tensor(values: Sequence[float | int] | Tensor) -> Float[Tensor, " n"]:
    return torch.as_tensor(values, dtype=torch.float64).detach().cpu()


def _finite(values: Values) -> Float[Tensor, " n"]:
    read = _tensor(values)
    if bool(read.isinf().any()):
        raise UnseeError("infinite values have no mean")
    return read


def _mean(values: Float[Tensor, " n"]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _deviation(values: Float[Tensor, " n"]) -> float:
    return float(values.std(correction=1)) if len(values) > 1 else math.nan


def _normal(value: float, deviation: float, n: int) -> Estimate:
    error = deviation / math.sqrt(n) if n else math.nan
    return Estimate(value, error, value - _Z * error, value + _Z * error, n)


def _wilson(share: float, weight: float, n: int, scale: float | int, error: float | None = None) -> Estimate:
    """Wilson's interval for a share of `weight` observations."""
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
    square = _Z * _Z / weight
    middle = (share + square / 2) / (1 + square)
    reach = math.sqrt(share * (1 - share) * square + square * square / 4) / (1 + square)
    plain = math.sqrt(share * (1 - share) / weight) if error is None else error
    low, high = max(middle - reach, 0.0), min(middle + reach, 1.0)
    return Estimate(scale * share, scale * plain, scale * low, scale * high, n)
