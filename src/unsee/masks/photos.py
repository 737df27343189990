"""Photos in, masks out, at the network's input: draws photos as there is room, and keeps their order."""

from collections.abc import Iterable, Iterator, Sequence
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
from unsee.masks.learner import Learned, Request, learn_each
from unsee.masks.loop import Progress
from unsee.masks.network_input import NetworkInput
from unsee.masks.optimisers.adam import Adam
from unsee.masks.settings import Settings
from unsee.memory import in_quarters
from unsee.tuning import PRECISIONS, uses_bfloat16

TOP5 = "top5"


@dataclass(frozen=True)
class Plan:
    """What is done to every photo of a run.

    Args:
        settings: how masks are learned.
        preset: what the settings are called.
        fit: how photos are brought to the network's input.
        seed: of every photo's draws; a photo's mask does not depend on the photos beside it.
        batch_size: photos that are learned at once; as many as are fast and fit in memory where it is None.
        precision: "float32", "bfloat16", or "auto": bfloat16 in `fast` where the device computes in it.
        compiled: hand a copy of the network to `torch.compile`.
    """

    settings: Settings
    preset: str = "custom"
    fit: Fit = Squash()
    seed: int = 0
    batch_size: int | None = None
    precision: str = "auto"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UnseeError(f"no precision is called {self.precision!r}; there are {', '.join(PRECISIONS)}")
        if self.batch_size is not None and (not isinstance(self.batch_size, int) or self.batch_size < 1):
            raise UnseeError(f"a batch has a whole number of photos, at least 1, not {self.batch_size!r}")
        if not isinstance(self.seed, int):
            raise UnseeError(f"a seed is a whole number, not {self.seed!r}")
        if not isinstance(self.fit, Fit):
            raise UnseeError(f"a fit is unsee.Squash() or unsee.CentreCrop(), not {self.fit!r}")


class LearnedPhoto(NamedTuple):
    """A photo with what was asked about it and what was learned; the frame holds no pictures yet."""

    frame: NetworkInput
    target: Target
    learned: Learned


def learn_photos(
    classifier: Classifier,
    photos: Iterable[tuple[Photo, TargetLike | None]],
    plan: Plan,
    progress: Progress | None = None,
) -> Iterator[LearnedPhoto]:
    """Masks of photos with their targets, in order.

    Photos are drawn when there is room for them: memory does not grow with their number.
    """
    cabin = _Pending(classifier, iter(photos), plan)
    half = precision_of(classifier, plan) == "bfloat16"
    learning = learn_each(
        classifier, cabin.enter, plan.settings, plan.batch_size, half, plan.compiled, progress
    )
    ready: dict[int, LearnedPhoto] = {}
    due = 0
    while (found := _next(learning)) is not None:
        place, learned = found
        ready[place] = LearnedPhoto(*cabin.leave(place), learned)
        while due in ready:
            yield ready.pop(due)
            due += 1


def precision_of(classifier: Classifier, plan: Plan) -> str:
    """What a plan's masks are learned in; "auto" leaves the published presets, all of Adam, in full."""
    exact = plan.precision == "auto" and isinstance(plan.settings.algorithm, Adam)
    if not exact and uses_bfloat16(classifier, plan.precision):
        return "bfloat16"
    return str(classifier.net_dtype).removeprefix("torch.")


def _next(learning: Iterator[tuple[int, Learned]]) -> tuple[int, Learned] | None:
    with torch.inference_mode(False), torch.enable_grad():
        return next(learning, None)


class _Pending:
    """The photos that are being learned, from when they are drawn until their mask is there."""

    def __init__(
        self, classifier: Classifier, photos: Iterator[tuple[Photo, TargetLike | None]], plan: Plan
    ) -> None:
        self.classifier, self.photos, self.plan = classifier, photos, plan
        self.inside: dict[int, tuple[NetworkInput, Target]] = {}
        self.drawn = 0

    def enter(self, places: int) -> list[Request]:
        """Up to so many further photos, with their target classes."""
        batch = list(islice(self.photos, places))
        if not batch:
            return []
        frames = [_frame(self.classifier, self.plan, photo) for photo, _ in batch]
        clean = in_quarters(self._clean, frames)
        arrivals = []
        for frame, (_, asked), scores in zip(frames, batch, clean, strict=True):
            target = target_indices(self.classifier, asked, scores, self.plan.settings.targets)
            without_pictures = replace(frame)
            named = Target(target, tuple(map(self.classifier.class_name, target)), asked_for(asked))
            self.inside[self.drawn] = without_pictures, named
            arrivals.append(Request(self.drawn, frame, target, len(scores)))
            self.drawn += 1
        return arrivals

    def _clean(self, frames: Sequence[NetworkInput]) -> list[Tensor]:
        return list(self.classifier.probabilities(torch.stack([frame.plain for frame in frames])).cpu())

    def leave(self, place: int) -> tuple[NetworkInput, Target]:
        """The frame, and what was asked about it."""
        return self.inside.pop(place)


def _frame(classifier: Classifier, plan: Plan, photo: Photo) -> NetworkInput:
    margin = plan.settings.margin
    return NetworkInput(
        photo, classifier.size, margin, plan.fit, classifier.color, plan.seed, classifier.dtype
    )


def target_indices(
    classifier: Classifier, target: TargetLike | None, scores: Tensor, best: int = 1
) -> tuple[int, ...]:
    """The classes that a target means for an image with these scores (C,).

    Without a target they are the `best` highest-scoring classes of the clean image, the highest first.

    Raises:
        UnseeError: a class that is not there.
    """
    if target is None or (isinstance(target, str) and target == TOP5):
        count = min(best if target is None else 5, len(scores))
        return tuple(scores.topk(count).indices.tolist())
    if isinstance(target, int | str | np.integer):
        return (classifier.class_index(str(target), len(scores)),)
    if not isinstance(target, list | tuple):
        raise UnseeError(f"a target is a class index, a name or a tuple of them, not {type(target).__name__}")
    indices = tuple(dict.fromkeys(classifier.class_index(str(part), len(scores)) for part in target))
    if not indices:
        raise UnseeError("a target of several classes needs at least one class")
    return indices


def asked_for(target: TargetLike | None) -> str:
    """A target as the record of a result words it."""
    if target is None:
        return "predicted"
    if isinstance(target, int | str | np.integer):
        return str(target)
    return "+".join(str(part) for part in target)
