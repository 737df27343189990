"""Look up a name that a user typed, and suggest the nearest one if it is unknown."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
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
    listed = f"available: {', '.join(choices)}"
    raise UnseeError(f"no {kind} is called {name!r}; {did_you_mean(close, also=listed)}")


def did_you_mean(close: Sequence[str], otherwise: str = "", also: str = "") -> str:
    """The end of an error about an unknown name: "did you mean zebra or zebu?".

    Args:
        close: names that are like it, as they are to be typed.
        otherwise: what to say where there is none.
        also: what to say in any case.
    """
    hint = f"did you mean {' or '.join(close)}?" if close else otherwise
    return " ".join(part for part in (hint, also) if part)


def nearest(name: str, known: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known names that are most similar to a mistyped one, the most similar first.

    Args:
        name: what the user typed.
        known: the names that exist.
        count: the largest number of names to return.
        cutoff: the smallest similarity, in [0,1], by difflib's ratio.
    """
    return difflib.get_close_matches(name, list(known), n=count, cutoff=cutoff)
