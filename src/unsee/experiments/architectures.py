"""The masks of different networks side by side (supplement §6.3, fig. 8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.experiment import About, Case, FirstImages, Record, Summary
from unsee.experiments.maps import MASK, MapSource, Setup
from unsee.experiments.mask_numbers import mask_numbers, means_table


@dataclass(frozen=True)
class Architectures:
    """The mask of each network for its own best class."""

    about: ClassVar[About] = About(
        name="architectures",
        title="Different networks (supplement §6.3, fig. 8)",
        asks="The mask of each network for its best class, side by side.",
        needs="images with a mask of every network",
        target="top1",
        shows=FirstImages.MAPS,
        several_networks=True,
        own_maps=True,
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each network; networks of the same name are distinguished by their weights.

        Raises:
            UnseeError: the same network is given twice.
        """
        names = [network.name.replace("/", "-") for network in setup.classifiers]
        if len(set(names)) < len(names):
            weights = [str(network.weights_sha256)[:6] for network in setup.classifiers]
            names = [f"{name} {own}" for name, own in zip(names, weights, strict=True)]
        if len(set(names)) < len(names):
            raise UnseeError(f"the networks to compare must differ: give each once, got {', '.join(names)}")
        return [
            MapSource(name, MASK, setup.dataset, network, setup.preset, setup.target)
            for name, network in zip(names, setup.classifiers, strict=True)
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """The scores and the area of each mask."""
        yield from mask_numbers(case)

    def summary(self, records: Sequence[Record]) -> Summary:
        """Their means for each network."""
        return Summary((means_table("masks of each network, means", records),))
