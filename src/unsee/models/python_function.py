"""A function of the user's own that returns a network. It is run: name only code that you trust."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from torch import nn

from unsee.choices import did_you_mean, nearest
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.checkpoints import listed
from unsee.models.request import Request
from unsee.models.weights import fill, read_weights

_SHOWN = 8


def load(request: Request) -> Classifier:
    """What `package.module:function` returns, called without arguments; the working folder is searched too.

    A module is wrapped in a `Classifier` with its defaults; an `unsee.BlackBox` is one already. A weight file
    is loaded into the network.

    Raises:
        UnseeError: there is no such function, it fails, or it returns something else.
    """
    module, _, function = request.rest.partition(":")
    if not module or not function:
        raise UnseeError(f"{request.name} names no function: write python:package.module:function")
    found: object = _imported(module)
    for part in function.split("."):
        if not hasattr(found, part):
            raise UnseeError(_missing(module, found, part))
        found = getattr(found, part)
    if not callable(found):
        raise UnseeError(f"{request.name} is {type(found).__name__}: name a function that returns a network")
    try:
        made = found()
    except UnseeError:
        raise
    except Exception as error:
        raise UnseeError(f"{request.name} failed: {_reason(error)} (--debug shows where)") from error
    return _classifier(made, request)


def _missing(module: str, found: object, name: str) -> str:
    """What to say where something has no such name: names that are like it, or else its functions."""
    names = {key: value for key, value in getattr(found, "__dict__", {}).items() if not key.startswith("_")}
    own = [key for key, value in names.items() if getattr(value, "__module__", None) == module]
    where = f"the module {module}" if isinstance(found, ModuleType) else f"{found!r} in the module {module}"
    defined = f"it defines {listed(own, _SHOWN)}" if own else "it defines nothing"
    return f"{where} has no {name!r}; {did_you_mean(nearest(name, names), defined)}"


def _imported(module: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(module)
    except Exception as error:
        raise UnseeError(
            f"{module} cannot be imported: {_reason(error)}; is it installed, or in {here}?"
        ) from error


def _classifier(made: object, request: Request) -> Classifier:
    if isinstance(made, Classifier):
        net, known = made.net, made
    elif isinstance(made, nn.Module):
        net, known = made.eval(), None
    else:
        raise UnseeError(f"{request.name} returned {type(made).__name__}: return a module or a Classifier")
    sha256 = None if known is None else known.weights_sha256
    taken: dict[str, str] = {}
    if request.weights is not None:
        state, sha256 = read_weights(request.weights)
        taken = fill(net, state, request.name)
    if known is None:
        return Classifier(net, name=request.name, weights_sha256=sha256, facts=taken)
    return replace(known, name=request.name, weights_sha256=sha256, facts={**known.facts, **taken})


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
