"""Checks that several test files share."""

import json

import pytest


def one_line(error: pytest.ExceptionInfo) -> str:
    """The message of an error, which must be one line."""
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


def strict(text: str):
    """Parse JSON as other languages do: no NaN, no Infinity."""

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)
