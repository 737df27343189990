"""Masks on different layers side by side (supplement §6.4, fig. 8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Size

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.experiment import About, Case, Experiment, FirstImages, Record, Summary
from unsee.experiments.maps import MASK, MapSource, Setup
from unsee.experiments.mask_numbers import mask_numbers, means_table
from unsee.layer_names import layer_called, layers_of, paper_names, paper_network
from unsee.layers import is_map, wrapping
from unsee.masks import PRESETS, OnLayer, on_layer
from unsee.masks.on_layer import PAPER_LAYERS

_MOST = 5


def _on_layers(layers: tuple[str, ...]) -> Experiment:
    return Layers(layers)


@dataclass(frozen=True)
class Layers:
    """The mask on each of several layers, over the places of its maps, with deleted cells set to 0.

    Args:
        layers: by dotted name or the paper's; by default see `shown_layers`.
    """

    layers: tuple[str, ...] = ()

    about: ClassVar[About] = About(
        name="layers",
        title="Different layers (supplement §6.4, fig. 8)",
        asks="The smallest part of a layer's activation whose deletion lowers the score, layer by layer.",
        needs="images with a mask on every layer",
        target="predicted",
        shows=FirstImages.MAPS,
        own_maps=True,
        on_layers=_on_layers,
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each layer.

        Raises:
            UnseeError: a layer does not exist, is given twice, or has no places.
        """
        network = setup.classifiers[0]
        names = [layer_called(network, name) for name in self.layers or shown_layers(network)]
        if len(set(names)) < len(names):
            raise UnseeError(f"the layers to compare must differ: got {', '.join(names)}")
        papers = {name: paper for paper, name in paper_names(network).items()}
        base = PRESETS[setup.preset]
        return [
            MapSource(
                papers.get(name, name),
                MASK,
                setup.dataset,
                network,
                on_layer(base, network, OnLayer(name)),
                setup.target,
            )
            for name in names
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:  # noqa: ARG002
        """The scores and the area of each mask."""
        yield from mask_numbers(case)

    def summary(self, records: Sequence[Record]) -> Summary:
        """Their means for each layer."""
        return Summary((means_table("masks on each layer, means", records),))


def shown_layers(classifier: Classifier) -> tuple[str, ...]:
    """The layers of the paper's figure 8; in other networks the last of each size of maps, at most five.

    In those, layers inside others inside others are passed over, such as those of a block.

    Returns:
        Dotted names, the first layer first.

    Raises:
        UnseeError: the network is another, and no layer returns maps.
    """
    network = paper_network(classifier)
    printed = [layer for own, layer in PAPER_LAYERS if own == network]
    if printed:
        return tuple(layer_called(classifier, name) for name in printed)
    maps = [one for one in layers_of(classifier) if is_map(Size((1, *one.shape)))]
    depth = 1 + wrapping(classifier.network)
    outer = [one for one in maps if one.name.count(".") <= depth] or maps
    last = {one.shape[1] * one.shape[2]: one.name for one in outer}
    if not last:
        raise UnseeError(f"no layer of {classifier.name} returns maps: name layers of tokens or vectors")
    return tuple(last[cells] for cells in sorted(last, reverse=True))[-_MOST:]
