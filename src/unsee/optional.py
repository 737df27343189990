"""What is imported only when it is needed: optional libraries, and functions of tables."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from unsee.errors import UnseeError


def library(module: str, extra: str) -> Any:  # noqa: ANN401
    """Import a module of a library that one of the package's extras installs.

    Args:
        module: the module's full name.
        extra: the extra of unsee that installs it.

    Raises:
        UnseeError: the library cannot be imported; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.split(".", maxsplit=1)[0]
        raise UnseeError(
            f"this needs {name}, which cannot be imported ({error}): pip install 'unsee[{extra}]'"
        ) from error


def function_at(place: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function at "module:function", or the function itself."""
    if callable(place):
        return place
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
