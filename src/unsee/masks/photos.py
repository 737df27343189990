"""Photos in, masks out, at the network's input: photos are read as there is room, and keep their order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unsee.classifier import Classifier, TargetLike
from unsee.errors import UnseeError
from unsee.explanation import Target
from unsee.fits import Fit, Squash
from unsee.images import Photo
from unsee.masks.learner import learn_each
from unsee.masks.loop import Progress
from unsee.masks.network_input import NetworkInput
from unsee.masks.on_layer import OnLayer, check_no_area, on_layer
from unsee.masks.outcome import Learned
from unsee.masks.requests import MaskRequest
from unsee.masks.settings import Settings
from unsee.masks.smallest_mask_arguments import check_settings
from unsee.masks.smallest_masks import suffice_each
from unsee.memory import in_quarters
from unsee.smallest_mask import Sufficient, is_share
from unsee.target_scores import logit_score
from unsee.tuning import check_precision, uses_bfloat16

TOP5 = "top5"
Refuse = Callable[[int, str], None]
PhotoTarget = tuple[Photo, TargetLike | None] | tuple[Photo, TargetLike | None, float]
"""A photo, its target, None for the predicted class, and the area of its mask where it has one of its own."""


@dataclass(frozen=True)
class Plan:
    """How the photos of a run are explained.

    Args:
        settings: how masks are learned.
        preset: the name of the settings.
        fit: how photos are brought to the network's input.
        seed: of every photo's draws; a photo's mask does not depend on its batch.
        batch_size: photos that are learned at once; None for as many as are fast and fit in memory.
        precision: "float32", "bfloat16", or "auto": bfloat16 in `fast` if the device supports it.
        compiled: hand a copy of the network to `torch.compile`.
        areas: areas that each photo gets a mask of; none for one mask by the settings.
        share: of the score that a mask should keep, or in deletion remove: each photo gets the mask of the
            smallest area that does. The areas are then those that are tried first.
        sufficient: what the smallest mask must do, where that is asked for.
        layer: whose activation is masked instead of the pixels; `on` turns it into settings.
        budget: evaluations of masks for each photo; None for the settings' own.
        iterations: steps that were asked for; the settings have them already, and they are only refused where
            no optimiser by gradients can be used.
        best_so_far: give the best masks so far when the user stops optimisers that need no gradient; their
            verdict says so.

    Raises:
        UnseeError: a value outside its range, areas for settings that choose the area themselves, or a layer
            for what is only learned on pixels.
    """

    settings: Settings
    preset: str = "custom"
    fit: Fit = Squash()
    seed: int = 0
    batch_size: int | None = None
    precision: str = "auto"
    compiled: bool = False
    areas: tuple[float, ...] = ()
    share: float | None = None
    sufficient: Sufficient | None = None
    layer: OnLayer | None = None
    budget: int | None = None
    iterations: int | None = None
    best_so_far: bool = False

    def on(self, classifier: Classifier, photos: Iterable[Photo] = ()) -> "Plan":
        """The plan on the layer, with the score that the classifier was given or its head gives.

        Where the classifier gives no gradient, masks are learned without one (`Settings.without_gradient`).

        Settings with a score of their own keep it, but for the logit of the presets of areas: a score that
        the classifier was given goes before that.

        Args:
            classifier: borrowed, and given back as it was.
            photos: those over which the layer's mean is taken, if deleted cells become that.

        Raises:
            UnseeError: see `on_layer`; or the classifier gives no gradient, and areas or iterations were
                asked for.
        """
        settings = self.settings
        if self.layer is not None:
            settings = on_layer(settings, classifier, self.layer, photos, self.fit)
        if settings.needs_gradient and not classifier.reading.differentiable:
            settings = self._without_gradient(classifier, settings)
        if self.budget is not None:
            settings = settings.with_budget(self.budget)
        if classifier.score is not None and settings.objective.score is logit_score:
            settings = replace(settings, objective=replace(settings.objective, score=None))
        settings = settings.on(classifier.reading.score_name)
        return replace(self, settings=settings, layer=None, budget=None, iterations=None)

    def _without_gradient(self, classifier: Classifier, settings: Settings) -> Settings:
        if self.sufficient is not None:
            raise UnseeError(
                f"{classifier.name} gives no gradient, by which the smallest mask that suffices is found: "
                "leave suppress= (--suppress) and keep= (--keep) out"
            )
        if self.iterations is not None:
            raise UnseeError(
                f"iterations= (--iterations) are steps by gradients, and {classifier.name} gives none: give "
                "budget= (--budget) instead"
            )
        return settings.without_gradient()

    def __post_init__(self) -> None:
        check_precision(self.precision)
        if self.batch_size is not None and (not isinstance(self.batch_size, int) or self.batch_size < 1):
            raise UnseeError(f"batch_size must be a whole number of at least 1, got {self.batch_size!r}")
        if not isinstance(self.seed, int):
            raise UnseeError(f"seed must be a whole number, got {self.seed!r}")
        if not isinstance(self.fit, Fit):
            raise UnseeError(f"fit must be unsee.Squash() or unsee.CentreCrop(), got {self.fit!r}")
        for area in self.areas:
            self.settings.objective.with_area(area)
        if len({f"{area:g}" for area in self.areas}) < len(self.areas):
            raise UnseeError(f"areas must differ, got {', '.join(map(str, self.areas))}")
        if self.share is not None and not (is_share(self.share) and self.areas):
            raise UnseeError(f"a share of the score is above 0 and below 1, such as 0.9, got {self.share!r}")
        if self.layer is not None:
            check_no_area(self.areas or None)
            if self.sufficient is not None:
                check_settings(self.settings, self.layer)


class LearnedPhoto(NamedTuple):
    """A photo, the classes that were explained and what was learned; images are made again on demand.

    `area` is the one that was asked for where the photo had one of its own.
    """

    network_input: NetworkInput
    target: Target
    area: float | None
    learned: Learned


def learn_photos(
    classifier: Classifier,
    photos: Iterable[PhotoTarget],
    plan: Plan,
    progress: Progress | None = None,
    refuse: Refuse | None = None,
) -> Iterator[LearnedPhoto]:
    """Masks of photos with their targets, in order, one for each; the plan's areas and share do not count.

    Photos are read when there is room for them, so memory does not grow with their number.

    Args:
        classifier: borrowed while masks are learned, and given back as it was.
        photos: each photo with its target, None for the predicted class, and its area; all have one, or none.
        plan: how the photos are explained.
        progress: called after each iteration.
        refuse: called with the number of a photo whose scores are not finite, from 0, and the reason; it is
            then left out. Without it such a photo is an error.

    Raises:
        UnseeError: a target or the precision is invalid, or scores are not finite.
    """
    plan = plan.on(classifier)
    pending = _Pending(classifier, iter(photos), plan, refuse)
    half = precision_of(classifier, plan) == "bfloat16"
    rest = (plan.batch_size, half, plan.compiled, progress)
    if plan.sufficient is None:
        learning = learn_each(classifier, pending.take, plan.settings, *rest, plan.best_so_far)
    else:
        learning = suffice_each(classifier, pending.take, plan.settings, plan.sufficient, *rest)
    ready: dict[int, LearnedPhoto] = {}
    due = 0
    for number, learned in learning:
        ready[number] = LearnedPhoto(*pending.remove(number), learned)
        while due in ready or due in pending.refused:
            if due in ready:
                yield ready.pop(due)
            due += 1


def precision_of(classifier: Classifier, plan: Plan) -> str:
    """The precision that a plan's masks are learned in; "auto" keeps published presets in full precision."""
    exact = plan.precision == "auto" and plan.settings.optimiser.exact
    if not exact and uses_bfloat16(classifier, plan.precision):
        return "bfloat16"
    return str(classifier.net_dtype).removeprefix("torch.")


class _Pending:
    """The photos whose masks are being learned."""

    def __init__(
        self,
        classifier: Classifier,
        photos: Iterator[PhotoTarget],
        plan: Plan,
        refuse: Refuse | None,
    ) -> None:
        self.classifier, self.photos, self.plan, self.refuse = classifier, photos, plan, refuse
        self.refused: set[int] = set()
        self.inside: dict[int, tuple[NetworkInput, Target, float | None]] = {}
        self.count = 0

    def take(self, places: int) -> list[MaskRequest]:
        """Up to so many further photos, with their target classes."""
        while batch := list(islice(self.photos, places)):
            if requests := self._requests(batch):
                return requests
        return []

    def _requests(self, batch: Sequence[PhotoTarget]) -> list[MaskRequest]:
        inputs = [_network_input(self.classifier, self.plan, photo) for photo, *_ in batch]
        clean = in_quarters(self._clean_scores, inputs)
        requests = []
        for one, (photo, asked, *own), scores in zip(inputs, batch, clean, strict=True):
            if not bool(scores.isfinite().all()):
                self._refuse(photo)
                continue
            target = target_indices(self.classifier, asked, scores, self.plan.settings.targets)
            without_images = replace(one)
            named = Target(target, tuple(map(self.classifier.class_name, target)), asked_for(asked))
            area = own[0] if own else None
            self.inside[self.count] = without_images, named, area
            requests.append(MaskRequest(self.count, one, target, len(scores), area))
            self.count += 1
        return requests

    def _refuse(self, photo: Photo) -> None:
        reason = self.classifier.not_finite(photo.name)
        if self.refuse is None:
            raise UnseeError(reason)
        self.refuse(self.count, reason)
        self.refused.add(self.count)
        self.count += 1

    def _clean_scores(self, inputs: Sequence[NetworkInput]) -> list[Tensor]:
        return list(self.classifier.probabilities(torch.stack([one.plain for one in inputs])).cpu())

    def remove(self, number: int) -> tuple[NetworkInput, Target, float | None]:
        """A photo whose mask is there, its target and its area."""
        return self.inside.pop(number)


def _network_input(classifier: Classifier, plan: Plan, photo: Photo) -> NetworkInput:
    return NetworkInput.of(classifier, photo, plan.fit, plan.seed, plan.settings.margin)


def target_indices(
    classifier: Classifier, target: TargetLike | None, scores: Tensor, best: int = 1
) -> tuple[int, ...]:
    """The class indices of a target.

    Args:
        classifier: finds classes by name.
        target: an index, a name, a tuple of them, or "top5"; None for the highest-scoring classes.
        scores: (C,) of the clean image.
        best: how many classes to explain if there is no target.

    Returns:
        Indices below C, each once; those found by their scores have the highest first.

    Raises:
        UnseeError: an unknown class, or something that is no target.
    """
    if target is None or (isinstance(target, str) and target == TOP5):
        count = min(best if target is None else 5, len(scores))
        return tuple(scores.topk(count).indices.tolist())
    if isinstance(target, int | str | np.integer):
        return (classifier.class_index(target, len(scores)),)
    if not isinstance(target, list | tuple):
        raise UnseeError(f"a target is a class index, a name or a tuple of them, got {type(target).__name__}")
    indices = tuple(dict.fromkeys(classifier.class_index(part, len(scores)) for part in target))
    if not indices:
        raise UnseeError("a target of several classes needs at least one class")
    return indices


def joined_classes(text: str) -> tuple[str, ...]:
    """The classes of a text such as "243+282", each an index or a name.

    Raises:
        UnseeError: a "+" has no class on one side.
    """
    parts = tuple(part.strip() for part in text.split("+"))
    if not all(parts):
        raise UnseeError(f"{text!r} has no class on one side of a '+': join classes as in 243+282")
    return parts


def asked_for(target: TargetLike | None) -> str:
    """A target as results record it."""
    if target is None:
        return "predicted"
    if isinstance(target, int | str | np.integer):
        return str(target)
    return "+".join(str(part) for part in target)
