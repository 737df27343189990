"""What a run does with each image: learn a mask, or compute another method's saliency map."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.explanation import Scores
from unsee.fits import Fit, Squash
from unsee.images import Photo
from unsee.masks.learner import images_at_once
from unsee.masks.network_input import photo_for
from unsee.masks.on_photo import on_input
from unsee.masks.photos import LearnedPhoto, Plan, learn_photos, precision_of, target_indices
from unsee.memory import BATCH_SIZE, FEW, by_halves
from unsee.methods import Method
from unsee.records import described
from unsee.runs.rows import packed
from unsee.smallest_mask import question_record
from unsee.tuning import tuned

_REFILLS = 4


class TargetedPhoto(NamedTuple):
    """A photo to explain, with its classes; None stands for the predicted ones."""

    photo: Photo
    target: tuple[int, ...] | None


@runtime_checkable
class RowMethod(Protocol):
    """Computes what the rows of photos hold."""

    def resolved(self, classifier: Classifier) -> "RowMethod":
        """The same method with every setting chosen that depends on the machine."""

    @property
    def portion(self) -> int:
        """How many images one part of a store should have: when a run is killed, they are lost together."""

    def settings(self) -> dict[str, Any]:
        """Every setting that decides the result, as JSON values."""

    def values(self, classifier: Classifier, photos: Iterable[TargetedPhoto]) -> Iterator[dict[str, Any]]:
        """The columns of each photo's row, in order; photos are drawn only as they are needed."""


@dataclass(frozen=True)
class LearnedMask:
    """The learned mask, at the network's input size: in [0,1], 1 keeps."""

    plan: Plan

    def resolved(self, classifier: Classifier) -> "LearnedMask":
        """The same with its batch size and its precision chosen."""
        plan = self.plan.on(classifier)
        half = precision_of(classifier, plan) == "bfloat16"
        size = plan.batch_size or images_at_once(classifier, plan.settings, half)
        precision = "bfloat16" if half else "float32"
        return LearnedMask(replace(plan, batch_size=size, precision=precision))

    @property
    def portion(self) -> int:
        """Several batches if images can end early and make room for others, else one."""
        batches = _REFILLS if self.plan.settings.optimiser.settles_early else 1
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
            **({} if plan.sufficient is None else {"sufficient": question_record(plan.sufficient)}),
        }

    def values(self, classifier: Classifier, photos: Iterable[TargetedPhoto]) -> Iterator[dict[str, Any]]:
        """Masks with their scores and the terms of their objective."""
        refused: dict[int, str] = {}
        numbers = count()
        for learned in learn_photos(classifier, photos, self.plan, refuse=refused.__setitem__):
            while (number := next(numbers)) in refused:
                yield {"error": refused[number]}
            yield self._columns(learned)
        while (number := next(numbers)) in refused:
            yield {"error": refused[number]}

    def _columns(self, photo: LearnedPhoto) -> dict[str, Any]:
        mask = photo.learned.mask
        if self.plan.settings.own_cells:
            mask = on_input(mask, photo.network_input.size)
        scores = Scores(*photo.learned.scores.tolist())
        terms = photo.learned.terms
        return {
            "target": photo.target.indices,
            "target_name": photo.target.names,
            "mask": mask.numpy().astype(np.float16).ravel(),
            "mask_shape": tuple(mask.shape),
            "mask_scale": 1.0,
            "score": scores.original,
            "perturbed_score": scores.perturbed,
            "reference_score": scores.reference,
            "suppression": scores.suppression,
            "area": float(self.plan.settings.objective.game.saliency(mask).mean()),
            "objective": sum(terms.values()),
            "objective_terms": terms,
            "evaluations": photo.learned.evaluations,
            "attempts": photo.learned.attempts,
            "verdict": photo.learned.verdict,
            "token_check": photo.learned.token_check or None,
            "seconds": photo.learned.seconds,
        }


@dataclass(frozen=True)
class SaliencyMaps:
    """Another method's saliency maps, at their own size and in their own units.

    Args:
        method: the method.
        layer: the layer that it reads, if it reads one; by default it chooses.
        seed: of its random draws, if it has any.
        best: how many of the highest-scoring classes are explained if no class is given.
        fit: how photos are brought to the network's input size.
        batch_size: images at once.
    """

    method: Method
    layer: str | None = None
    seed: int = 0
    best: int = 1
    fit: Fit = Squash()
    batch_size: int | None = None

    def resolved(self, classifier: Classifier) -> "SaliencyMaps":  # noqa: ARG002
        """The same with its batch size chosen."""
        return replace(self, batch_size=self.batch_size or (FEW if self.method.costly else BATCH_SIZE))

    @property
    def portion(self) -> int:
        """One batch for methods that evaluate the network hundreds of times for each image, else several."""
        batches = 1 if self.method.costly else _REFILLS
        return batches * (self.batch_size or BATCH_SIZE)

    def settings(self) -> dict[str, Any]:
        """The method and its options."""
        options: dict[str, Any] = {"layer": self.layer} if self.method.reads_layer else {}
        if self.method.seeded:
            options["seed"] = self.seed
        own = {"targets": self.best, "fit": self.fit.name, "batch_size": self.batch_size}
        return {"method": self.method.name, **options, **own}

    def values(self, classifier: Classifier, photos: Iterable[TargetedPhoto]) -> Iterator[dict[str, Any]]:
        """Maps with the scores of the unedited images."""
        waiting = iter(photos)
        network = tuned(classifier) if self.method.costly else classifier
        while batch := list(islice(waiting, self.batch_size or BATCH_SIZE)):
            yield from by_halves(lambda some: self._batch(network, some), batch)

    def _batch(self, classifier: Classifier, batch: Sequence[TargetedPhoto]) -> list[dict[str, Any]]:
        began = time.perf_counter()
        images = torch.stack([self._fitted(classifier, each.photo) for each in batch])
        images = images.to(classifier.device, classifier.dtype)
        logits = classifier.still_logits(images).cpu()
        scores = classifier.reading.scores(logits)
        for each, own in zip(batch, scores, strict=True):
            if not bool(own.isfinite().all()):
                raise UnseeError(classifier.not_finite(each.photo.name))
        targets = [
            target_indices(classifier, each.target, own, self.best)
            for each, own in zip(batch, scores, strict=True)
        ]
        maps = self.method(classifier, images, targets, layer=self.layer, seed=self.seed)
        maps = maps.detach().float().cpu()
        seconds = (time.perf_counter() - began) / len(batch)
        together = classifier.target_scores(logits, targets).tolist()
        return [
            self._columns(classifier, target, own, values) | {"seconds": seconds}
            for target, own, values in zip(targets, together, maps, strict=True)
        ]

    def _fitted(self, classifier: Classifier, photo: Photo) -> Tensor:
        return self.fit.apply(photo_for(classifier, photo).pixels, classifier.size)

    def _columns(
        self, classifier: Classifier, target: tuple[int, ...], score: float, values: Tensor
    ) -> dict[str, Any]:
        known = {
            "target": target,
            "target_name": tuple(map(classifier.class_name, target)),
            "score": score,
        }
        if not bool(values.isfinite().all()):
            return known | {"error": f"{self.method.spelled} gave a map with NaN or infinite values"}
        flat, scale = packed(values.numpy())
        return known | {"mask": flat, "mask_shape": tuple(values.shape), "mask_scale": scale}
