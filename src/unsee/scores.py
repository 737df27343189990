"""The classes that are explained together, and their scores before and after an edit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SMALLEST_SPAN = 1e-6


@dataclass(frozen=True)
class Target:
    """The classes that are explained together; `asked` is the target as the caller gave it."""

    indices: tuple[int, ...]
    names: tuple[str, ...]
    asked: str = "predicted"

    def __str__(self) -> str:
        return " + ".join(self.names)

    @property
    def short(self) -> str:
        """The first class, and how many more there are."""
        more = len(self.names) - 1
        return f"{self.names[0]} + {more} more" if more else self.names[0]

    def record(self) -> dict[str, Any]:
        """Its values, as JSON; of a single class no list."""
        single = len(self.indices) == 1
        return {
            "index": self.indices[0] if single else list(self.indices),
            "name": self.names[0] if single else list(self.names),
            "asked": self.asked,
        }

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> "Target":
        """From a saved explanation's manifest."""
        record = manifest["target"]
        index, name, asked = (record[key] for key in ("index", "name", "asked"))
        return (
            cls((index,), (name,), asked) if isinstance(index, int) else cls(tuple(index), tuple(name), asked)
        )


@dataclass(frozen=True)
class Scores:
    """The target's scores for the photo, the edited photo, and the fully perturbed photo."""

    original: float
    perturbed: float
    reference: float

    @property
    def normalized(self) -> float:
        """p' = (p - p_b)/(p₀ - p_b) (§5.2, note 4): 1 for the unedited photo, 0 for the fully perturbed one.

        NaN if p₀ - p_b is below 1e-6; means leave such photos out.
        """
        span = self.original - self.reference
        return math.nan if span < _SMALLEST_SPAN else (self.perturbed - self.reference) / span

    @property
    def suppression(self) -> float:
        """1 - p', the share of the score that the edit removes; above 1 if the score falls below p_b."""
        return 1 - self.normalized
