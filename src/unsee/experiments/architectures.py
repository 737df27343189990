"""The masks of different networks side by side (supplement §6.3, fig. 8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.experiment import Case, Record, Summary
from unsee.experiments.maps import MASK, MapSource, Picture, Setup
from unsee.experiments.mask_numbers import mask_numbers, means_table


@dataclass(frozen=True)
class Architectures:
    """The mask of each network for its own best class."""

    name: str = "architectures"
    title: str = "Different networks (supplement §6.3, fig. 8)"
    asks: str = "The mask of each network for the class that it finds best, side by side."
    paper_data: tuple[str, ...] = ()
    needs: str = "pictures with a mask of every network"
    target: str = "top1"
    shows: Picture = Picture.MAPS

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each network; those of one name are told apart by their weights.

        Raises:
            UnseeError: a network that is there twice.
        """
        names = [network.name.replace("/", "-") for network in setup.classifiers]
        if len(set(names)) < len(names):
            weights = [str(network.weights_sha256)[:6] for network in setup.classifiers]
            names = [f"{name} {own}" for name, own in zip(names, weights, strict=True)]
        if len(set(names)) < len(names):
            raise UnseeError(f"networks that are compared differ: give each once, not {', '.join(names)}")
        return [
            MapSource(name, MASK, setup.dataset, network, setup.preset, setup.target)
            for name, network in zip(names, setup.classifiers, strict=True)
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """The numbers of each mask."""
        yield from mask_numbers(case)

    def summary(self, records: Sequence[Record]) -> Summary:
        """Their means for each network."""
        return Summary((means_table("masks of each network, means", records),))
