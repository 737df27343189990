"""Class maps from JSON files."""

import json
from pathlib import Path

from unsee.errors import UnseeError
from unsee.runs.targets import ClassMap

_FORM = 'write {"dog": [151, 152], …}, class → index, or list of indices'


def read_class_map(file: str | Path) -> ClassMap:
    """A class map from a JSON file: name → an index, a list of them, or an object with `imagenet_index`.

    Raises:
        UnseeError: the file cannot be read, or has another form.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnseeError(f"{file} is not a class map ({error}): {_FORM}") from None
    if not isinstance(content, dict):
        raise UnseeError(f"{file} is not a class map (it holds a {type(content).__name__}): {_FORM}")
    try:
        return {str(name): _indices(value) for name, value in content.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise UnseeError(f"{file} is not a class map ({error}): {_FORM}") from None


def _indices(value: object) -> tuple[int, ...]:
    listed = value["imagenet_index"] if isinstance(value, dict) else value
    several = listed if isinstance(listed, list) else [listed]
    found = tuple(index for index in several if isinstance(index, int) and not isinstance(index, bool))
    if not found or len(found) < len(several):
        raise ValueError(f"{value!r} is not a list of indices")
    return found
