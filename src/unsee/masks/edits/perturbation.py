"""What deleted pixels become (§4.1): constant colour, noise, blur, and what other implementations use.

Each perturbation prepares the edit that masks are applied with. Those here make a fully perturbed reference
image, and blend image and reference linearly.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.edits.linear_blend import blend, linear_blend
from unsee.masks.edits.pyramid import Pyramid
from unsee.masks.edits.tokens import Tokens
from unsee.masks.network_input import NetworkInput
from unsee.tensors import generator, smooth
from unsee.words import counted

MEAN_COLOR = "mean"
_NOISE_STREAM = 2


class Blended(Perturbation, ABC):
    """A perturbation that blends image and reference linearly; a subclass makes the reference."""

    @abstractmethod
    def references(
        self, network_input: NetworkInput
    ) -> tuple[Float[Tensor, "c h w"], Float[Tensor, "c hc wc"]]:
        """The fully perturbed image at the input size, and on the larger canvas for jitter; in [0,1]."""

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The linear blend of these inputs with their references, on the classifier's device."""
        return linear_blend(classifier, inputs, [self.references(one) for one in inputs])

    def edited_photo(self, network_input: NetworkInput, mask: Float[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
        """The photo blended with the reference, brought to its size; outside the network's view it stays."""
        photo, fit = network_input.photo.pixels, network_input.fit
        size = (photo.shape[-2], photo.shape[-1])
        reference = fit.back(self.references(network_input)[0], size, 0.0).clamp(0, 1).float()
        left, top, right, bottom = fit.window(size, network_input.size)
        inside = torch.zeros(size)
        inside[round(top) : round(bottom), round(left) : round(right)] = 1
        return blend(photo, reference, torch.where(inside > 0, mask, 1.0)[None])


@dataclass(frozen=True)
class Constant(Blended):
    """One colour everywhere, μ₀ (§4.1), or "mean" for the classifier's average colour.

    Args:
        color: one value in [0,1] for each channel; equal values stand for any number of channels.
        name: the name in results.

    Raises:
        UnseeError: neither "mean" nor values in [0,1].
    """

    color: tuple[float, ...] | str = MEAN_COLOR
    name: str = "constant"
    kind: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        if self.color == MEAN_COLOR:
            return
        if isinstance(self.color, str) or not self.color or not all(0 <= c <= 1 for c in self.color):
            raise UnseeError(
                f'a constant perturbation takes "mean" or a value in [0,1] for each channel, got {self.color}'
            )

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The colour at both sizes.

        Raises:
            UnseeError: the colour has another number of channels.
        """
        color = network_input.mean_color if isinstance(self.color, str) else self.color
        channels = network_input.channels
        if len(color) != channels and len(set(color)) > 1:
            raise UnseeError(
                f"the constant colour has {counted(len(color), 'value')} for {counted(channels, 'channel')}: "
                "give one for each"
            )
        values = color if len(color) == channels else color[:1]
        paint = torch.tensor(values, dtype=network_input.dtype)[:, None, None]
        sizes = (network_input.size, network_input.canvas_size)
        still, moving = (paint.expand(channels, *size).clone() for size in sizes)
        return still, moving


@dataclass(frozen=True)
class GaussianNoise(Blended):
    """Independent Gaussian noise for each pixel and colour round the mean colour (§4.1), clipped to [0,1].

    One draw for a photo and its seed, the same in every iteration. The paper gives no deviation; it is in
    units of [0,1].
    """

    deviation: float = 0.2
    name: str = "noise"
    kind: ClassVar[str] = "noise"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """Noise on the canvas; the input size shows the upper left part of it."""
        shape = (network_input.channels, *network_input.canvas_size)
        draw = torch.randn(shape, generator=generator(network_input.seed, _NOISE_STREAM))
        color = torch.tensor(network_input.mean_color)[:, None, None]
        return _corner((color + self.deviation * draw).clamp(0, 1).to(network_input.dtype), network_input)


@dataclass(frozen=True)
class UniformNoise(Blended):
    """Independent noise for each pixel and colour, uniform over [0,1], as in the authors' code."""

    name: str = "uniform-noise"
    kind: ClassVar[str] = "noise"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """Noise on the canvas; the input size shows the upper left part of it."""
        shape = (network_input.channels, *network_input.canvas_size)
        draw = torch.rand(shape, generator=generator(network_input.seed, _NOISE_STREAM))
        return _corner(draw.to(network_input.dtype), network_input)


@dataclass(frozen=True)
class Blur(Blended):
    """A Gaussian blur of the picture (§4.1), sigma in pixels of the network's input."""

    sigma: float = 10.0
    name: str = "blur"
    kind: ClassVar[str] = "blur"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The input and the canvas, blurred each."""
        return smooth(network_input.plain, self.sigma), smooth(network_input.canvas, self.sigma)


@dataclass(frozen=True)
class NativeBlur(Blended):
    """The authors' code: blurred at the photo's own resolution, rounded to 8 bits, then resized."""

    sigma: float = 10.0
    name: str = "native-blur"
    kind: ClassVar[str] = "blur"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The blurred photo brought to both sizes; sigma is in pixels of the photo."""
        blurred = smooth(network_input.photo.pixels, self.sigma)
        return network_input.fitted((255 * blurred).round() / 255)


@dataclass(frozen=True)
class Median(Blended):
    """The median over a square window: what the PyTorch port learns against. Size in pixels, odd."""

    size: int = 11
    name: str = "median"
    kind: ClassVar[str] = "median"

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise UnseeError(f"a median window needs an odd size of at least 1 pixel, got {self.size}")

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The input and the canvas, filtered each; edge pixels are repeated beyond the border."""
        return _median(network_input.plain, self.size), _median(network_input.canvas, self.size)


@dataclass(frozen=True)
class MedianGaussian(Blended):
    """The average of a median and a Gaussian blur over the same window: what the PyTorch port shows."""

    size: int = 11
    sigma: float = 5.0
    name: str = "median-gaussian"
    kind: ClassVar[str] = "median"

    def references(self, network_input: NetworkInput) -> tuple[Tensor, Tensor]:
        """The averaged blurs of the input and of the canvas."""
        still, moving = Median(self.size).references(network_input)
        reach = self.size // 2
        return (
            (still + smooth(network_input.plain, self.sigma, reach)) / 2,
            (moving + smooth(network_input.canvas, self.sigma, reach)) / 2,
        )


PERTURBATIONS: dict[str, tuple[Perturbation, ...]] = {
    "blur": (Blur(),),
    "constant": (Constant(),),
    "black": (Constant((0.0, 0.0, 0.0), name="black"),),
    "noise": (GaussianNoise(),),
    "uniform-noise": (UniformNoise(),),
    "median": (Median(),),
    "median-gaussian": (MedianGaussian(),),
    "pyramid": (Pyramid(),),
    "joint": (Constant(), GaussianNoise(), Blur()),
    "tokens": (Tokens(),),
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
