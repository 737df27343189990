"""Settings and results as JSON values: described, made finite, hashed, compared."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from hashlib import sha256
from typing import Any

NEWER = {"newer": True}
"""Metadata of a field that older results lack: it is described only where it differs from its default."""
_LONGEST = 80
"""Characters of a value in a line that says what differs."""


def described(value: object) -> Any:  # noqa: ANN401
    """A setting as plain JSON values, each object with its type's name under "type"."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = (part for part in fields(value) if not (part.metadata == NEWER and _usual(value, part)))
        parts = {part.name: described(getattr(value, part.name)) for part in kept}
        return {"type": type(value).__name__, **parts}
    if isinstance(value, tuple | list):
        return [described(part) for part in value]
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value


def _usual(value: object, part: Field[Any]) -> bool:
    """Whether a field has its default."""
    return bool(getattr(value, part.name) == part.default)


def number(value: Any) -> Any:  # noqa: ANN401
    """A number that `finite` has written: NaN for None."""
    return math.nan if value is None else value


def finite(value: Any) -> Any:  # noqa: ANN401
    """JSON values with null in place of every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def digest(value: object) -> str:
    """A SHA-256 of JSON values, hexadecimal; the order of keys does not matter."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def differences(old: Any, new: Any, name: str = "") -> list[str]:  # noqa: ANN401
    """The values that differ between two records, each as "name: old → new", nested names joined by dots.

    Items of a list that have names, such as penalties, are compared by name; other records in two lists of
    one length by their place.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        prefix = f"{name}." if name else ""
        keys = dict.fromkeys([*old, *new])
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{prefix}{key}")]
    named = _by_name(old), _by_name(new)
    if named[0] is not None and named[1] is not None:
        return differences(*named, name)
    if _records(old) and _records(new) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for place, pair in pairs for line in differences(*pair, f"{name}.{place}")]
    return [] if old == new else [f"{name}: {_shown(old)} → {_shown(new)}"]


def _records(values: Any) -> bool:  # noqa: ANN401
    """Whether it is a list of records."""
    return isinstance(values, list) and all(isinstance(value, Mapping) for value in values)


def _by_name(values: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """The items of a list by their names, as penalties have them; None for anything else."""
    if not _records(values):
        return None
    found = {str(value.get("name")): value for value in values}
    return found if len(found) == len(values) and "None" not in found else None


def few(lines: Sequence[str], most: int = 4) -> str:
    """Lines as one text, separated by semicolons; beyond the first few only their number."""
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "; ".join([*lines[:most], *more])


def _shown(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
