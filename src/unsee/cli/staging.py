"""What the options of `unsee experiment` and `unsee reproduce` mean: networks, methods, stores."""

from collections.abc import Sequence
from pathlib import Path

from unsee.classifier import Classifier
from unsee.cli.comparing import methods_from
from unsee.cli.names import load_model
from unsee.errors import UnseeError
from unsee.experiments.looks import MASK_TOP5
from unsee.runs.store import Store


def networks(
    models: Sequence[str], weights: Sequence[Path], device: str, several: bool
) -> tuple[Classifier, ...]:
    """The networks that are named, each with its weight file where there is one.

    Raises:
        UnseeError: more than one where one is meant, or not as many files as networks.
    """
    if len(models) > 1 and not several:
        raise UnseeError("this experiment asks one network: give --model once; architectures takes several")
    if weights and len(weights) != len(models):
        raise UnseeError(
            f"{len(models)} networks and {len(weights)} weight files: give one for each, or none"
        )
    files: Sequence[Path | None] = weights or [None] * len(models)
    return tuple(load_model(name, file, device) for name, file in zip(models, files, strict=True))


def methods_of(text: str, given: Sequence[Store]) -> tuple[str, ...]:
    """The methods between commas, or all of them, and those of the stores that are there already.

    Raises:
        UnseeError: a name that is no method.
    """
    names = [name.strip() for name in text.split(",")]
    special = [name for name in names if name.replace("-", "_") == MASK_TOP5]
    plain = [name for name in names if name not in special]
    listed = methods_from(None if text == "all" else ",".join(plain)) if plain else ()
    own = (store.manifest["settings"]["method"] for store in given)
    return tuple(dict.fromkeys([*listed, *([MASK_TOP5] if special else []), *own]))


def stores_at(addresses: Sequence[str]) -> list[Store]:
    """The stores of maps that are there already.

    Raises:
        UnseeError: there is none at an address, or two are of one method.
    """
    found = [Store.open(address) for address in addresses]
    methods = [store.manifest["settings"]["method"] for store in found]
    twice = next((method for method in methods if methods.count(method) > 1), None)
    if twice is not None:
        raise UnseeError(f"two stores hold maps of {twice}: give one of them")
    return found
