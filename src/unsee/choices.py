"""Look up a name that a user typed, and suggest the nearest one if it is unknown."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from unsee.errors import UnseeError

Value = TypeVar("Value")


def look_up(choices: Mapping[str, Value], name: object, kind: str) -> Value:
    """The value of a name.

    Args:
        choices: name → value.
        name: what the user typed.
        kind: what the names stand for, for the error.

    Raises:
        UnseeError: the name is unknown; the message suggests the nearest name and lists all of them.
    """
    if isinstance(name, str) and name in choices:
        return choices[name]
    close = nearest(str(name), choices, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UnseeError(f"no {kind} is called {name!r}; {hint}available: {', '.join(choices)}")


def nearest(name: str, known: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known names that are most similar to a mistyped one, the most similar first.

    Args:
        name: what the user typed.
        known: the names that exist.
        count: the largest number of names to return.
        cutoff: the smallest similarity, in [0,1], by difflib's ratio.
    """
    return difflib.get_close_matches(name, list(known), n=count, cutoff=cutoff)
