"""A photo at the network's input size, and on a larger canvas from which jittered windows are cut."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.fits import Fit
from unsee.images import Photo


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """A photo brought to the network's input.

    Args:
        photo: what was read.
        size: height and width in pixels of the network's input.
        margin: pixels by which the canvas is larger: the range of the jitter.
        fit: how the photo is brought to a size.
        mean_color: the average colour, each channel in [0,1].
        seed: of the draws made for this photo.
        dtype: of the prepared images.
    """

    photo: Photo
    size: tuple[int, int]
    margin: int
    fit: Fit
    mean_color: tuple[float, ...]
    seed: int
    dtype: torch.dtype = torch.float32

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Height and width in pixels with the margin (228² for an input of 224² and a jitter of 4)."""
        return self.size[0] + self.margin, self.size[1] + self.margin

    @cached_property
    def plain(self) -> Float[Tensor, "3 h w"]:
        """The image at the network's input size, in [0,1]."""
        return self.fit.apply(self.photo.pixels.to(self.dtype), self.size)

    @cached_property
    def canvas(self) -> Float[Tensor, "3 hc wc"]:
        """The same image with the margin, in [0,1]."""
        return self.fit.apply(self.photo.pixels.to(self.dtype), self.canvas_size)

    def fitted(self, pixels: Float[Tensor, "3 hp wp"]) -> tuple[Tensor, Tensor]:
        """Pixels of the photo's size, such as a blurred photo, at the input size and on the canvas."""
        exact = pixels.to(self.dtype)
        return self.fit.apply(exact, self.size), self.fit.apply(exact, self.canvas_size)
