"""What an experiment is run on, checked before anything is computed."""

from collections.abc import Mapping, Sequence

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset
from unsee.errors import UnseeError
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.experiment import About
from unsee.experiments.map_stores import chosen_methods
from unsee.experiments.maps import Setup
from unsee.masks import PRESETS
from unsee.runs.store import Store


def networks_of(classifiers: Classifier | Sequence[Classifier]) -> tuple[Classifier, ...]:
    """One network, or several, as a tuple."""
    return (classifiers,) if isinstance(classifiers, Classifier) else tuple(classifiers)


def set_up(
    about: About,
    classifiers: Classifier | Sequence[Classifier],
    dataset: Dataset,
    methods: Sequence[str],
    stores: Mapping[str, Store],
    preset: str,
    target: str | None,
) -> Setup:
    """What an experiment is run on, checked.

    Raises:
        UnseeError: a name does not exist; there are several networks, or existing maps, and the experiment
            takes none.
    """
    look_up(PRESETS, preset, "preset")
    networks = networks_of(classifiers)
    if len(networks) != 1 and not about.several_networks:
        others = [each.about.name for each in EXPERIMENTS.values() if each.about.several_networks]
        raise UnseeError(
            f"{about.name} takes one network, not {len(networks)}: give one classifier (--model once); "
            f"{', '.join(others)} takes several"
        )
    if stores and about.own_maps:
        raise UnseeError(
            f"{about.name} makes its own maps and cannot use existing ones: leave masks=… (--masks) out"
        )
    return Setup(networks, dataset, chosen_methods(methods, stores), preset, target or about.target)
