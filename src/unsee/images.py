"""Photos in, pictures out: files and arrays become RGB in [0, 1], or one line says why not."""

import hashlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from unsee.errors import UnseeError
from unsee.fits import FITS, CentreCrop, Fit, Squash, resize

__all__ = [
    "FITS",
    "MAX_BYTES",
    "CentreCrop",
    "Fit",
    "Photo",
    "Squash",
    "read_photo",
    "resize",
    "save_png",
    "to_pil",
]

MAX_BYTES = 512 * 2**20
"""The largest file that is read, in bytes."""

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "ICO", "AVIF", "JPEG2000", "QOI")
_FOREIGN = {
    b"%PDF": "a PDF",
    b"%!PS": "an EPS or PostScript file",
    b"\xc5\xd0\xd3\xc6": "an EPS file",
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"PK\x03\x04": "a ZIP archive",
    b"version https://git-lfs": "a Git LFS pointer",
}
_PAGED = ("TIFF", "MPO")
_RGB = 3  # channels
_AXES = 3  # of a picture that has channels
_EXIF_ORIENTATION = 0x0112
_TIFF_PHOTOMETRIC = 262
_SLACK = 1e-6  # how far floats may stray from [0, 1] by rounding
_ORIENTATIONS = {1: (), 2: (2,), 3: (1, 2), 4: (1,), 5: (), 6: (2,), 7: (1, 2), 8: (1,)}
_FIRST_TURNED = 5  # EXIF orientations from this one on swap height and width
_LONGEST = 200  # characters of a name or reason that an error shows
_PILLOW = threading.Lock()

_Unpacked = tuple[Float[Tensor, "3 h w"], tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as read.

    pixels: float32 (3, h, w) RGB in [0, 1], on the CPU.
    name: the file's name without its folder, or "array" for what came from memory.
    path: the file's path as given, or None.
    sha256: hexadecimal hash of the file's bytes. For what came from memory, the hash of the line
        "float32 3 h w\\n" and of `pixels` as little-endian bytes after it.
    notes: what the reader had to do, such as "16-bit", "alpha over white", "animated: first of 12 frames".
    """

    pixels: Float[Tensor, "3 h w"]
    name: str
    path: Path | None
    sha256: str
    notes: tuple[str, ...]


def read_photo(source: str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor) -> Photo:
    """Read one photo from a file or from memory.

    source: a path; or a Pillow picture; or an array (h, w), (h, w, 3) of uint8, uint16 or floats in [0, 1],
    or (h, w, 4) of uint8 or uint16; or a tensor (3, h, w) or (1, h, w) of uint8 or floats in [0, 1].

    EXIF orientation is applied, transparency is laid over white, and greyscale is repeated over the three
    channels. Of several frames the first is taken (of a Pillow picture, the one it stands at). Colour
    profiles are not applied.

    Raises UnseeError, one line that names the source and says what to do, for whatever cannot be read whole:
    a missing, unreadable, empty, truncated, damaged or too large file, one that is no picture or has more
    than Pillow's `Image.MAX_IMAGE_PIXELS`, and an array of another shape, type or range.
    """
    if isinstance(source, Tensor):
        return _in_memory(*_from_array(_tensor_as_array(source), "the tensor"))
    if isinstance(source, np.ndarray):
        return _in_memory(*_from_array(source, "the array"))
    if isinstance(source, Image.Image):
        return _in_memory(*_decode(source, "the picture given"))
    try:
        path = Path(os.fsdecode(source))
    except TypeError:
        raise UnseeError(f"a {type(source).__name__} is no photo: give a path, picture or array") from None
    shown = _shown(path)
    data = _read_bytes(path, shown)
    pixels, notes = _decode(data, shown)
    return Photo(pixels, path.name, path, hashlib.sha256(data).hexdigest(), notes)


def _in_memory(pixels: Float[Tensor, "3 h w"], notes: tuple[str, ...]) -> Photo:
    digest = hashlib.sha256(f"float32 {' '.join(map(str, pixels.shape))}\n".encode())
    digest.update(pixels.numpy().astype("<f4", order="C").data)
    return Photo(pixels, "array", None, digest.hexdigest(), notes)


def _shown(text: object) -> str:
    """Put a name or a reason in one short printable line."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]}…{line[-_LONGEST // 2 :]}"


def _read_bytes(path: Path, shown: str) -> bytes:
    try:
        _check_kind(path.stat(), shown)
        data = path.read_bytes()
    except FileNotFoundError:
        raise UnseeError(f"{shown} does not exist: check the path") from None
    except PermissionError:
        raise UnseeError(f"{shown} may not be read: check its permissions") from None
    except (OSError, ValueError) as error:
        reason = _shown(getattr(error, "strerror", None) or error)
        raise UnseeError(f"{shown} cannot be read ({reason}): check the path") from error
    _check_length(len(data), shown)
    return data


def _check_kind(status: os.stat_result, shown: str) -> None:
    """Refuse before opening: opening a pipe waits for whoever writes to it."""
    if stat.S_ISDIR(status.st_mode):
        raise UnseeError(f"{shown} is a folder: name one picture in it")
    if not stat.S_ISREG(status.st_mode):
        raise UnseeError(f"{shown} is a device, pipe or socket: give an ordinary file")
    _check_length(status.st_size, shown)


def _check_length(length: int, shown: str) -> None:
    if length == 0:
        raise UnseeError(f"{shown} is empty: fetch or export it anew")
    if length > MAX_BYTES:
        raise UnseeError(f"{shown} is larger than {MAX_BYTES // 2**20} MiB: make it smaller first")


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Have Pillow refuse bombs and truncated files, and keep its other warnings to itself."""
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _decode(source: bytes | Image.Image, shown: str) -> _Unpacked:
    try:
        with _strict_pillow():
            if isinstance(source, Image.Image):
                return _unpack(source, shown)
            with _open(source) as image:
                if image.format == "PNG":
                    image.verify()
            with _open(source) as image:
                return _unpack(image, shown)
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
        problem = "is no picture in a known format, or its header is damaged"
        return UnseeError(f"{shown} {problem}: convert it to PNG or JPEG, or fetch it anew")
    if isinstance(error, MemoryError):
        return UnseeError(f"{shown} does not fit in memory, or is damaged: make it smaller first")
    reason = _shown(error) or type(error).__name__
    return UnseeError(f"{shown} is truncated or damaged ({reason}): fetch or export it anew")


def _foreign(data: bytes) -> str | None:
    """Name the format of a file that Pillow could not read, where it is a well-known one."""
    for prefix, kind in _FOREIGN.items():
        if data.startswith(prefix):
            return kind
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        return "a HEIC picture" if data[8:11] in (b"hei", b"hev", b"mif", b"msf") else "a video"
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<"):
        return "an SVG drawing" if b"<svg" in start else "a web page or other markup"
    return None


def _unpack(image: Image.Image, shown: str) -> _Unpacked:
    if 0 in image.size:
        raise UnseeError(f"{shown} has no pixels ({image.width}x{image.height}): export it anew")
    layout = repr(getattr(image, "tile", ""))
    notes = _frames(image)
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels, more = _from_numbers(image, layout, shown)
    else:
        pixels, more = _from_colours(image)
        more += ("16-bit colour reduced to 8-bit",) if ";16" in layout else ()
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
        return (f"several pictures: {which} of {count}",)
    return (f"animated: {which} of {count} frames",)


def _from_numbers(image: Image.Image, layout: str, shown: str) -> _Unpacked:
    """Unpack a picture of one channel of 16-bit or 32-bit numbers."""
    if getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == 0:
        raise UnseeError(f"{shown} is a deep greyscale TIFF with white as zero: convert it to PNG")
    values = np.array(image, dtype=np.float64)
    full = 1 if image.mode == "F" else 4095 if "I;12" in layout else 65535
    if not np.isfinite(values).all():
        raise UnseeError(f"{shown} holds NaN or infinite values: fill them and save it anew")
    if values.min() < 0 or values.max() > full:
        held = f"{values.min():g} to {values.max():g}"
        raise UnseeError(f"{shown} holds {held}, not 0 to {full}: scale it and save it anew")
    notes: tuple[str, ...] = ("32-bit float" if image.mode == "F" else "16-bit",)
    transparent = image.info.get("transparency")
    clear = values == (transparent if isinstance(transparent, int) else -1)
    if clear.any():
        values[clear], notes = full, (*notes, "alpha over white")
    pixels, more = _planes(values[:, :, None], full)
    return pixels, (*more, *notes)


def _from_colours(image: Image.Image) -> _Unpacked:
    """Unpack a picture of 1-bit or 8-bit channels, with or without a palette."""
    notes: tuple[str, ...] = ()
    if image.mode in ("1", "L", "LA", "La"):
        notes = ("greyscale",)
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        notes = (f"{image.mode} converted",)
    plain = image.convert("LA") if image.mode == "La" else image
    pixels, more = _planes(np.array(plain.convert("RGBA" if plain.has_transparency_data else "RGB")), 255)
    return pixels, (*notes, *more)


def _tensor_as_array(tensor: Tensor) -> NDArray[Any]:
    """Turn (3, h, w) or (1, h, w) into an array (h, w, 3) or (h, w)."""
    channels = tensor.shape[0] if tensor.ndim == _AXES else 0
    if channels not in (1, 3) or not (tensor.is_floating_point() or tensor.dtype == torch.uint8):
        held = f"{tuple(tensor.shape)} of {tensor.dtype}"
        raise UnseeError(f"the tensor is {held}: give (3, h, w) or (1, h, w) of uint8 or floats in 0..1")
    plain = tensor.detach().cpu()
    plain = plain.float() if plain.is_floating_point() else plain
    array: NDArray[Any] = (plain[0] if channels == 1 else plain.permute(1, 2, 0)).numpy()
    return array


def _from_array(array: NDArray[Any], shown: str) -> _Unpacked:
    floating = np.issubdtype(array.dtype, np.floating)
    grey = array.ndim == _AXES - 1
    coloured = array.ndim == _AXES and array.shape[2] in ((3,) if floating else (3, 4))
    held = f"{array.shape} of {array.dtype}"
    if not (grey or coloured) or not (floating or array.dtype.newbyteorder("=") in (np.uint8, np.uint16)):
        wanted = "(h, w) or (h, w, 3) of uint8, uint16 or floats in 0..1, or (h, w, 4) of uint8 or uint16"
        raise UnseeError(f"{shown} is {held}: give {wanted}")
    if array.size == 0:
        raise UnseeError(f"{shown} is {held} and has no pixels: give at least one")
    full = 1 if floating else np.iinfo(array.dtype).max
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnseeError(f"{shown} holds NaN or infinite values: fill them first")
    if low < -_SLACK or high > full + _SLACK:
        raise UnseeError(f"{shown} holds {low:g} to {high:g}: scale it to 0..1, or give uint8")
    pixels, notes = _planes(array[:, :, None] if grey else array, full)
    return pixels, (*notes, *(("16-bit",) if full == np.iinfo(np.uint16).max else ()))


def _planes(values: NDArray[Any], full: int) -> _Unpacked:
    """Turn (h, w, 1, 3 or 4) of 0 to `full` into float32 (3, h, w) in [0, 1], with alpha over white."""
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0), dtype=np.float32) / np.float32(full)
    pixels = torch.from_numpy(planes).clamp(0.0, 1.0)
    if len(pixels) == 1:
        return pixels.repeat(3, 1, 1), ("greyscale",)
    if len(pixels) == _RGB or pixels[3].min() == 1:
        return pixels[:3].clone(), ()
    return (pixels[:3] * pixels[3] + (1 - pixels[3])).clamp(0.0, 1.0), ("alpha over white",)


def to_pil(pixels: Float[Tensor, "3 h w"]) -> Image.Image:
    """Turn (3, h, w) in [0, 1] into an 8-bit RGB picture; values are rounded, and clamped before that."""
    return _eight_bit(pixels)


def save_png(path: str | os.PathLike[str], pixels: Float[Tensor, "3 h w"] | Float[Tensor, "h w"]) -> None:
    """Write (3, h, w) as an RGB PNG or (h, w) as a greyscale one; values in [0, 1] are rounded to 8 bits.

    Raises UnseeError where the file cannot be written.
    """
    encoded = io.BytesIO()
    _eight_bit(pixels).save(encoded, format="PNG")
    try:
        Path(path).write_bytes(encoded.getvalue())
    except (OSError, ValueError) as error:
        reason = _shown(getattr(error, "strerror", None) or error)
        raise UnseeError(f"{_shown(path)} cannot be written ({reason}): give another path") from error


def _eight_bit(pixels: Tensor) -> Image.Image:
    values = (pixels.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    channels_last = values.permute(1, 2, 0) if values.ndim == _AXES else values
    return Image.fromarray(channels_last.contiguous().numpy())
