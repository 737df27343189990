"""Decodes an untrusted file or a Pillow image to RGB in [0, 1], or says why it is refused."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from unsee.errors import UnseeError

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "ICO", "AVIF", "JPEG2000", "QOI")
_FOREIGN = {
    b"%PDF": "a PDF",
    b"%!PS": "an EPS or PostScript file",
    b"\xc5\xd0\xd3\xc6": "an EPS file",
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"PK\x03\x04": "a ZIP archive",
    b"version https://git-lfs": "a Git LFS pointer",
}
_PAGED = ("TIFF", "MPO")
_EXIF_ORIENTATION = 0x0112
_TIFF_PHOTOMETRIC = 262
_ORIENTATIONS = {1: (), 2: (2,), 3: (1, 2), 4: (1,), 5: (), 6: (2,), 7: (1, 2), 8: (1,)}
_FIRST_TURNED = 5  # EXIF orientations from this one on swap height and width
_LONGEST = 200  # characters of a name or reason that an error shows
_PILLOW = threading.Lock()
_RGB = 3  # channels

Unpacked = tuple[Float[Tensor, "3 h w"], tuple[str, ...]]


def shown_name(text: object) -> str:
    """A name or a reason as one short printable line."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]}…{line[-_LONGEST // 2 :]}"


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Make Pillow refuse decompression bombs and truncated files, and silence its other warnings."""
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def decode(source: bytes | Image.Image, shown: str, upright: bool = True) -> Unpacked:
    """Decode a file's bytes or a Pillow image to float32 (3, h, w) in [0, 1], with notes.

    Args:
        source: the bytes, or the image.
        shown: the source's name in errors.
        upright: whether to apply the EXIF orientation.

    Raises:
        UnseeError: the source cannot be decoded completely.
    """
    try:
        with _strict_pillow():
            if isinstance(source, Image.Image):
                return _unpack(source, shown, upright)
            with _open(source) as image:
                if image.format == "PNG":
                    image.verify()
            with _open(source) as image:
                return _unpack(image, shown, upright)
    except UnseeError:
        raise
    except Exception as error:
        raise _refusal(source, shown, error) from error


def _open(data: bytes) -> Image.Image:
    Image.init()
    return Image.open(io.BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN])


def _refusal(source: bytes | Image.Image, shown: str, error: Exception) -> UnseeError:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return UnseeError(f"{shown} has more than {Image.MAX_IMAGE_PIXELS} pixels: make it smaller first")
    foreign = _foreign(source) if isinstance(source, bytes) else None
    if foreign is not None:
        return UnseeError(f"{shown} is {foreign}, which is not supported: convert it to PNG or JPEG")
    if isinstance(error, UnidentifiedImageError):
        problem = "is not an image in a known format, or its header is damaged"
        return UnseeError(f"{shown} {problem}: convert it to PNG or JPEG, or download it again")
    if isinstance(error, MemoryError):
        return UnseeError(f"{shown} does not fit in memory, or is damaged: make it smaller first")
    reason = shown_name(error) or type(error).__name__
    return UnseeError(f"{shown} is truncated or damaged ({reason}): download or export it again")


def _foreign(data: bytes) -> str | None:
    """The format of a file that Pillow cannot read, if it is a well-known one."""
    for prefix, kind in _FOREIGN.items():
        if data.startswith(prefix):
            return kind
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        return "a HEIC image" if data[8:11] in (b"hei", b"hev", b"mif", b"msf") else "a video"
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<"):
        return "an SVG drawing" if b"<svg" in start else "a web page or other markup"
    return None


def _unpack(image: Image.Image, shown: str, upright: bool) -> Unpacked:
    if 0 in image.size:
        raise UnseeError(f"{shown} has no pixels ({image.width}x{image.height}): export it again")
    layout = repr(getattr(image, "tile", ""))
    notes = _frames(image)
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels, more = _from_numbers(image, layout, shown)
    else:
        pixels, more = _from_colours(image)
        more += ("16-bit colour reduced to 8-bit",) if ";16" in layout else ()
    if not upright:
        return pixels, (*notes, *more)
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        flips = _ORIENTATIONS.get(orientation, ())
    except Exception:
        return pixels, (*notes, *more, "EXIF unreadable: orientation unknown")
    if orientation in _ORIENTATIONS and orientation != 1:
        turned = pixels.transpose(1, 2) if orientation >= _FIRST_TURNED else pixels
        pixels, more = turned.flip(flips).contiguous(), (*more, f"EXIF orientation {orientation}")
    return pixels, (*notes, *more)


def _frames(image: Image.Image) -> tuple[str, ...]:
    if not getattr(image, "is_animated", False):
        return ()
    which = "first" if image.tell() == 0 else f"number {image.tell() + 1}"
    count = getattr(image, "n_frames", 1)
    if image.format in _PAGED:
        return (f"several images: {which} of {count}",)
    return (f"animated: {which} of {count} frames",)


def _from_numbers(image: Image.Image, layout: str, shown: str) -> Unpacked:
    """Decode an image with one channel of 16-bit or 32-bit numbers."""
    if getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == 0:
        raise UnseeError(f"{shown} is a deep greyscale TIFF with white as zero: convert it to PNG")
    values = np.array(image, dtype=np.float64)
    full = 1 if image.mode == "F" else 4095 if "I;12" in layout else 65535
    if not np.isfinite(values).all():
        raise UnseeError(f"{shown} holds NaN or infinite values: replace them and save it again")
    if values.min() < 0 or values.max() > full:
        held = f"{values.min():g} to {values.max():g}"
        raise UnseeError(f"{shown} holds {held}, not 0 to {full}: scale it and save it again")
    notes: tuple[str, ...] = ("32-bit float" if image.mode == "F" else "16-bit",)
    transparent = image.info.get("transparency")
    clear = values == (transparent if isinstance(transparent, int) else -1)
    if clear.any():
        values[clear], notes = full, (*notes, "alpha over white")
    pixels, more = planes(values[:, :, None], full)
    return pixels, (*more, *notes)


def _from_colours(image: Image.Image) -> Unpacked:
    """Decode an image with 1-bit or 8-bit channels, with or without a palette."""
    notes: tuple[str, ...] = ()
    if image.mode in ("1", "L", "LA", "La"):
        notes = ("greyscale",)
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        notes = (f"{image.mode} converted",)
    plain = image.convert("LA") if image.mode == "La" else image
    pixels, more = planes(np.array(plain.convert("RGBA" if plain.has_transparency_data else "RGB")), 255)
    return pixels, (*notes, *more)


def planes(values: NDArray[Any], full: int) -> Unpacked:
    """Turn (h, w, 1, 3 or 4) of 0 to `full` into float32 (3, h, w) in [0, 1], alpha blended with white."""
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0), dtype=np.float32) / np.float32(full)
    pixels = torch.from_numpy(planes).clamp(0.0, 1.0)
    if len(pixels) == 1:
        return pixels.repeat(3, 1, 1), ("greyscale",)
    if len(pixels) == _RGB or pixels[3].min() == 1:
        return pixels[:3].clone(), ()
    return (pixels[:3] * pixels[3] + (1 - pixels[3])).clamp(0.0, 1.0), ("alpha over white",)
