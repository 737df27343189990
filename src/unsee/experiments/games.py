"""The deletion and the preservation game side by side (supplement §6.5, fig. 9)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from unsee.classifier import Classifier
from unsee.experiments.experiment import About, Case, FirstImages, Record, Summary
from unsee.experiments.maps import MASK, MapSource, Setup
from unsee.experiments.mask_numbers import mask_numbers, means_table
from unsee.masks import PRESETS
from unsee.masks.settings import adjusted


@dataclass(frozen=True)
class Games:
    """The masks of the deletion and of the preservation game."""

    about: ClassVar[About] = About(
        name="games",
        title="Deletion and preservation (supplement §6.5, fig. 9)",
        asks=(
            "The smallest region whose deletion lowers the score, next to the smallest region that alone "
            "keeps it."
        ),
        needs="images with a mask of either game",
        target="predicted",
        shows=FirstImages.MAPS,
        own_maps=True,
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each game; preservation without a blur of the mask, as published."""
        base = adjusted(PRESETS[setup.preset], game="deletion")
        keeps = replace(adjusted(base, game="preservation"), grid=base.grid.unblurred())
        network = setup.classifiers[0]
        return [
            MapSource(name, MASK, setup.dataset, network, settings, setup.target)
            for name, settings in (("deletion", base), ("preservation", keeps))
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """The scores and the area of each mask."""
        yield from mask_numbers(case)

    def summary(self, records: Sequence[Record]) -> Summary:
        """Their means for each game."""
        return Summary((means_table("masks of each game, means", records),))
