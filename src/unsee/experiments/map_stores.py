"""Stores of existing maps: which method's maps they hold, and whether an experiment can use them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unsee.datasets.dataset import description
from unsee.errors import UnseeError
from unsee.experiments.maps import MASK_TOP5, MapSource, five_best
from unsee.fits import Squash
from unsee.methods import METHODS, method_named
from unsee.records import described, differences
from unsee.runs.store import Store
from unsee.runs.targets import EACH, LABEL, ClassMap
from unsee.words import spelled

ALL = "all"


def chosen_methods(names: str | Sequence[str], stores: Mapping[str, Store]) -> tuple[str, ...]:
    """The methods that are named, each once, and those of the stores.

    Args:
        names: one or several, with dashes or underscores; "all" stands for all but "mask_top5".
        stores: method → store of existing maps.

    Raises:
        UnseeError: a name is not a method, or there is none.
    """
    extra = {ALL: tuple(METHODS), MASK_TOP5: (MASK_TOP5,)}
    found: list[str] = []
    for name in (text.strip() for text in ([names] if isinstance(names, str) else names)):
        if name:
            plain = name.replace("-", "_").casefold()
            found += extra[plain] if plain in extra else [method_named(name).name]
    if not found and not stores:
        raise UnseeError(
            "no method is named: give some, as in methods=['mask', 'gradient'] (--methods mask,gradient)"
        )
    last = [name for name in found if name == MASK_TOP5]  # the first method decides the target
    return tuple(dict.fromkeys([*(name for name in found if name != MASK_TOP5), *last, *stores]))


def stores_by_method(stores: Sequence[Store | str | Path]) -> dict[str, Store]:
    """Method → store of existing maps.

    Args:
        stores: opened stores, or their addresses.

    Raises:
        UnseeError: there is no store at an address, or two stores hold maps of the same method.
    """
    found: dict[str, Store] = {}
    for each in stores:
        store = each if isinstance(each, Store) else Store.open(each)
        method = method_of(store)
        if method in found:
            raise UnseeError(f"two stores hold maps of {spelled(method)}: give one of them")
        found[method] = store
    return found


def method_of(store: Store) -> str:
    """The method of a store's maps: "mask_top5" if masks were learned with the objective of table 1."""
    settings = store.manifest["settings"]
    published, own = described(five_best().objective), settings.get("mask", {}).get("objective", {})
    same = {**published, "score": None} == {**own, "score": None}
    return MASK_TOP5 if same else str(settings["method"])


def check_store(store: Store, source: MapSource, class_map: ClassMap | None) -> Store:
    """The store, if its maps are those of a source; how masks were learned may differ.

    Raises:
        UnseeError: its maps are of another network, data set, target or class map.
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
        raise UnseeError(f"the maps in {store.storage.address} cannot be used here ({'; '.join(changed)})")
    return store
