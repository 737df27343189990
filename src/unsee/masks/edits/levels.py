"""Ever stronger blurs, interpolated by the mask, as Fong, Patrick & Vedaldi 2019 perturb pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Edit
from unsee.masks.network_input import NetworkInput
from unsee.tensors import window


@dataclass(frozen=True, eq=False)
class LevelsEdit:
    """B images, each as a stack of levels: the first fully perturbed, the last the image itself.

    Args:
        levels: on the canvas that jittered windows are cut from, normalised.
        still: at the network's input size, normalised.
    """

    levels: Float[Tensor, "b l c hc wc"]
    still: Float[Tensor, "b l c h w"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of the network's input."""
        return self.still.shape[-2], self.still.shape[-1]

    def apply(
        self, masks: Float[Tensor, "b h w"], offsets: Int[Tensor, "b 2"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The network's input: between the two levels that each mask value lies between."""
        return interpolated(self.still if offsets is None else self._moved(offsets), masks)

    def _moved(self, offsets: Int[Tensor, "b 2"]) -> Float[Tensor, "b l c h w"]:
        if self.levels.shape == self.still.shape:
            return self.levels
        return window(self.levels.flatten(1, 2), offsets, self.size).view_as(self.still)

    def logits(self, classifier: Classifier, given: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The classifier's logits for its input."""
        return classifier.answer(given)

    def select(self, rows: Int[Tensor, " k"]) -> "LevelsEdit":
        """Some of the images."""
        return LevelsEdit(self.levels[rows], self.still[rows])

    def joined(self, other: Any) -> "LevelsEdit":  # noqa: ANN401
        """These images and others of the same size."""
        return LevelsEdit(
            torch.cat([self.levels, other.levels]),
            torch.cat([self.still, other.still]),
        )


@dataclass(frozen=True)
class BlurLevels:
    """Blurs whose standard deviation falls in equal steps from `sigma` to 0 as the mask rises from 0 to 1.

    Beyond the border the picture continues in the mean colour, as in the authors' code.

    Args:
        sigma: of the strongest blur, in pixels of the network's input.
        levels: how many, the picture itself among them.
        name: the name in results.

    Raises:
        UnseeError: sigma is not above 0, or there are fewer than two levels.
    """

    sigma: float = 20.0
    levels: int = 8
    name: str = "blur-levels"

    def __post_init__(self) -> None:
        if not self.sigma > 0 or self.levels < 2:
            raise UnseeError("a stack of blurs needs a sigma above 0 pixels and at least two levels")

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The stacks of these inputs, on the classifier's device."""

        def stacked(images: Sequence[Tensor]) -> Tensor:
            return self.stack(classifier.normalised(torch.stack(list(images)).to(classifier.device)))

        still = stacked([one.plain for one in inputs])
        moves = any(one.margin for one in inputs)
        return LevelsEdit(levels=stacked([one.canvas for one in inputs]) if moves else still, still=still)

    def edited_photo(self, network_input: NetworkInput, mask: Float[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
        """The photo with blurs of the network's pixels; outside the network's view it stays."""
        photo, fit = network_input.photo.pixels, network_input.fit
        size = (photo.shape[-2], photo.shape[-1])
        color = torch.tensor(network_input.mean_color, dtype=network_input.dtype)[:, None, None]
        blurred = self.stack((network_input.plain - color)[None])[0] + color
        levels = [fit.back(level, size, 0.0).clamp(0, 1).float() for level in blurred[:-1]]
        left, top, right, bottom = fit.window(size, network_input.size)
        inside = torch.zeros(size)
        inside[round(top) : round(bottom), round(left) : round(right)] = 1
        shown = torch.where(inside > 0, mask, 1.0)
        return interpolated(torch.stack([*levels, photo])[None], shown[None])[0]

    def stack(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b l c h w"]:
        """The levels of images whose mean colour is 0."""
        parts = []
        for level in range(self.levels):
            sigma = self.sigma * (1 - level / (self.levels - 1))
            rows, columns = (zero_padded_gaussian(n, sigma).to(images) for n in images.shape[-2:])
            parts.append(rows @ images @ columns.T)
        return torch.stack(parts, dim=1)


def zero_padded_gaussian(length: int, sigma: float) -> Float[Tensor, "n n"]:
    """Matrix that blurs a line, cut at ⌈4σ⌉ and with zeros beyond the ends; float64."""
    if sigma == 0:
        return torch.eye(length, dtype=torch.float64)
    reach = math.ceil(4 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    total = torch.exp(-0.5 * (places / sigma).square()).sum()
    line = torch.arange(length, dtype=torch.float64)
    distance = line[:, None] - line
    weights = torch.exp(-0.5 * (distance / sigma).square()) / total
    return torch.where(distance.abs() <= reach, weights, 0.0)


def interpolated(
    levels: Float[Tensor, "b l c h w"], masks: Float[Tensor, "b h w"]
) -> Float[Tensor, "b c h w"]:
    """Linear between the two levels that each mask value, in [0,1], lies between; differentiable in it."""
    last = levels.shape[1] - 1
    place = masks * last
    below = place.detach().floor().clamp(0, last - 1)
    part = (place - below)[:, None]
    index = below.long()[:, None, None].expand(-1, 1, *levels.shape[2:])
    low = levels.gather(1, index)[:, 0]
    high = levels.gather(1, index + 1)[:, 0]
    return torch.lerp(low, high, part.expand_as(low))
