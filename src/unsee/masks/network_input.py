"""A photo at the network's input size, and on a larger canvas from which jittered windows are cut."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.fits import Fit
from unsee.images import Photo, PhotoLike, hash_of, read_photo
from unsee.pixels import GREY, RGB, other_channels, with_channels


def photo_for(classifier: Classifier, source: PhotoLike | Photo) -> Photo:
    """A photo with the channels that a network takes, in [0,1]; see `unsee.read_photo`.

    A photo that was read already is converted between grey and RGB if need be.

    Raises:
        UnseeError: it cannot be read, or has another number of channels.
    """
    channels = classifier.input_shape[0]
    if not isinstance(source, Photo):
        return read_photo(source, channels=channels, value_range=classifier.value_range)
    has = len(source.pixels)
    if has == channels:
        return source
    if {has, channels} != {GREY, RGB}:
        raise other_channels(channels, f"{source.name} has {has}")
    pixels, notes = with_channels(source.pixels, channels, source.name)
    sha256 = hash_of(pixels) if source.path is None else source.sha256
    return replace(source, pixels=pixels, sha256=sha256, notes=(*source.notes, *notes))


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

    @classmethod
    def of(cls, classifier: Classifier, photo: Photo, fit: Fit, seed: int, margin: int = 0) -> "NetworkInput":
        """A photo at a network's input, with its channels, size, average colour and dtype.

        Raises:
            UnseeError: the photo has another number of channels.
        """
        fitting = photo_for(classifier, photo)
        return cls(fitting, classifier.size, margin, fit, classifier.color, seed, classifier.dtype)

    @property
    def channels(self) -> int:
        """Of the photo, and of the network."""
        return len(self.photo.pixels)

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Height and width in pixels with the margin (228² for an input of 224² and a jitter of 4)."""
        return self.size[0] + self.margin, self.size[1] + self.margin

    @cached_property
    def plain(self) -> Float[Tensor, "c h w"]:
        """The image at the network's input size, in [0,1]."""
        return self.fit.apply(self.photo.pixels.to(self.dtype), self.size)

    @cached_property
    def canvas(self) -> Float[Tensor, "c hc wc"]:
        """The same image with the margin, in [0,1]."""
        return self.fit.apply(self.photo.pixels.to(self.dtype), self.canvas_size)

    def fitted(self, pixels: Float[Tensor, "c hp wp"]) -> tuple[Tensor, Tensor]:
        """Pixels of the photo's size, such as a blurred photo, at the input size and on the canvas."""
        exact = pixels.to(self.dtype)
        return self.fit.apply(exact, self.size), self.fit.apply(exact, self.canvas_size)
