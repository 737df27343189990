"""A batch of images, prepared edits and targets: what a mask is scored against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import log_odds_of
from unsee.target_scores import Score
from unsee.tensors import generator

_INPUT_NOISE_STREAM = 1000


class Scored(NamedTuple):
    """Scores summed over the edits; `log_odds` of their mean where the score is a probability, else None.

    `places` numbers the jitter of each; None where there is none.
    """

    values: Float[Tensor, "*b"]
    log_odds: Float[Tensor, "*b"] | None
    places: Int[Tensor, "*b"] | None = None

    @classmethod
    def summed(cls, parts: Sequence["Scored"]) -> "Scored":
        """The scores of several edits together."""
        values = torch.stack([part.values for part in parts]).sum(dim=0)
        odds = [part.log_odds for part in parts if part.log_odds is not None]
        if len(odds) < 2:
            return cls(values, odds[0] if odds else None)
        each = torch.stack(odds)
        yes, no = F.logsigmoid(each), F.logsigmoid(-each)
        return cls(values, yes.logsumexp(dim=0) - no.logsumexp(dim=0))


@dataclass(frozen=True, eq=False)
class Scoring:
    """B images of one size, an edit for each perturbation, and the score of the target classes.

    Args:
        classifier: lent by the caller.
        score: turns logits into a score.
        targets: 1 for each target class of each image.
        labels: the first of each image's target classes.
        seeds: one for each image.
        edits: one for each perturbation that masks are learned against; scores are summed over them.
        shown: the edit that results are shown and scored with.
        input_noise: deviation, in the network's normalised units, of noise added at each iteration.
        both: whether masks are scored by the difference from their complement (`Game.both`).
        areas: the area that each image's mask should have, float64; None where all have the objective's own.
    """

    classifier: Classifier
    score: Score
    targets: Float[Tensor, "b c"]
    labels: Int[Tensor, " b"]
    seeds: tuple[int, ...]
    edits: tuple[Edit, ...]
    shown: Edit
    input_noise: float = 0.0
    both: bool = False
    areas: Float[Tensor, " b"] | None = None

    @classmethod
    def prepare(
        cls,
        classifier: Classifier,
        inputs: Sequence[NetworkInput],
        targets: Sequence[tuple[int, ...]],
        classes: int,
        perturbations: Sequence[Perturbation],
        score: Score,
        input_noise: float = 0.0,
        shown: Perturbation | None = None,
    ) -> "Scoring":
        """Prepare the edits of a batch on the classifier's device.

        Args:
            classifier: lent by the caller.
            inputs: the photos at the network's input.
            targets: the target classes of each.
            classes: how many logits the classifier has.
            perturbations: one edit is prepared for each.
            score: turns logits into a score.
            input_noise: see the class.
            shown: what results are shown with; defaults to the first perturbation.

        Raises:
            UnseeError: the edits take masks of different sizes.
        """
        marks = torch.zeros(len(inputs), classes, device=classifier.device, dtype=classifier.dtype)
        for row, indices in zip(marks, targets, strict=True):
            row[list(indices)] = 1
        edits = tuple(perturbation.prepare(classifier, inputs) for perturbation in perturbations)
        own = perturbations[0] if shown is None else shown
        learned = next((edit for one, edit in zip(perturbations, edits, strict=True) if one == own), None)
        shown_edit = own.prepare(classifier, inputs) if learned is None else learned
        if len({edit.size for edit in (*edits, shown_edit)}) > 1:
            raise UnseeError(
                "perturbations, also the one that results are shown with, must take masks of one size: got "
                + ", ".join(f"{one.name} {edit.size}" for one, edit in zip(perturbations, edits, strict=True))
                + f", shown with {own.name} {shown_edit.size}"
            )
        return cls(
            classifier=classifier,
            score=score,
            targets=marks,
            labels=torch.tensor([indices[0] for indices in targets], device=classifier.device),
            seeds=tuple(one.seed for one in inputs),
            edits=edits,
            shown=shown_edit,
            input_noise=input_noise,
        )

    def __len__(self) -> int:
        return len(self.seeds)

    def select(self, rows: Int[Tensor, " k"]) -> "Scoring":
        """Some of the images."""
        edits = tuple(edit.select(rows) for edit in self.edits)
        return replace(
            self,
            targets=self.targets[rows],
            labels=self.labels[rows],
            seeds=tuple(self.seeds[row] for row in rows.tolist()),
            edits=edits,
            shown=self._shown_among(edits, lambda: self.shown.select(rows)),
            areas=None if self.areas is None else self.areas[rows],
        )

    def joined(self, other: "Scoring") -> "Scoring":
        """These images and others that are treated alike."""
        edits = tuple(some.joined(rest) for some, rest in zip(self.edits, other.edits, strict=True))
        return replace(
            self,
            targets=torch.cat([self.targets, other.targets]),
            labels=torch.cat([self.labels, other.labels]),
            seeds=self.seeds + other.seeds,
            edits=edits,
            shown=self._shown_among(edits, lambda: self.shown.joined(other.shown)),
            areas=None if self.areas is None or other.areas is None else torch.cat([self.areas, other.areas]),
        )

    def _shown_among(self, edits: Sequence[Edit], otherwise: Callable[[], Edit]) -> Edit:
        """The new edit in the shown one's place, where that is one of those masks are learned against."""
        pairs = zip(self.edits, edits, strict=True)
        shown = next((new for old, new in pairs if old is self.shown), None)
        return otherwise() if shown is None else shown

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the masks that edits take."""
        return self.shown.size

    def still_scores(
        self, masks: Float[Tensor, "b k h w"], edits: Sequence[Edit] | None = None
    ) -> Float[Tensor, "b k"]:
        """Scores of k masks of each image without jitter or noise, summed over the edits.

        Args:
            masks: at `size`, in [0,1].
            edits: defaults to those that masks are learned against.
        """
        count = masks.shape[1]
        rows = torch.arange(len(masks), device=masks.device).repeat_interleave(count)
        parts = []
        for edit in self.edits if edits is None else edits:
            repeated = edit if count == 1 else edit.select(rows)
            given = repeated.apply(masks.flatten(0, 1))
            parts.append(self._scored(repeated, given, self.targets[rows]))
        return Scored.summed(parts).values.reshape(-1, count)

    def jittered_scores(
        self,
        masks: Float[Tensor, "b h w"],
        offsets: Int[Tensor, "b 2"],
        noise: Tensor | None = None,
        mirrored: Bool[Tensor, " b"] | None = None,
    ) -> Scored:
        """Scores of one mask of each image, summed over the edits; the mask does not move with the jitter.

        Where `both` is set, the scores under the complements are taken off; there are no log-odds then.

        Args:
            masks: at `size`, in [0,1].
            offsets: each image's jitter in pixels.
            noise: added to what the network is given, in its normalised units.
            mirrored: the images that the network is given mirrored, left to right, with their masks.
        """
        scored = self._moving_scores(masks, offsets, noise, mirrored)
        if not self.both:
            return scored
        others = self._moving_scores(1 - masks, offsets, noise, mirrored)
        return Scored(scored.values - others.values, None)

    def _moving_scores(
        self, masks: Tensor, offsets: Tensor, noise: Tensor | None, mirrored: Tensor | None
    ) -> Scored:
        parts = []
        for edit in self.edits:
            given = edit.apply(masks, offsets)
            if noise is not None and noise.shape != given.shape:
                raise UnseeError("input noise is added to images, and this perturbation edits no pixels")
            given = given if noise is None else given + noise
            parts.append(self._scored(edit, self._turned(given, mirrored), self.targets))
        return Scored.summed(parts)

    def _turned(self, given: Tensor, mirrored: Tensor | None) -> Tensor:
        if mirrored is None:
            return given
        if given.shape[1:] != self.classifier.input_shape:
            raise UnseeError("only images are mirrored, and this perturbation edits no pixels")
        return torch.where(mirrored[:, None, None, None], given.flip(-1), given)

    def noise_at(self, iteration: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"] | None:
        """The input noise of each image's own iteration; None where there is none."""
        if self.input_noise == 0:
            return None
        draws = [
            torch.randn(self.classifier.input_shape, generator=generator(seed, _INPUT_NOISE_STREAM + count))
            for seed, count in zip(self.seeds, iteration.tolist(), strict=True)
        ]
        return self.input_noise * torch.stack(draws).to(self.targets)

    def _scored(self, edit: Edit, given: Tensor, targets: Tensor) -> Scored:
        logits = edit.logits(self.classifier, given)
        log_odds = log_odds_of(self.score)
        return Scored(self.score(logits, targets), None if log_odds is None else log_odds(logits, targets))
