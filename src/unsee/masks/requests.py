"""Images that masks are learned for, and what their masks are scored against."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.network_input import NetworkInput
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings
from unsee.tensors import jitter_offsets


class MaskRequest(NamedTuple):
    """An image to learn a mask for.

    Args:
        id: the caller's name of the image.
        network_input: the photo at the network's size, with `Settings.margin` as its margin.
        target: the target classes.
        classes: how many logits the classifier has.
        area: that its mask should have; None for the objective's own. All requests of a run
            have one, or none.
    """

    id: int
    network_input: NetworkInput
    target: tuple[int, ...]
    classes: int
    area: float | None = None


def scoring_of(classifier: Classifier, requests: Sequence[MaskRequest], settings: Settings) -> Scoring:
    """The images of some requests with their edits, targets and areas.

    Args:
        classifier: as masks are learned with it.
        requests: at least one.
        settings: how masks are learned.
    """
    scoring = Scoring.prepare(
        classifier,
        [request.network_input for request in requests],
        [request.target for request in requests],
        requests[0].classes,
        settings.perturbations,
        settings.objective.score_on(classifier.reading.score_name),
        settings.input_noise,
        settings.shown,
    )
    return replace(scoring, both=settings.objective.game.both, areas=_areas(requests, settings, scoring))


def jitter_of(scoring: Scoring, settings: Settings, steps: int) -> Int[Tensor, "b n 2"]:
    """The jitter of each image at each of its steps, in pixels."""
    offsets = jitter_offsets(list(scoring.seeds), steps, settings.jitter)
    return offsets.transpose(0, 1).to(scoring.targets.device)


def _areas(
    requests: Sequence[MaskRequest], settings: Settings, scoring: Scoring
) -> Float[Tensor, " b"] | None:
    """The area that each image's mask should have; None where the penalties decide it."""
    own = settings.objective.area
    if own is None:
        return None
    areas = [own if request.area is None else request.area for request in requests]
    return torch.tensor(areas, dtype=torch.float64).to(scoring.targets.device)
