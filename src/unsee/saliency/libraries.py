"""The libraries that do a method's work, imported when it is used."""

from importlib import import_module
from typing import Any

from unsee.errors import UnseeError


def library(module: str) -> Any:  # noqa: ANN401
    """A module of a library that the extra `compare` installs.

    Raises:
        UnseeError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.split(".", maxsplit=1)[0]
        raise UnseeError(
            f"this method needs {name}, which cannot be imported ({error}): pip install 'unsee[compare]'"
        ) from error
