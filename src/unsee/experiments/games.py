"""The deletion and the preservation game side by side (supplement §6.5, fig. 9)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from unsee.classifier import Classifier
from unsee.experiments.experiment import Case, Record, Summary
from unsee.experiments.maps import MASK, MapSource, Picture, Setup
from unsee.experiments.mask_numbers import mask_numbers, means_table
from unsee.masks import PRESETS
from unsee.masks.settings import adjusted


@dataclass(frozen=True)
class Games:
    """The masks of the deletion and of the preservation game."""

    name: str = "games"
    title: str = "Deletion and preservation (supplement §6.5, fig. 9)"
    asks: str = (
        "The smallest region whose deletion lowers the score, next to the smallest region that alone "
        "keeps it."
    )
    paper_data: tuple[str, ...] = ()
    needs: str = "pictures with a mask of either game"
    target: str = "predicted"
    shows: Picture = Picture.MAPS

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each game; preservation without a blur of the mask, as published."""
        base = adjusted(PRESETS[setup.preset], game="deletion")
        keeps = replace(adjusted(base, game="preservation"), grid=replace(base.grid, blur=0.0))
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
