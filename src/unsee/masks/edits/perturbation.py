"""What deleted pixels become (§4.1): constant colour, noise, blur, and what other implementations use.

Each perturbation makes a fully perturbed reference image and prepares the edit that masks are applied with;
those here blend image and reference linearly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Edit
from unsee.masks.edits.linear_blend import linear_blend
from unsee.masks.network_input import NetworkInput
from unsee.tensors import generator, smooth

MEAN_COLOR = "mean"
_NOISE_STREAM = 2


@runtime_checkable
class Perturbation(Protocol):
    """Says what deleted pixels become, and prepares the edit of a batch."""

    @property
    def name(self) -> str:
        """The name in results."""

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The edit of these inputs, on the classifier's device."""

    def references(
        self, network_input: NetworkInput
    ) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3 hc wc"]]:
        """The fully perturbed image at the input size, and on the larger canvas for jitter; in [0,1]."""


@dataclass(frozen=True)
class Constant:
    """One colour everywhere, μ₀ (§4.1): RGB in [0,1], or "mean" for the classifier's average colour.

    Raises:
        UnseeError: neither "mean" nor three values in [0,1].
    """

    color: tuple[float, float, float] | str = MEAN_COLOR
    name: str = "constant"

    def __post_init__(self) -> None:
        if self.color == MEAN_COLOR:
            return
        if isinstance(self.color, str) or len(self.color) != 3 or not all(0 <= c <= 1 for c in self.color):
            raise UnseeError(
                f'a constant perturbation takes "mean" or three RGB values in [0,1], got {self.color}'
            )

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The colour at both sizes."""
        color = network_input.mean_color if isinstance(self.color, str) else self.color
        paint = torch.tensor(color, dtype=network_input.dtype)[:, None, None]
        return paint.expand(3, *network_input.size).clone(), paint.expand(
            3, *network_input.canvas_size
        ).clone()

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend with it."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])


@dataclass(frozen=True)
class GaussianNoise:
    """Independent Gaussian noise for each pixel and colour round the mean colour (§4.1), clipped to [0,1].

    One draw for a photo and its seed, the same in every iteration. The paper gives no deviation; it is in
    units of [0,1].
    """

    deviation: float = 0.2
    name: str = "noise"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """Noise on the canvas; the input size shows the upper left part of it."""
        draw = torch.randn(
            3, *network_input.canvas_size, generator=generator(network_input.seed, _NOISE_STREAM)
        )
        color = torch.tensor(network_input.mean_color)[:, None, None]
        return _corner((color + self.deviation * draw).clamp(0, 1).to(network_input.dtype), network_input)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend with it."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])


@dataclass(frozen=True)
class UniformNoise:
    """Independent noise for each pixel and colour, uniform over [0,1], as in the authors' code."""

    name: str = "uniform-noise"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """Noise on the canvas; the input size shows the upper left part of it."""
        draw = torch.rand(
            3, *network_input.canvas_size, generator=generator(network_input.seed, _NOISE_STREAM)
        )
        return _corner(draw.to(network_input.dtype), network_input)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend with it."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur of the picture (§4.1), sigma in pixels of the network's input."""

    sigma: float = 10.0
    name: str = "blur"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The input and the canvas, blurred each."""
        return smooth(network_input.plain, self.sigma), smooth(network_input.canvas, self.sigma)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend with it."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])


@dataclass(frozen=True)
class NativeBlur:
    """The authors' code: blurred at the photo's own resolution, rounded to 8 bits, then resized."""

    sigma: float = 10.0
    name: str = "native-blur"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The blurred photo brought to both sizes; sigma is in pixels of the photo."""
        blurred = smooth(network_input.photo.pixels, self.sigma)
        return network_input.fitted((255 * blurred).round() / 255)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend with it."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])


@dataclass(frozen=True)
class Median:
    """The median over a square window: what the PyTorch port learns against. Size in pixels, odd."""

    size: int = 11
    name: str = "median"

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise UnseeError(f"a median window needs an odd size of at least 1 pixel, got {self.size}")

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The input and the canvas, filtered each; edge pixels are repeated beyond the border."""
        return _median(network_input.plain, self.size), _median(network_input.canvas, self.size)

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend with it."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])


@dataclass(frozen=True)
class MedianGaussian:
    """The average of a median and a Gaussian blur over the same window: what the PyTorch port shows."""

    size: int = 11
    sigma: float = 5.0
    name: str = "median-gaussian"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The averaged blurs of the input and of the canvas."""
        still, moving = Median(self.size).references(network_input)
        reach = self.size // 2
        return (
            (still + smooth(network_input.plain, self.sigma, reach)) / 2,
            (moving + smooth(network_input.canvas, self.sigma, reach)) / 2,
        )

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend with it."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])


PERTURBATIONS: dict[str, tuple[Perturbation, ...]] = {
    "blur": (Blur(),),
    "constant": (Constant(),),
    "black": (Constant((0.0, 0.0, 0.0), name="black"),),
    "noise": (GaussianNoise(),),
    "uniform-noise": (UniformNoise(),),
    "median": (Median(),),
    "median-gaussian": (MedianGaussian(),),
    "joint": (Constant(), GaussianNoise(), Blur()),
}
"""Name → the perturbations that one mask is learned against; `joint` is that of fig. 5."""


def _corner(canvas: Tensor, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
    height, width = network_input.size
    return canvas[:, :height, :width].clone(), canvas


def _median(image: Tensor, size: int) -> Tensor:
    reach = size // 2
    padded = F.pad(image[None], (reach,) * 4, mode="replicate")[0]
    filtered = [
        channel.unfold(0, size, 1).unfold(1, size, 1).flatten(2).median(dim=-1).values for channel in padded
    ]
    return torch.stack(filtered)
