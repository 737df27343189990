"""Reads files and arrays as pixels in [0, 1], and writes PNG files. Errors say in one line what was wrong."""

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unsee.arrays import NPY_MAGIC, from_array, from_npy, from_tensor
from unsee.decoding import decode, shown_name
from unsee.errors import UnseeError
from unsee.files import write_whole
from unsee.fits import FITS, CentreCrop, Fit, Squash, resize
from unsee.pixels import AXES, RGB, UNIT

__all__ = [
    "FITS",
    "MAX_BYTES",
    "CentreCrop",
    "Fit",
    "Photo",
    "Squash",
    "encoded_png",
    "read_photo",
    "resize",
    "save_png",
    "to_pil",
]

MAX_BYTES = 512 * 2**20
"""The largest file that is read, in bytes."""

PhotoLike = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor
"""What `read_photo` takes."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as it was read.

    Args:
        pixels: float32 (c, h, w) in [0, 1], on the CPU: RGB, or the channels that were asked for.
        name: the file's name without its folder, or "array" for a photo from memory.
        path: the file's path as given, or None.
        sha256: hexadecimal hash of the file's bytes. For a photo from memory, the hash of the line
            "float32 c h w\\n" followed by `pixels` as little-endian bytes.
        notes: what the reader did, such as "16-bit", "alpha over white", "animated: first of 12 frames",
            "first of 5 pages".
    """

    pixels: Float[Tensor, "c h w"]
    name: str
    path: Path | None
    sha256: str
    notes: tuple[str, ...]


def read_photo(
    source: PhotoLike,
    upright: bool = True,
    *,
    channels: int = RGB,
    value_range: tuple[float, float] = UNIT,
) -> Photo:
    """Read one photo from a file or from memory.

    For RGB, transparent pixels are blended with white, and greyscale is repeated over the three channels. For
    one channel, colour becomes grey by the luma of ITU-R 601. For four, a file needs transparency, which is
    kept. Any number of channels can come from a .npy file, (c, h, w) or (h, w, c), or from a TIFF with a grey
    page for each. Else the first of several frames is read (of a Pillow image, the current one). Colour
    profiles are not applied.

    Args:
        source: a path; or a Pillow image; or an array (h, w) or (h, w, c) of uint8, uint16 or floats in
            [0, 1], or (h, w, 4) of uint8 or uint16 for RGB and grey; or a tensor (c, h, w) of uint8 or floats
            in [0, 1].
        upright: whether to apply the EXIF orientation; otherwise pixels stay as they are stored.
        channels: what the network takes.
        value_range: what black and white are for the network. Floats may be in this range too, and are
            brought to [0, 1]; if all are in [0, 1] already they stay, and a note says so.

    Raises:
        UnseeError: the file is missing, unreadable, empty, truncated, damaged or too large, is not an image,
            or has more pixels than Pillow's `Image.MAX_IMAGE_PIXELS`; or the array has another shape, type or
            range; or the picture has another number of channels. The message names the source and says what
            to do.
    """
    if isinstance(source, Tensor):
        return _in_memory(*from_tensor(source, "the tensor", channels, value_range))
    if isinstance(source, np.ndarray):
        return _in_memory(*from_array(source, "the array", channels, value_range))
    if isinstance(source, Image.Image):
        return _in_memory(*decode(source, "the given image", upright, channels, value_range))
    try:
        path = Path(os.fsdecode(source))
    except TypeError:
        raise UnseeError(
            f"a {type(source).__name__} is not a photo: give a path, a Pillow image or an array"
        ) from None
    shown = shown_name(path)
    data = _read_bytes(path, shown)
    if data.startswith(NPY_MAGIC):
        pixels, notes = from_npy(data, shown, channels, value_range)
    else:
        pixels, notes = decode(data, shown, upright, channels, value_range)
    return Photo(pixels, path.name, path, hashlib.sha256(data).hexdigest(), notes)


def hash_of(pixels: Float[Tensor, "c h w"]) -> str:
    """The hash of a photo from memory."""
    digest = hashlib.sha256(f"float32 {' '.join(map(str, pixels.shape))}\n".encode())
    digest.update(pixels.numpy().astype("<f4", order="C").data)
    return digest.hexdigest()


def _in_memory(pixels: Float[Tensor, "c h w"], notes: tuple[str, ...]) -> Photo:
    return Photo(pixels, "array", None, hash_of(pixels), notes)


def _read_bytes(path: Path, shown: str) -> bytes:
    try:
        _check_kind(path.stat(), shown)
        data = path.read_bytes()
    except FileNotFoundError:
        raise UnseeError(f"{shown} does not exist: check the path") from None
    except PermissionError:
        raise UnseeError(f"{shown} cannot be opened: check its permissions") from None
    except (OSError, ValueError) as error:
        reason = shown_name(getattr(error, "strerror", None) or error)
        raise UnseeError(f"{shown} cannot be read ({reason}): check the path") from error
    _check_length(len(data), shown)
    return data


def _check_kind(status: os.stat_result, shown: str) -> None:
    """Refuse before opening: opening a pipe blocks until something writes to it."""
    if stat.S_ISDIR(status.st_mode):
        raise UnseeError(f"{shown} is a folder: give one image in it")
    if not stat.S_ISREG(status.st_mode):
        raise UnseeError(f"{shown} is a device, pipe or socket: give an ordinary file")
    _check_length(status.st_size, shown)


def _check_length(length: int, shown: str) -> None:
    if length == 0:
        raise UnseeError(f"{shown} is empty: download or export it again")
    if length > MAX_BYTES:
        raise UnseeError(f"{shown} is larger than {MAX_BYTES // 2**20} MiB: make it smaller first")


def to_pil(pixels: Float[Tensor, "3 h w"]) -> Image.Image:
    """Turn (3, h, w) in [0, 1] into an 8-bit RGB image; values are clamped, then rounded."""
    return _eight_bit(pixels)


def save_png(path: str | os.PathLike[str], pixels: Float[Tensor, "3 h w"] | Float[Tensor, "h w"]) -> None:
    """Write (3, h, w) as an RGB PNG or (h, w) as a greyscale one; values in [0, 1] are rounded to 8 bits.

    Raises:
        UnseeError: the file cannot be written; an earlier one is left unchanged.
    """
    encoded = encoded_png(pixels)
    try:
        write_whole(Path(path), encoded)
    except (OSError, ValueError) as error:
        reason = shown_name(getattr(error, "strerror", None) or error)
        raise UnseeError(f"{shown_name(path)} cannot be written ({reason}): give another path") from error


def encoded_png(pixels: Float[Tensor, "3 h w"] | Float[Tensor, "h w"]) -> bytes:
    """The PNG file that `save_png` writes."""
    encoded = io.BytesIO()
    _eight_bit(pixels).save(encoded, format="PNG")
    return encoded.getvalue()


def _eight_bit(pixels: Tensor) -> Image.Image:
    values = (pixels.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    channels_last = values.permute(1, 2, 0) if values.ndim == AXES else values
    return Image.fromarray(channels_last.contiguous().numpy())
