"""What a deleted pixel is replaced by: Φ(x₀; m) of §4.1, with 1 keeping and 0 deleting.

Each perturbation prepares one reference picture for a frame; Φ blends the two linearly,
`M·x₀ + (1-M)·reference`. For "blur" that is how the authors' code reads the paper's formula.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.network_input import NetworkInput
from unsee.tensors import generator, smooth

MEAN_COLOR = "mean"
_NOISE_STREAM = 2


@runtime_checkable
class Perturbation(Protocol):
    """Gives the picture that deleted pixels are taken from."""

    @property
    def name(self) -> str:
        """How results call it."""

    def references(self, frame: NetworkInput) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3 hc wc"]]:
        """The fully perturbed picture at the input size, and the one on the frame's canvas; in [0,1]."""


@dataclass(frozen=True)
class Constant:
    """One colour everywhere, μ₀ (§4.1): RGB in [0,1], or "mean" for the classifier's average colour.

    Raises:
        UnseeError: a colour that is none.
    """

    color: tuple[float, float, float] | str = MEAN_COLOR
    name: str = "constant"

    def __post_init__(self) -> None:
        if self.color == MEAN_COLOR:
            return
        if isinstance(self.color, str) or len(self.color) != 3 or not all(0 <= c <= 1 for c in self.color):
            raise UnseeError(
                f'a constant perturbation takes "mean" or three RGB values in [0,1], not {self.color}'
            )

    def references(self, frame: NetworkInput) -> tuple[Tensor, Tensor]:
        """The colour at both sizes."""
        color = frame.mean_color if isinstance(self.color, str) else self.color
        paint = torch.tensor(color, dtype=frame.dtype)[:, None, None]
        return paint.expand(3, *frame.size).clone(), paint.expand(3, *frame.canvas_size).clone()


@dataclass(frozen=True)
class GaussianNoise:
    """Independent Gaussian noise for each pixel and colour round the mean colour (§4.1), clipped to [0,1].

    One draw for a photo and its seed, the same in every iteration. The paper gives no deviation; it is in
    units of [0,1].
    """

    deviation: float = 0.2
    name: str = "noise"

    def references(self, frame: NetworkInput) -> tuple[Tensor, Tensor]:
        """Noise on the canvas; the input size shows the upper left part of it."""
        draw = torch.randn(3, *frame.canvas_size, generator=generator(frame.seed, _NOISE_STREAM))
        color = torch.tensor(frame.mean_color)[:, None, None]
        return _corner((color + self.deviation * draw).clamp(0, 1).to(frame.dtype), frame)


@dataclass(frozen=True)
class UniformNoise:
    """Independent noise for each pixel and colour, uniform over [0,1], as in the authors' code."""

    name: str = "uniform-noise"

    def references(self, frame: NetworkInput) -> tuple[Tensor, Tensor]:
        """Noise on the canvas; the input size shows the upper left part of it."""
        draw = torch.rand(3, *frame.canvas_size, generator=generator(frame.seed, _NOISE_STREAM))
        return _corner(draw.to(frame.dtype), frame)


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur of the picture (§4.1), sigma in pixels of the network's input."""

    sigma: float = 10.0
    name: str = "blur"

    def references(self, frame: NetworkInput) -> tuple[Tensor, Tensor]:
        """The input and the canvas, blurred each."""
        return smooth(frame.plain, self.sigma), smooth(frame.canvas, self.sigma)


@dataclass(frozen=True)
class NativeBlur:
    """The authors' code: blurred at the photo's own resolution, rounded to 8 bits, then resized."""

    sigma: float = 10.0
    name: str = "native-blur"

    def references(self, frame: NetworkInput) -> tuple[Tensor, Tensor]:
        """The blurred photo brought to both sizes; sigma is in pixels of the photo."""
        blurred = smooth(frame.photo.pixels, self.sigma)
        return frame.fitted((255 * blurred).round() / 255)


@dataclass(frozen=True)
class Median:
    """The median over a square window: what the PyTorch port learns against. Size in pixels, odd."""

    size: int = 11
    name: str = "median"

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise UnseeError(f"a median window needs an odd size of at least 1 pixel, not {self.size}")

    def references(self, frame: NetworkInput) -> tuple[Tensor, Tensor]:
        """The input and the canvas, filtered each; edge pixels are repeated beyond the border."""
        return _median(frame.plain, self.size), _median(frame.canvas, self.size)


@dataclass(frozen=True)
class MedianGaussian:
    """The average of a median and a Gaussian blur over the same window: what the PyTorch port shows."""

    size: int = 11
    sigma: float = 5.0
    name: str = "median-gaussian"

    def references(self, frame: NetworkInput) -> tuple[Tensor, Tensor]:
        """The averaged blurs of the input and of the canvas."""
        still, moving = Median(self.size).references(frame)
        reach = self.size // 2
        return (
            (still + smooth(frame.plain, self.sigma, reach)) / 2,
            (moving + smooth(frame.canvas, self.sigma, reach)) / 2,
        )


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
"""Name → the perturbations that one mask is learned against; `joint` is fig. 5's."""


def blend(
    image: Float[Tensor, "*b 3 h w"], reference: Float[Tensor, "*b 3 h w"], mask: Float[Tensor, "*b 1 h w"]
) -> Float[Tensor, "*b 3 h w"]:
    """Φ: the image where the mask is 1, the reference where it is 0."""
    return torch.lerp(reference, image, mask.expand_as(image))


def _corner(canvas: Tensor, frame: NetworkInput) -> tuple[Tensor, Tensor]:
    height, width = frame.size
    return canvas[:, :height, :width].clone(), canvas


def _median(image: Tensor, size: int) -> Tensor:
    reach = size // 2
    padded = F.pad(image[None], (reach,) * 4, mode="replicate")[0]
    filtered = [
        channel.unfold(0, size, 1).unfold(1, size, 1).flatten(2).median(dim=-1).values for channel in padded
    ]
    return torch.stack(filtered)
