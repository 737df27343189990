"""The blur that the paper defines (§4.1): a Gaussian whose width at each pixel follows the mask.

Φ(x₀; m)(u) = ∫ g_σ(u)(v - u) x₀(v) dv with σ(u) = σ₀·(1 - m(u)): 0 where the mask keeps, σ₀ where it
deletes. (As printed, σ₀·m(u) contradicts "1 keeps".) The image is blurred beforehand with a few widths, and
each pixel is read between the two levels that are nearest to its own. So an evaluation costs two look-ups a
pixel, and the gradient is exact for what is computed.
"""

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
from unsee.tensors import smooth

_SPACING = 2.0


@dataclass(frozen=True)
class Pyramid(Perturbation):
    """A Gaussian blur whose width follows the mask.

    Args:
        sigma: σ₀, in pixels of the network's input: the width where the mask deletes.
        levels: how many widths the image is blurred with, 0 and σ₀ among them; they are denser near 0.
        name: the name in results.

    Raises:
        UnseeError: fewer than two levels, or no width.
    """

    sigma: float = 10.0
    levels: int = 12
    name: str = "pyramid"
    kind: ClassVar[str] = "blur"

    def __post_init__(self) -> None:
        if self.levels < 2 or not self.sigma > 0:
            raise UnseeError(
                f"a pyramid needs two levels or more and a sigma above 0, got {self.levels} and {self.sigma}"
            )

    @property
    def shares(self) -> Float[Tensor, " n"]:
        """The width of each level over σ₀, from 0 to 1; float64."""
        return torch.linspace(0, 1, self.levels, dtype=torch.float64) ** _SPACING

    def stack(self, image: Float[Tensor, "c h w"]) -> Float[Tensor, "n c h w"]:
        """The image blurred with the width of each level; the first is the image itself."""
        blurred = [smooth(image, self.sigma * float(share)) for share in self.shares[1:]]
        return torch.stack([image, *blurred])

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The image where everything is deleted, at the input size and on the canvas: blurred with σ₀."""
        return smooth(network_input.plain, self.sigma), smooth(network_input.canvas, self.sigma)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The stacks of these inputs, on the classifier's device."""
        stacks = [(self.stack(one.plain), self.stack(one.canvas)) for one in inputs]
        return BlurStack.of(classifier, stacks, self.shares)

    def edited_photo(self, network_input: NetworkInput, mask: Float[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
        """The photo under the mask, in [0,1]; outside the network's view it stays."""
        return photo_between(network_input, self.stack(network_input.plain), self.shares, mask)
