"""Picture grids of the supplement: networks (§6.3, fig. 8) and games (§6.5, fig. 9) side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.experiment import Case, Record, Summary, Table, by
from unsee.experiments.maps import MASK, Look, Picture, Stage
from unsee.masks import PRESETS
from unsee.masks.settings import adjusted
from unsee.metrics import mean_of

_NUMBERS = {"score": "score", "perturbed_score": "edited", "area": "area", "suppression": "suppression"}


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

    def looks(self, stage: Stage) -> list[Look]:
        """One for each network; those of one name are told apart by their weights.

        Raises:
            UnseeError: a network that is there twice.
        """
        names = [network.name.replace("/", "-") for network in stage.classifiers]
        if len(set(names)) < len(names):
            weights = [str(network.weights_sha256)[:6] for network in stage.classifiers]
            names = [f"{name} {own}" for name, own in zip(names, weights, strict=True)]
        if len(set(names)) < len(names):
            raise UnseeError(f"networks that are compared differ: give each once, not {', '.join(names)}")
        return [
            Look(name, MASK, stage.dataset, network, stage.preset, stage.target)
            for name, network in zip(names, stage.classifiers, strict=True)
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """The numbers of each mask."""
        yield from _numbers(case)

    def summary(self, records: Sequence[Record]) -> Summary:
        """Their means for each network."""
        return Summary((_means("masks of each network, means", records),))


@dataclass(frozen=True)
class Games:
    """The masks of the deletion and of the preservation game."""

    name: str = "games"
    title: str = "Deletion and preservation (supplement §6.5, fig. 9)"
    asks: str = (
        "The smallest region whose deletion lowers the score, beside the smallest region that alone keeps it."
    )
    paper_data: tuple[str, ...] = ()
    needs: str = "pictures with a mask of either game"
    target: str = "predicted"
    shows: Picture = Picture.MAPS

    def looks(self, stage: Stage) -> list[Look]:
        """One for each game; preservation without a blur of the mask, as it was published."""
        base = adjusted(PRESETS[stage.preset], game="deletion")
        keeps = replace(adjusted(base, game="preservation"), grid=replace(base.grid, blur=0.0))
        network = stage.classifiers[0]
        return [
            Look(name, MASK, stage.dataset, network, settings, stage.target)
            for name, settings in (("deletion", base), ("preservation", keeps))
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """The numbers of each mask."""
        yield from _numbers(case)

    def summary(self, records: Sequence[Record]) -> Summary:
        """Their means for each game."""
        return Summary((_means("masks of each game, means", records),))


def _numbers(case: Case) -> Iterator[Record]:
    for look, row in case.numbers.items():
        yield {"id": case.sample.id, "look": look, **{name: row[name] for name in _NUMBERS}}


def _means(title: str, records: Sequence[Record]) -> Table:
    rows = {
        look: {
            label: mean_of([record[name] for record in own if record[name] is not None])
            for name, label in _NUMBERS.items()
        }
        for look, own in by(records, "look").items()
    }
    return Table(title, rows)
