"""Settings for masks on a layer: the paper's weights, and a rule for layers of other sizes (§6.4)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.activation import form_of
from unsee.behind_layer import read
from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.fits import Fit, Squash
from unsee.hooks import opened
from unsee.images import Photo
from unsee.layer_names import ALEXNET, VGG16, layer_called, paper_names, paper_network
from unsee.masks.edits.layer_mask import BOTH, CHANNELS, OVER, SPACE, LayerMask
from unsee.masks.grid import Grid
from unsee.masks.network_input import photo_for
from unsee.masks.penalties import L1, TiledVariation, TotalVariation
from unsee.masks.penalty_protocol import Penalty
from unsee.masks.settings import Settings
from unsee.memory import BATCH_SIZE, by_halves

ZERO, MEAN = "zero", "mean"
VALUES = (ZERO, MEAN)
_LEAST_CELLS = 36


class LayerWeights(NamedTuple):
    """The side of a layer's maps, and the weights of L1 (λ1, for each cell) and of variation (λ2)."""

    side: int
    l1: float
    variation: float


PAPER_LAYERS: dict[tuple[str, str], LayerWeights] = {
    (ALEXNET, "pool1"): LayerWeights(27, 1e-4, 1e-2),
    (ALEXNET, "pool2"): LayerWeights(13, 5e-3, 1e-2),
    (ALEXNET, "relu3"): LayerWeights(13, 5e-3, 1e-2),
    (ALEXNET, "relu4"): LayerWeights(13, 5e-3, 1e-2),
    (ALEXNET, "pool5"): LayerWeights(6, 1e-2, 1e-3),
    (VGG16, "pool1"): LayerWeights(112, 5e-5, 1e-2),
    (VGG16, "pool2"): LayerWeights(56, 1e-4, 1e-2),
    (VGG16, "pool3"): LayerWeights(28, 1e-4, 1e-2),
    (VGG16, "pool4"): LayerWeights(14, 5e-3, 1e-2),  # printed as 13×13; at an input of 224 it is 14×14
    (VGG16, "pool5"): LayerWeights(7, 1e-2, 1e-3),
}
"""(network, the paper's name of the layer) → what the supplement's §6.4 prints."""


@final
@dataclass(frozen=True)
class OnLayer:
    """Where a mask lies, instead of on the pixels.

    Args:
        name: of the layer: dotted, or in torchvision's AlexNet and VGG the paper's, such as pool5.
        value: what deleted cells become: "zero" (drop-out, as in the paper), "mean" (of each channel, over
            all places of the photos that are given), or a number.
        over: "space" (one mask for all channels, as in the paper), "channels", or "both".

    Raises:
        UnseeError: an unknown value or `over`.
    """

    name: str
    value: str | float = ZERO
    over: str = SPACE

    def __post_init__(self) -> None:
        if isinstance(self.value, str):
            look_up(dict.fromkeys(VALUES), self.value, "value of deleted cells")
        look_up(dict.fromkeys(OVER), self.over, "mask over")


def on_layer(
    settings: Settings,
    classifier: Classifier,
    where: OnLayer | str,
    photos: Iterable[Photo] = (),
    fit: Fit | None = None,
) -> Settings:
    """Settings with the mask on a layer instead of on the pixels.

    Game, score, targets and optimiser stay. The perturbation is the constant; the mask is not upsampled or
    blurred, and nothing is jittered. λ1 and λ2 are the paper's for the layer, or follow from its cells by
    `layer_weights`; β is 3.

    Args:
        settings: a preset, or settings of one's own.
        classifier: borrowed, and given back as it was.
        where: the layer, or its name.
        photos: those over which the mean is taken, if the value is "mean".
        fit: how they are brought to the network's input.

    Raises:
        UnseeError: there is no such layer, its activation is not understood, the mean has no photo, or the
            settings are for masks on tokens.
    """
    check_no_cells(settings)
    check_no_area(settings.objective.area)
    place = OnLayer(where) if isinstance(where, str) else where
    classifier = opened(classifier)
    name = layer_called(classifier, place.name)
    value: float | tuple[float, ...] = 0.0 if isinstance(place.value, str) else float(place.value)
    mask = LayerMask(name, form_of(classifier, name), value, place.over)
    if place.value == MEAN:
        mask = replace(mask, value=channel_means(classifier, mask, photos, fit))
    penalties = _penalties(mask, weights_of_layer(classifier, mask))
    retries = tuple(replace(one, start=one.start.scaled(mask.start_scale)) for one in settings.retries)
    return replace(
        settings,
        objective=replace(settings.objective, penalties=penalties),
        perturbations=(mask,),
        grid=Grid(cell=1.0, blur=0.0),
        start=settings.start.scaled(mask.start_scale),
        jitter=0,
        input_noise=0.0,
        shown_with=None,
        retries=retries,
    )


def check_no_area(area: object) -> None:
    """Refuse an area where a layer is masked.

    Raises:
        UnseeError: there is one.
    """
    if area is not None:
        raise UnseeError(
            "a given area is for masks on pixels: leave area= (--area) and its presets out, or the layer"
        )


def check_no_perturbation(perturbation: object) -> None:
    """Refuse a perturbation of pixels where a layer is masked.

    Raises:
        UnseeError: there is one.
    """
    if perturbation is not None:
        raise UnseeError(
            "a mask on a layer edits no pixels: leave perturbation= (--perturbation) out; what deleted cells "
            "become is the layer's value (--layer-value)"
        )


def check_no_cells(settings: Settings) -> None:
    """Refuse settings for masks on cells of another kind, such as tokens, where a layer is masked.

    Raises:
        UnseeError: they are.
    """
    if settings.own_cells:
        name = settings.perturbations[0].name
        raise UnseeError(
            f"a mask lies on a layer or on {name}, not on both: choose another preset, or leave the layer out"
        )


def weights_of_layer(classifier: Classifier, mask: LayerMask) -> LayerWeights:
    """The paper's weights for a layer, where it has printed them at this size; else those of the rule."""
    papers = {name: paper for paper, name in paper_names(classifier).items()}
    printed = PAPER_LAYERS.get((str(paper_network(classifier)), papers.get(mask.layer, "")))
    form = mask.form
    if printed is not None and (form.rows, form.columns) == (printed.side, printed.side):
        return printed
    return layer_weights(form.places)


def layer_weights(cells: int) -> LayerWeights:
    """λ1 and λ2 for a number of cells: straight lines in the logarithms through the paper's ten points.

    Fewer cells than 36, or more than 12,544, have the weights of these ends.
    """
    known = {one.side**2: one for one in PAPER_LAYERS.values()}
    places = sorted(known)
    below = max((n for n in places if n <= cells), default=places[0])
    above = min((n for n in places if n >= cells), default=places[-1])
    share = 0.0 if above == below or cells < below else math.log(cells / below) / math.log(above / below)
    ends = known[below], known[above]
    l1, variation = (
        math.exp((1 - share) * math.log(one) + share * math.log(other)) if one != other else one
        for one, other in zip(ends[0][1:], ends[1][1:], strict=True)
    )
    return LayerWeights(round(math.sqrt(cells)), l1, variation)


def channel_means(
    classifier: Classifier, mask: LayerMask, photos: Iterable[Photo], fit: Fit | None = None
) -> tuple[float, ...]:
    """The mean of each channel of a layer over all places of photos.

    Raises:
        UnseeError: there is no photo.
    """
    scaling = Squash() if fit is None else fit
    images = [scaling.apply(photo_for(classifier, one).pixels, classifier.size) for one in photos]
    if not images:
        raise UnseeError(
            "the mean of a layer is taken over the photos that are given, and there is none: give photos, or "
            'the value "zero"'
        )

    def means(some: list[Tensor]) -> list[Float[Tensor, " c"]]:
        batch = torch.stack(some).to(classifier.device, classifier.dtype)
        with classifier.borrowed(), torch.no_grad():
            activation = read(classifier, mask.layer, classifier.normalised(batch))
        return list(mask.form.maps(activation).double().mean(dim=(2, 3)).cpu())

    parts = [images[first : first + BATCH_SIZE] for first in range(0, len(images), BATCH_SIZE)]
    rows = [row for part in parts for row in by_halves(lambda some: means(list(some)), part)]
    return tuple(torch.stack(rows).mean(dim=0).float().tolist())


def _penalties(mask: LayerMask, weights: LayerWeights) -> tuple[Penalty, ...]:
    """A mask over channels costs as much as one over places where it deletes everything.

    The weights are divided among the channels. A mask over channels alone has no neighbours, so no variation;
    a layer of few places, such as a vector, counts as one of 36, the paper's smallest.
    """
    channels, places = mask.form.channels, mask.form.places
    if mask.over == SPACE:
        return L1(weights.l1, cells=None), TotalVariation(weights.variation)
    if mask.over == CHANNELS:
        return (L1(weights.l1 * max(places, _LEAST_CELLS) / channels, cells=None),)
    assert mask.over == BOTH
    return L1(weights.l1 / channels, cells=None), TiledVariation(weights.variation / channels, channels)
