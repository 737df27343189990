"""What the options of `unsee experiment` and `unsee reproduce` mean: networks, methods, stores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unsee.classifier import Classifier
from unsee.cli.parsing import load_model, methods_from
from unsee.datasets.dataset import description
from unsee.errors import UnseeError
from unsee.experiments.maps import MASK_TOP5, MapSource, five_best
from unsee.fits import Squash
from unsee.records import described, differences
from unsee.runs.store import Store
from unsee.runs.targets import EACH, LABEL, ClassMap


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
    own = map(method_of, given)
    return tuple(dict.fromkeys([*listed, *([MASK_TOP5] if special else []), *own]))


def stores_at(addresses: Sequence[str]) -> list[Store]:
    """The stores of maps that are there already.

    Raises:
        UnseeError: there is none at an address, or two are of one method.
    """
    found = [Store.open(address) for address in addresses]
    methods = [method_of(store) for store in found]
    twice = next((method for method in methods if methods.count(method) > 1), None)
    if twice is not None:
        raise UnseeError(f"two stores hold maps of {twice}: give one of them")
    return found


def method_of(store: Store) -> str:
    """What a store's maps are called: "mask_top5" where they have λ1 and β of table 1."""
    settings = store.manifest["settings"]
    published = described(five_best().objective)
    return MASK_TOP5 if settings.get("mask", {}).get("objective") == published else str(settings["method"])


def fitting(store: Store, source: MapSource, class_map: ClassMap | None) -> Store:
    """A store that was given, if its maps are what a source would make, but for how a mask was learned.

    Raises:
        UnseeError: they are of another network, data set or question.
    """
    settings: Mapping[str, Any] = store.manifest["settings"]
    named = ("name", "split")
    own, mapping = description(source.dataset), class_map if source.target in (LABEL, EACH) else None
    wanted: dict[str, Any] = {
        "data": {name: own.get(name) for name in named},
        "model": source.classifier.name,
        "input_size": list(source.classifier.size),
        "target": source.target,
        "class_map": None if mapping is None else {name: list(found) for name, found in mapping.items()},
        "fit": Squash().name,
    }
    if source.classifier.weights_sha256 is not None:
        wanted["weights_sha256"] = source.classifier.weights_sha256
    there = {key: settings.get(key) for key in wanted}
    there["data"] = {name: settings["data"].get(name) for name in named}
    changed = differences(there, wanted)
    if changed:
        raise UnseeError(f"the maps in {store.storage.address} do not serve here ({'; '.join(changed)})")
    return store
