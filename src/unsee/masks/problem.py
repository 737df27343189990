"""A batch of frames, their perturbed pictures and their targets: everything a mask is scored against."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.frame import Frame
from unsee.masks.objective import Score
from unsee.masks.perturbation import Perturbation, blend
from unsee.tensors import generator, window

_INPUT_NOISE_STREAM = 1000


@dataclass(frozen=True, eq=False)
class Problem:
    """B pictures of one size with R perturbations each.

    Args:
        classifier: borrowed by whoever calls.
        score: what one evaluation gives.
        targets: 1 for each target class of each image.
        labels: the first of each image's target classes.
        seeds: one for each image.
        plain: the pictures at the input size, and `plain_references` what replaces their pixels.
        canvas: the same with the margin for jitter, and `canvas_references`.
        input_noise: deviation, in the network's normalised units, of noise added at each iteration.
    """

    classifier: Classifier
    score: Score
    targets: Float[Tensor, "b c"]
    labels: Int[Tensor, " b"]
    seeds: tuple[int, ...]
    plain: Float[Tensor, "b 3 h w"]
    plain_references: tuple[Float[Tensor, "b 3 h w"], ...]
    canvas: Float[Tensor, "b 3 hc wc"]
    canvas_references: tuple[Float[Tensor, "b 3 hc wc"], ...]
    input_noise: float = 0.0

    @classmethod
    def prepare(
        cls,
        classifier: Classifier,
        frames: Sequence[Frame],
        targets: Sequence[tuple[int, ...]],
        classes: int,
        perturbations: Sequence[Perturbation],
        score: Score,
        input_noise: float = 0.0,
    ) -> "Problem":
        """Make each frame's pictures once and gather them on the classifier's device."""
        device = classifier.device
        chosen = torch.zeros(len(frames), classes, device=device, dtype=classifier.dtype)
        for row, indices in zip(chosen, targets, strict=True):
            row[list(indices)] = 1
        pairs = [[perturbation.references(frame) for frame in frames] for perturbation in perturbations]
        return cls(
            classifier=classifier,
            score=score,
            targets=chosen,
            labels=torch.tensor([indices[0] for indices in targets], device=device),
            seeds=tuple(frame.seed for frame in frames),
            plain=torch.stack([frame.plain for frame in frames]).to(device),
            plain_references=tuple(torch.stack([p[0] for p in row]).to(device) for row in pairs),
            canvas=torch.stack([frame.canvas for frame in frames]).to(device),
            canvas_references=tuple(torch.stack([p[1] for p in row]).to(device) for row in pairs),
            input_noise=input_noise,
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
            total = total + self._score(picture, self.targets.repeat_interleave(count, dim=0))
        return total.reshape(-1, count)

    def jittered_scores(
        self,
        masks: Float[Tensor, "b h w"],
        offsets: Int[Tensor, "b 2"],
        noise: Float[Tensor, "b 3 h w"] | None = None,
    ) -> Float[Tensor, " b"]:
        """Scores of one pixel mask an image on the canvas's window at `offsets`; the mask does not move."""
        image = window(self.canvas, offsets, self.size)
        total = masks.new_zeros(len(masks))
        for canvas in self.canvas_references:
            picture = blend(image, window(canvas, offsets, self.size), masks[:, None])
            total = total + self._score(picture if noise is None else picture + noise, self.targets)
        return total

    def noise_at(self, iteration: int) -> Float[Tensor, "b 3 h w"] | None:
        """The noise of one iteration, in RGB units; None where the problem has none."""
        if self.input_noise == 0:
            return None
        draws = [
            torch.randn(self.plain.shape[1:], generator=generator(seed, _INPUT_NOISE_STREAM + iteration))
            for seed in self.seeds
        ]
        std = torch.tensor(self.classifier.std)[:, None, None]
        return (self.input_noise * std * torch.stack(draws)).to(self.plain)

    def _score(self, pictures: Tensor, targets: Tensor) -> Float[Tensor, " b"]:
        return self.score(self.classifier.logits(pictures), targets)
