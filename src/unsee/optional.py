"""Libraries that only some work needs, imported when it is done."""

from importlib import import_module
from typing import Any

from unsee.errors import UnseeError


def library(module: str, extra: str) -> Any:  # noqa: ANN401
    """A module of a library that one of the package's extras installs.

    Raises:
        UnseeError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.split(".", maxsplit=1)[0]
        raise UnseeError(
            f"this needs {name}, which cannot be imported ({error}): pip install 'unsee[{extra}]'"
        ) from error
