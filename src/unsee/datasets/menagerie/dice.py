"""Random draws that are the same on every machine and with every version of numpy."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

T = TypeVar("T")


class Dice:
    """A stream of draws named by a root seed and a path of integers, e.g. (split, index, part).

    Only `SeedSequence` and the raw output of PCG64 are used: numpy promises never to change these two,
    unlike the distributions of its `Generator`.
    """

    def __init__(self, root: int, *path: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(root, spawn_key=path))

    def uniform(self, low: int | float, high: int | float) -> float:
        """A number from [low, high)."""
        return low + (high - low) * ((self._raw() >> 11) * 2.0**-53)

    def integer(self, stop: int) -> int:
        """A number from 0, ..., stop - 1."""
        return (self._raw() >> 32) * stop >> 32

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform(0.0, 1.0) < probability

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.integer(len(items))]

    def shuffled(self, count: int) -> list[int]:
        """A permutation of 0, ..., count - 1."""
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self.integer(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def bytes(self, *shape: int) -> UInt8[np.ndarray, "..."]:
        """Noise of this shape, uniform over 0, ..., 255."""
        size = int(np.prod(shape))
        words = np.asarray(self._bits.random_raw(-(-size // 8)), dtype="<u8")
        return words.view(np.uint8)[:size].reshape(shape)

    def colour(self, base: tuple[int, int, int], spread: int) -> tuple[int, int, int]:
        """A colour near the base: brightness changes by up to `spread`, each channel by a third of it."""
        common = self.integer(2 * spread + 1) - spread
        third = spread // 3
        r, g, b = (min(255, max(0, c + common + self.integer(2 * third + 1) - third)) for c in base)
        return r, g, b

    def _raw(self) -> int:
        return int(self._bits.random_raw())
