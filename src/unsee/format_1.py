"""Settings as explanations and stores of format 1 describe them, brought to the names of format 2."""

from collections.abc import Mapping
from typing import Any

_NAMES = {"algorithm": "optimiser", "evidence": "shown_with"}
_PENALTIES = ("l1", "tv")


def settings_of_format_2(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A described `Settings` of format 1 as format 2 describes the same settings.

    Args:
        settings: JSON values, as `unsee.records.described` gave them.

    Raises:
        KeyError: it is no such description.
    """
    found = {_NAMES.get(name, name): value for name, value in settings.items()}
    found["optimiser"] = {
        "remembered" if name == "looks" else name: value for name, value in found["optimiser"].items()
    }
    objective = dict(found["objective"])
    objective["penalties"] = [{**objective.pop(name), "name": name} for name in _PENALTIES]
    found["objective"] = objective
    found["retries"] = []
    return found
