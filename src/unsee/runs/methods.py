"""What is done to each picture of a run: a mask is learned, or another method looks."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from unsee.classifier import Classifier
from unsee.explanation import Scores
from unsee.fits import Fit, Squash
from unsee.images import Photo
from unsee.masks.learner import images_at_once
from unsee.masks.optimisers.adam import Adam
from unsee.masks.photos import LearnedPhoto, Plan, learn_photos, precision_of, target_indices
from unsee.memory import BATCH_SIZE, by_halves
from unsee.records import described
from unsee.runs.rows import packed
from unsee.saliency import Method
from unsee.tuning import tuned

_FEW, _REFILLS = 4, 4
_DEAR = ("occlusion", "blur_occlusion", "variable_occlusion", "lime", "rise")
"""Methods that ask a network hundreds of times, for its answers alone."""


class TargetedPhoto(NamedTuple):
    """A photo that is asked about; the predicted classes where `target` is None."""

    photo: Photo
    target: tuple[int, ...] | None


@runtime_checkable
class RowMethod(Protocol):
    """Turns photos into what their rows hold."""

    def resolved(self, classifier: Classifier) -> "RowMethod":
        """The same with nothing left open that depends on the machine."""

    @property
    def portion(self) -> int:
        """How many pictures one part of a store should have: they are lost together when a run is killed."""

    def settings(self) -> dict[str, Any]:
        """All that decides the result, as JSON values."""

    def answers(self, classifier: Classifier, photos: Iterable[TargetedPhoto]) -> Iterator[dict[str, Any]]:
        """What the row of each photo holds, in order; photos are drawn as they are needed."""


@dataclass(frozen=True)
class LearnedMask:
    """The learned mask, at the network's input: in [0,1], 1 keeps."""

    plan: Plan

    def resolved(self, classifier: Classifier) -> "LearnedMask":
        """The same with its batch size found and its precision chosen."""
        half = precision_of(classifier, self.plan) == "bfloat16"
        size = self.plan.batch_size or images_at_once(classifier, self.plan.settings, half)
        precision = "bfloat16" if half else "float32"
        return LearnedMask(replace(self.plan, batch_size=size, precision=precision))

    @property
    def portion(self) -> int:
        """Some batches where masks settle one by one and make room for others, else one."""
        batches = 1 if isinstance(self.plan.settings.algorithm, Adam) else _REFILLS
        return batches * (self.plan.batch_size or BATCH_SIZE)

    def settings(self) -> dict[str, Any]:
        """The plan, each setting by its name."""
        plan = self.plan
        return {
            "method": "mask",
            "game": plan.settings.objective.game.name,
            "preset": plan.preset,
            "mask": described(plan.settings),
            "fit": plan.fit.name,
            "seed": plan.seed,
            "precision": plan.precision,
            "batch_size": plan.batch_size,
        }

    def answers(self, classifier: Classifier, photos: Iterable[TargetedPhoto]) -> Iterator[dict[str, Any]]:
        """Masks with their scores and the terms of their objective."""
        for seen in learn_photos(classifier, photos, self.plan):
            yield self._answer(seen)

    def _answer(self, seen: LearnedPhoto) -> dict[str, Any]:
        mask, terms = seen.learned.mask, seen.learned.terms.tolist()
        scores = Scores(*seen.learned.scores.tolist())
        return {
            "target": seen.target.indices,
            "target_name": seen.target.names,
            "mask": mask.numpy().astype(np.float16).ravel(),
            "mask_shape": tuple(mask.shape),
            "mask_scale": 1.0,
            "score": scores.original,
            "perturbed_score": scores.perturbed,
            "reference_score": scores.reference,
            "suppression": scores.suppression,
            "area": float(self.plan.settings.objective.game.saliency(mask).mean()),
            "objective": sum(terms),
            "objective_score": terms[0],
            "objective_l1": terms[1],
            "objective_tv": terms[2],
            "evaluations": seen.learned.evaluations,
            "verdict": seen.learned.verdict,
            "seconds": seen.learned.seconds,
        }


@dataclass(frozen=True)
class SaliencyMaps:
    """A saliency method's maps, at their own size and in their own units.

    Args:
        name: what the method is called.
        method: the method, with its layer and seed if it takes any.
        options: those, for the record.
        best: how many of the highest classes are asked about where none is named.
        fit: how photos are brought to the network's input.
        batch_size: photos at once.
    """

    name: str
    method: Method
    options: tuple[tuple[str, str | int | None], ...] = ()
    best: int = 1
    fit: Fit = Squash()
    batch_size: int | None = None

    def resolved(self, classifier: Classifier) -> "SaliencyMaps":  # noqa: ARG002
        """The same with its batch size chosen."""
        return replace(self, batch_size=self.batch_size or (_FEW if self.name in _DEAR else BATCH_SIZE))

    @property
    def portion(self) -> int:
        """Few pictures for methods that evaluate the network hundreds of times for each."""
        batches = 1 if self.name in _DEAR else _REFILLS
        return batches * (self.batch_size or BATCH_SIZE)

    def settings(self) -> dict[str, Any]:
        """The method and its options."""
        own = {"targets": self.best, "fit": self.fit.name, "batch_size": self.batch_size}
        return {"method": self.name, **dict(self.options), **own}

    def answers(self, classifier: Classifier, photos: Iterable[TargetedPhoto]) -> Iterator[dict[str, Any]]:
        """Maps with the score of the picture as it is."""
        waiting = iter(photos)
        asked = tuned(classifier) if self.name in _DEAR else classifier
        while batch := list(islice(waiting, self.batch_size or BATCH_SIZE)):
            yield from by_halves(lambda some: self._answers(asked, some), batch)

    def _answers(self, classifier: Classifier, batch: Sequence[TargetedPhoto]) -> list[dict[str, Any]]:
        began = time.perf_counter()
        images = torch.stack([self.fit.apply(ready.photo.pixels, classifier.size) for ready in batch])
        images = images.to(classifier.device, classifier.dtype)
        scores = classifier.probabilities(images).cpu()
        targets = [
            target_indices(classifier, ready.target, own, self.best)
            for ready, own in zip(batch, scores, strict=True)
        ]
        maps = self.method(classifier, images, targets).detach().float().cpu()
        seconds = (time.perf_counter() - began) / len(batch)
        return [
            self._answer(classifier, target, own, values) | {"seconds": seconds}
            for target, own, values in zip(targets, scores, maps, strict=True)
        ]

    def _answer(
        self, classifier: Classifier, target: tuple[int, ...], scores: Tensor, values: Tensor
    ) -> dict[str, Any]:
        known = {
            "target": target,
            "target_name": tuple(map(classifier.class_name, target)),
            "score": float(scores[list(target)].sum()),
        }
        if not bool(values.isfinite().all()):
            return known | {"error": f"{self.name} gave a map that holds NaN or infinite values"}
        flat, scale = packed(values.numpy())
        return known | {"mask": flat, "mask_shape": tuple(values.shape), "mask_scale": scale}
