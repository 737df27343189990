"""The blurs of Fong, Patrick & Vedaldi 2019, as a stack that is read between its levels.

As `Pyramid`, it blurs each pixel with a width that follows the mask. The widths are those of the authors'
code, equally spaced, and beyond its border the photo does not continue mirrored but in the mean colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.blur_stack import BlurStack, photo_between
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.network_input import NetworkInput


@dataclass(frozen=True)
class BlurLevels(Perturbation):
    """Blurs whose standard deviation falls in equal steps from `sigma` to 0 as the mask rises from 0 to 1.

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
    kind: ClassVar[str] = "blur"

    def __post_init__(self) -> None:
        if not self.sigma > 0 or self.levels < 2:
            raise UnseeError("a stack of blurs needs a sigma above 0 pixels and at least two levels")

    @property
    def shares(self) -> Float[Tensor, " n"]:
        """The width of each level over `sigma`, from 0 to 1; float64."""
        return torch.linspace(0, 1, self.levels, dtype=torch.float64)

    def stack(self, image: Float[Tensor, "c h w"], color: Sequence[float]) -> Float[Tensor, "n c h w"]:
        """The image, in [0,1], at each width; beyond its border it continues in this colour."""
        mean = torch.tensor(color, dtype=image.dtype)[:, None, None]
        levels = [image]
        for share in self.shares[1:]:
            rows, columns = (
                zero_padded_gaussian(n, self.sigma * float(share)).to(image) for n in image.shape[-2:]
            )
            levels.append(rows @ (image - mean) @ columns.T + mean)
        return torch.stack(levels)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The stacks of these inputs, on the classifier's device."""
        stacks = []
        for one in inputs:
            still = self.stack(one.plain, one.mean_color)
            stacks.append((still, self.stack(one.canvas, one.mean_color) if one.margin else still))
        return BlurStack.of(classifier, stacks, self.shares)

    def edited_photo(self, network_input: NetworkInput, mask: Float[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
        """The photo with blurs of the network's pixels, in [0,1]; outside the network's view it stays."""
        levels = self.stack(network_input.plain, network_input.mean_color)
        return photo_between(network_input, levels, self.shares, mask)


def zero_padded_gaussian(length: int, sigma: float) -> Float[Tensor, "n n"]:
    """Matrix that blurs a line, cut at ⌈4σ⌉ and with zeros beyond the ends; float64."""
    reach = math.ceil(4 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    total = torch.exp(-0.5 * (places / sigma).square()).sum()
    line = torch.arange(length, dtype=torch.float64)
    distance = line[:, None] - line
    weights = torch.exp(-0.5 * (distance / sigma).square()) / total
    return torch.where(distance.abs() <= reach, weights, 0.0)
