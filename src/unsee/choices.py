"""Names that people type: the value they stand for, or a line with the nearest name there is."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from unsee.errors import UnseeError

Value = TypeVar("Value")


def look_up(choices: Mapping[str, Value], name: object, kind: str) -> Value:
    """The value of a name.

    Raises:
        UnseeError: there is no such name; the line suggests the nearest one and lists all.
    """
    if isinstance(name, str) and name in choices:
        return choices[name]
    close = nearest(str(name), choices, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UnseeError(f"no {kind} is called {name!r}; {hint}there are {', '.join(choices)}")


def nearest(name: str, known: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known names most like a mistyped one, at most `count`, the most similar first.

    Args:
        name: what was typed.
        known: the names that exist.
        count: how many names to return at most.
        cutoff: the least similarity, in [0,1], by difflib's ratio.
    """
    return difflib.get_close_matches(name, list(known), n=count, cutoff=cutoff)
