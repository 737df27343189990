"""The names of a network's classes, and a class by its name or index."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from unsee.choices import did_you_mean, nearest
from unsee.errors import UnseeError
from unsee.words import below, classes_below

ClassNames = Sequence[str] | Mapping[Any, Any]
_LISTED = 8


def class_names_of(names: ClassNames | None) -> tuple[str, ...] | None:
    """Class names in the order of the network's scores.

    Args:
        names: a list or tuple, or a mapping from index to name as in Hugging Face's `id2label`.

    Raises:
        UnseeError: a single string, a mapping whose keys are not 0 to n-1, or names that are not strings.
    """
    if names is None:
        return None
    if isinstance(names, str):
        raise UnseeError(f"class_names is one string, {names[:40]!r}: give a list with a name for each class")
    if isinstance(names, Mapping):
        names = _by_key(names)
    if not isinstance(names, Iterable):
        raise UnseeError(f"class_names takes a list with a name for each class, got {names!r}")
    found = tuple(names)
    wrong = next((name for name in found if not isinstance(name, str)), None)
    if wrong is not None:
        raise UnseeError(f"class names must be strings, got {wrong!r}")
    return found


def read_class_names(file: str | PathLike[str]) -> list[str] | dict[str, str]:
    """The names of classes in a file, as `Classifier` and `unsee.load` take them.

    Args:
        file: a JSON list or mapping from index to name, else text with one name in a line; empty lines at its
            end do not count.

    Raises:
        UnseeError: the file cannot be read, or is neither.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnseeError(f"the class names in {file} cannot be read ({error})") from error
    if text.lstrip()[:1] in ("[", "{"):
        try:
            names: list[str] | dict[str, str] = json.loads(text)
        except ValueError as error:
            raise UnseeError(f"{file} is neither JSON nor one name in a line ({error})") from error
        return names
    return [line.strip() for line in text.rstrip().splitlines()]


def _by_key(names: Mapping[Any, Any]) -> list[str]:
    try:
        placed = {int(key): name for key, name in names.items()}
    except (TypeError, ValueError):
        raise UnseeError(
            f"the keys of class_names must be the indices {below(len(names))}, got {next(iter(names))!r}: "
            "turn a mapping from name to index around"
        ) from None
    if sorted(placed) != list(range(len(names))):
        raise UnseeError(
            f"the keys of class_names must be {below(len(names))}, got {_listed(sorted(placed))}"
        )
    return [placed[index] for index in range(len(placed))]


def _listed(keys: Sequence[int]) -> str:
    shown = ", ".join(map(str, keys[:_LISTED]))
    return f"{shown}, …" if len(keys) > _LISTED else shown


def class_index(target: object, classes: int, names: Sequence[str] | None, network: str) -> int:
    """The index of a class.

    A name goes before an index, and a name of the same case before others.

    Args:
        target: the class's name, its index, or a part of its name that no other class has. A Python number
            is always an index.
        classes: the number of classes.
        names: of the classes, if they have any.
        network: the network's name, for the error.

    Raises:
        UnseeError: no class matches, or more than one.
    """
    text = str(target).strip()
    known = names or ()
    exact = [i for i, name in enumerate(known) if name == text] if isinstance(target, str) else []
    if len(exact) == 1:
        return exact[0]
    if re.fullmatch("-?[0-9]+", text) and not exact:
        if 0 <= int(text) < classes:
            return int(text)
        raise UnseeError(f"class {text} does not exist: {network} has {classes_below(classes)}")
    if names is None:
        raise UnseeError(f"{network} has no class names: give the class {text!r} as an index")
    folded, wanted = [name.casefold() for name in names], text.casefold()
    found = exact or [i for i, name in enumerate(folded) if name == wanted]
    found = found or [i for i, name in enumerate(folded) if wanted and wanted in name]
    if len(found) == 1:
        return found[0]
    if not found:
        close = nearest(wanted, folded)
        hint = did_you_mean(close, "give a part of its name, or its index")
        raise UnseeError(f"{network} has no class called {text!r}; {hint}")
    listed = ", ".join(f"{names[i]} ({i})" for i in found[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    raise UnseeError(f"{text!r} could be {listed}{more}: give the whole name or the index")
