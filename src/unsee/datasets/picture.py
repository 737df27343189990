"""Convert files to the pixels of samples, and samples to photos."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset, read_as
from unsee.datasets.sample import Sample
from unsee.decoding import decode, shown_name
from unsee.errors import UnseeError
from unsee.images import Photo, read_photo
from unsee.pixels import RGB, UNIT


def photo_of(sample: Sample) -> Photo:
    """The image of a sample, as `unsee.explain` accepts it."""
    pixels = torch.from_numpy(np.array(sample.image)).permute(2, 0, 1)
    pixels = pixels if pixels.is_floating_point() else pixels.float() / 255
    return Photo(pixels.contiguous(), sample.id, sample.path, sample.sha256, ())


def dataset_for(classifier: Classifier, dataset: Dataset) -> Dataset:
    """The data set with images as a network takes them, if it has a choice."""
    return read_as(dataset, classifier.input_shape[0], classifier.value_range)


def read_pixels(
    path: Path, channels: int, value_range: tuple[float, float]
) -> tuple[UInt8[np.ndarray, "h w c"] | Float32[np.ndarray, "h w c"], str]:
    """A file's pixels for a network, and the hash of its bytes; RGB in [0,1] is rounded to 8 bits.

    Raises:
        UnseeError: the file is missing or broken, or has other channels; the message names it.
    """
    if (channels, value_range) == (RGB, UNIT):
        return read_picture(path)
    photo = read_photo(path, channels=channels, value_range=value_range)
    return photo.pixels.permute(1, 2, 0).contiguous().numpy(), photo.sha256


def read_picture(path: Path) -> tuple[UInt8[np.ndarray, "h w 3"], str]:
    """A file's pixels, EXIF orientation applied, rounded to 8 bits, and the hash of its bytes.

    Raises:
        UnseeError: the file is missing or broken; the message names it.
    """
    photo = read_photo(path)
    return _eight_bit(photo.pixels), photo.sha256


def read_annotated(
    path: Path, size: tuple[int, int] | None, source: Path
) -> tuple[UInt8[np.ndarray, "h w 3"], str]:
    """Read an image that `source` annotates, like `read_picture` but for its orientation.

    Annotations refer to the pixels as stored, whatever EXIF says, so EXIF orientation is not applied. If
    `source` states another size (width, height) and the upright image has that size, the image was annotated
    upright and is read upright.

    Raises:
        UnseeError: the file is missing or broken, or has another size; the message names it.
    """
    photo = read_photo(path, upright=False)
    if size is not None and _size(photo) != size:
        photo, stored = read_photo(path), photo
        if _size(photo) != size:
            here, there = ("x".join(map(str, pair)) for pair in (_size(stored), size))
            raise UnseeError(
                f"{shown_name(path)} is {here}, but {there} in {shown_name(source)}: "
                "download the image that was annotated"
            )
    return _eight_bit(photo.pixels), photo.sha256


def decode_picture(data: bytes, shown: str) -> tuple[UInt8[np.ndarray, "h w 3"], str]:
    """Like `read_picture`, from the bytes of a file.

    Raises:
        UnseeError: the bytes are not an image; the message calls them `shown`.
    """
    pixels, _ = decode(data, shown)
    return _eight_bit(pixels), hashlib.sha256(data).hexdigest()


def _size(photo: Photo) -> tuple[int, int]:
    _, height, width = photo.pixels.shape
    return width, height


def _eight_bit(pixels: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    rounded = (pixels * 255).round().to(torch.uint8)
    return rounded.permute(1, 2, 0).contiguous().numpy()
