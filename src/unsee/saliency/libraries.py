"""Libraries that some methods need, imported on first use."""

from typing import Any

from unsee import optional


def library(module: str) -> Any:  # noqa: ANN401
    """A module of a library from the extra `compare`.

    Raises:
        UnseeError: it is not installed.
    """
    return optional.library(module, "compare")
