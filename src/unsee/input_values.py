"""What values a network takes: channels, value range, mean and standard deviation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.pixels import RGB, UNIT
from unsee.words import counted

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_MOST_CHANNELS = 4096

Channels = float | Sequence[float] | None
"""One number for all channels, one for each, or None for a default."""


@dataclass(frozen=True)
class InputValues:
    """How images in [0,1] become what a network takes.

    Args:
        mean: of each channel, subtracted from images in the value range.
        std: of each channel, that images are then divided by.
        value_range: what black and white are for the network before mean and std.
        stated: whether the mean is known; otherwise it is 0 because nothing is.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] = UNIT
    stated: bool = True

    @classmethod
    def of(
        cls, mean: Channels, std: Channels, channels: int | None, value_range: tuple[float, float]
    ) -> "InputValues":
        """What a user says, with defaults: ImageNet's mean and std for RGB in [0,1], else 0 and 1.

        Raises:
            UnseeError: numbers that contradict each other, are not finite, or belong to another value range.
        """
        span = _checked_range(value_range)
        count = _channel_count(mean, std, channels)
        if (mean is None) != (std is None):
            given, missing = ("std", "mean") if mean is None else ("mean", "std")
            raise UnseeError(
                f"{given} is given without {missing}: give both (--mean, --std); mean 0 and std 1 leave "
                "values as they are"
            )
        imagenet = mean is None and count == RGB and span == UNIT
        if imagenet:
            return cls(IMAGENET_MEAN, IMAGENET_STD)
        found = cls(
            each_channel(0.0 if mean is None else mean, count, "mean"),
            each_channel(1.0 if std is None else std, count, "std"),
            span,
            mean is not None,
        )
        found._check_units()
        return found

    def normalised(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Images in [0,1] as the network takes them."""
        low, high = self.value_range
        scaled = images if self.value_range == UNIT else low + (high - low) * images
        mean, std = (
            torch.tensor(v, device=images.device, dtype=images.dtype)[:, None, None]
            for v in (self.mean, self.std)
        )
        return (scaled - mean) / std

    @property
    def color(self) -> tuple[float, ...]:
        """The average colour, each channel in [0,1]: the mean if it is known, else mid-grey."""
        low, high = self.value_range
        if not self.stated:
            return (0.5,) * len(self.mean)
        if self.value_range == UNIT:
            return self.mean
        return tuple((value - low) / (high - low) for value in self.mean)

    def _check_units(self) -> None:
        low, high = self.value_range
        if any(not math.isfinite(value) for value in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise UnseeError("mean and std need a finite value for each channel, with every std above 0")
        if max(self.mean) <= high and min(self.mean) >= low and max(self.std) <= (high - low) * 4:
            return
        of_bytes = self.value_range == UNIT and min(self.mean) >= 0 and max(self.mean) <= 255
        advice = "divide both by 255" if of_bytes else "check them"
        raise UnseeError(
            f"mean {_short(self.mean)} and std {_short(self.std)} do not belong to values from {low:g} to "
            f"{high:g}: {advice}, or give value_range= (--value-range)"
        )


def each_channel(values: float | Sequence[float], channels: int, what: str) -> tuple[float, ...]:
    """One number for each channel.

    Raises:
        UnseeError: another number of them, or something that is no number.
    """
    given: Any = values
    listed = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    parts: tuple[Any, ...] = tuple(given) if listed else (given,)
    if not all(isinstance(part, int | float | np.number) and not isinstance(part, bool) for part in parts):
        raise UnseeError(f"{what} takes a number, or one for each channel, got {values!r}")
    found = tuple(float(part) for part in parts)
    if len(found) == 1:
        return found * channels
    if len(found) != channels:
        raise UnseeError(
            f"{what} has {counted(len(found), 'value')} for {counted(channels, 'channel')}: give one for "
            "each, or one"
        )
    return found


def _checked_range(value_range: tuple[float, float]) -> tuple[float, float]:
    pair = tuple(value_range) if isinstance(value_range, tuple | list) else ()
    if len(pair) != 2 or not all(math.isfinite(value) for value in pair) or pair[0] >= pair[1]:
        raise UnseeError(f"value_range needs the values of black and white, low first, got {value_range!r}")
    return float(pair[0]), float(pair[1])


def _channel_count(mean: Channels, std: Channels, channels: int | None) -> int:
    lengths = {len(values) for values in (mean, std) if isinstance(values, Sequence) and len(values) > 1}
    whole = isinstance(channels, int) and not isinstance(channels, bool)
    if channels is not None and (not whole or not 1 <= channels <= _MOST_CHANNELS):
        raise UnseeError(f"channels must be a whole number from 1 to {_MOST_CHANNELS}, got {channels!r}")
    if channels is None:
        if len(lengths) > 1:
            raise UnseeError("mean and std need as many values as each other, one for each channel")
        single = [values for values in (mean, std) if isinstance(values, Sequence) and len(values) == 1]
        return lengths.pop() if lengths else 1 if single else RGB
    return channels


def _short(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values[:4]) + (", …)" if len(values) > 4 else ")")
