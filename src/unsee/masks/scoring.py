"""A batch of frames, their perturbed pictures and their targets: everything a mask is scored against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.edits.linear_blend import Views
from unsee.masks.edits.perturbation import Perturbation, blend
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import Score
from unsee.tensors import generator

_INPUT_NOISE_STREAM = 1000


@dataclass(frozen=True, eq=False)
class Scoring:
    """B pictures of one size with R perturbations each.

    Args:
        classifier: borrowed by whoever calls.
        score: what one evaluation gives.
        targets: 1 for each target class of each image.
        labels: the first of each image's target classes.
        seeds: one for each image.
        plain: the pictures at the input size, and `plain_references` what replaces their pixels.
        views: for each perturbation the same with the margin for jitter.
        shown: the picture that results are shown with where a mask is 0, at the input size.
        input_noise: deviation, in the network's normalised units, of noise added at each iteration.
    """

    classifier: Classifier
    score: Score
    targets: Float[Tensor, "b c"]
    labels: Int[Tensor, " b"]
    seeds: tuple[int, ...]
    plain: Float[Tensor, "b 3 h w"]
    plain_references: tuple[Float[Tensor, "b 3 h w"], ...]
    views: tuple[Views, ...]
    shown: Float[Tensor, "b 3 h w"]
    input_noise: float = 0.0

    @classmethod
    def prepare(
        cls,
        classifier: Classifier,
        frames: Sequence[NetworkInput],
        targets: Sequence[tuple[int, ...]],
        classes: int,
        perturbations: Sequence[Perturbation],
        score: Score,
        input_noise: float = 0.0,
        shown: Perturbation | None = None,
    ) -> "Scoring":
        """Make each frame's pictures once and gather them on the classifier's device.

        Results are shown with the first of the perturbations unless told.
        """
        device = classifier.device
        chosen = torch.zeros(len(frames), classes, device=device, dtype=classifier.dtype)
        for row, indices in zip(chosen, targets, strict=True):
            row[list(indices)] = 1
        pairs = [[perturbation.references(frame) for frame in frames] for perturbation in perturbations]
        still = tuple(torch.stack([p[0] for p in row]).to(device) for row in pairs)
        if shown is None or shown in perturbations:
            proof = still[0 if shown is None else list(perturbations).index(shown)]
        else:
            proof = torch.stack([shown.references(frame)[0] for frame in frames]).to(device)
        return cls(
            classifier=classifier,
            score=score,
            targets=chosen,
            labels=torch.tensor([indices[0] for indices in targets], device=device),
            seeds=tuple(frame.seed for frame in frames),
            plain=torch.stack([frame.plain for frame in frames]).to(device),
            plain_references=still,
            views=tuple(_views(classifier, frames, [p[1] for p in row]) for row in pairs),
            shown=proof,
            input_noise=input_noise,
        )

    def select(self, rows: Int[Tensor, " k"]) -> "Scoring":
        """Some of the pictures."""
        return replace(
            self,
            targets=self.targets[rows],
            labels=self.labels[rows],
            seeds=tuple(self.seeds[row] for row in rows.tolist()),
            plain=self.plain[rows],
            plain_references=tuple(part[rows] for part in self.plain_references),
            views=tuple(part.select(rows) for part in self.views),
            shown=self.shown[rows],
        )

    def joined(self, other: "Scoring") -> "Scoring":
        """These pictures and others that are treated alike."""
        return replace(
            self,
            targets=torch.cat([self.targets, other.targets]),
            labels=torch.cat([self.labels, other.labels]),
            seeds=self.seeds + other.seeds,
            plain=torch.cat([self.plain, other.plain]),
            plain_references=_paired(self.plain_references, other.plain_references),
            views=tuple(some.joined(rest) for some, rest in zip(self.views, other.views, strict=True)),
            shown=torch.cat([self.shown, other.shown]),
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of the network's input."""
        return self.plain.shape[-2], self.plain.shape[-1]

    def still_scores(self, masks: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k"]:
        """Scores without jitter or noise of k pixel masks an image, summed over the perturbations."""
        count, images = masks.shape[1], self.plain.repeat_interleave(masks.shape[1], dim=0)
        flat = masks.flatten(0, 1)[:, None]
        total = masks.new_zeros(len(flat))
        for reference in self.plain_references:
            picture = blend(images, reference.repeat_interleave(count, dim=0), flat)
            inputs = self.classifier.normalised(picture)
            total = total + self._score(inputs, self.targets.repeat_interleave(count, dim=0))
        return total.reshape(-1, count)

    def jittered_scores(
        self,
        masks: Float[Tensor, "b h w"],
        offsets: Int[Tensor, "b 2"],
        noise: Float[Tensor, "b 3 h w"] | None = None,
    ) -> Float[Tensor, " b"]:
        """Scores of one pixel mask an image on the canvas's window at `offsets`; the mask does not move.

        The noise is added to the network's input, in its normalised units.
        """
        total = masks.new_zeros(len(masks))
        for views in self.views:
            seen = views.seen(masks, offsets)
            total = total + self._score(seen if noise is None else seen + noise, self.targets)
        return total

    def noise_at(self, iteration: int | Int[Tensor, " b"]) -> Float[Tensor, "b 3 h w"] | None:
        """The noise of one iteration, or of each picture's own; None where there is none."""
        if self.input_noise == 0:
            return None
        counts = [iteration] * len(self.seeds) if isinstance(iteration, int) else iteration.tolist()
        draws = [
            torch.randn(self.plain.shape[1:], generator=generator(seed, _INPUT_NOISE_STREAM + count))
            for seed, count in zip(self.seeds, counts, strict=True)
        ]
        return self.input_noise * torch.stack(draws).to(self.plain)

    def _score(self, inputs: Tensor, targets: Tensor) -> Float[Tensor, " b"]:
        return self.score(self.classifier.answer(inputs), targets)


def _paired(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(pair) for pair in zip(some, others, strict=True))


def _views(classifier: Classifier, frames: Sequence[NetworkInput], references: Sequence[Tensor]) -> Views:
    """Canvases and what replaces their pixels, as the network takes them."""
    reference = classifier.normalised(torch.stack(list(references)).to(classifier.device))
    canvas = classifier.normalised(torch.stack([frame.canvas for frame in frames]).to(classifier.device))
    return Views(reference, canvas.sub_(reference), frames[0].size)
