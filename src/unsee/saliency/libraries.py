"""The libraries that do a method's work, imported when it is used."""

from typing import Any

from unsee import optional


def library(module: str) -> Any:  # noqa: ANN401
    """A module of a library that the extra `compare` installs.

    Raises:
        UnseeError: it is not installed.
    """
    return optional.library(module, "compare")
