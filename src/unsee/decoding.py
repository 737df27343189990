"""Decodes an untrusted file or a Pillow image to pixels in [0, 1], or says why it is refused."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from unsee.errors import UnseeError
from unsee.pixels import (
    ALPHA_OVER_WHITE,
    EIGHT_BIT,
    GREY,
    RGB,
    RGBA,
    SIXTEEN_BIT,
    UNIT,
    Unpacked,
    depth,
    floats_in_unit,
    other_channels,
    planes,
    refuse_eight_bits,
)

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
_TIFF_BITS = 258
_DEEP = 32  # bits
_FLOATS = ", not 0 to 1: scale it and save it again"


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


class Wanted(NamedTuple):
    """The channels of the pixels to decode, and what floats beyond [0,1] mean."""

    channels: int = RGB
    value_range: tuple[float, float] = UNIT


def decode(
    source: bytes | Image.Image,
    shown: str,
    upright: bool = True,
    channels: int = RGB,
    value_range: tuple[float, float] = UNIT,
) -> Unpacked:
    """Decode a file's bytes or a Pillow image to float32 (channels, h, w) in [0, 1], with notes.

    Args:
        source: the bytes, or the image.
        shown: the source's name in errors.
        upright: whether to apply the EXIF orientation.
        channels: 3 for RGB, 1 for grey, 4 for RGB with alpha, or the number of pages of a TIFF.
        value_range: the range of floats that are not all in [0, 1].

    Raises:
        UnseeError: the source cannot be decoded completely, or has other channels.
    """
    wanted = Wanted(channels, value_range)
    try:
        with _strict_pillow():
            if isinstance(source, Image.Image):
                return _unpack(source, shown, upright, wanted)
            with _open(source) as image:
                if image.format == "PNG":
                    image.verify()
            with _open(source) as image:
                return _unpack(image, shown, upright, wanted)
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


def _unpack(image: Image.Image, shown: str, upright: bool, wanted: Wanted) -> Unpacked:
    if 0 in image.size:
        raise UnseeError(f"{shown} has no pixels ({image.width}x{image.height}): export it again")
    pages = getattr(image, "n_frames", 1) if image.format in _PAGED else 1
    if pages > 1 and wanted.channels not in (GREY, RGB):
        pixels, more = _bands(image, pages, shown, wanted)
        notes: tuple[str, ...] = ()
    else:
        layout = repr(getattr(image, "tile", ""))
        notes = _frames(image)
        image.load()
        if _is_numbers(image):
            pixels, more = _from_numbers(image, layout, shown, wanted)
        else:
            pixels, more = _from_colours(image, shown, wanted.channels)
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
    if image.format == "TIFF":
        return (f"{which} of {count} pages",)
    if image.format in _PAGED:
        return (f"several images: {which} of {count}",)
    return (f"animated: {which} of {count} frames",)


def _is_numbers(image: Image.Image) -> bool:
    """Whether an image has one channel of 16-bit or 32-bit numbers."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _bands(image: Image.Image, pages: int, shown: str, wanted: Wanted) -> Unpacked:
    """Decode the pages of a file, each of them a channel.

    Raises:
        UnseeError: there is another number of them, or they are not grey and all of one size and depth.
    """
    if pages != wanted.channels:
        raise other_channels(wanted.channels, f"{shown} has {pages} pages")
    most = RGBA * (Image.MAX_IMAGE_PIXELS or pages * image.width * image.height)
    if pages * image.width * image.height > most:
        raise UnseeError(f"{shown} has more than {most} values: make it smaller first")
    read, first, shown_page = [], "", image.tell()
    for page in range(pages):
        image.seek(page)
        layout = repr(getattr(image, "tile", ""))
        image.load()
        if not (_is_numbers(image) or image.mode in ("1", "L")):
            raise UnseeError(f"page {page + 1} of {shown} is {image.mode}: save each channel as a grey page")
        plain = image.convert("L") if image.mode == "1" else image
        values, full = _numbers(plain, layout, shown) if _is_numbers(plain) else (np.array(plain), EIGHT_BIT)
        kind = f"{image.width}x{image.height} with white at {full}"
        first = first or kind
        if kind != first:
            raise UnseeError(f"the pages of {shown} differ ({first}, {kind}): save all channels alike")
        read.append(values)
    image.seek(shown_page)
    notes = (f"{pages} pages as channels",)
    if full is None:
        stacked, more = floats_in_unit(np.dstack(read), wanted.value_range, shown, _FLOATS)
        return planes(stacked, 1, wanted.channels)[0], (*notes, "32-bit float", *more)
    stacked = np.dstack(read)
    return planes(stacked, full, wanted.channels)[0], (*notes, *depth(stacked, full))


def _numbers(image: Image.Image, layout: str, shown: str) -> tuple[NDArray[Any], int | None]:
    """The values (h, w) of an image with one channel of numbers, and what is white; None for floats.

    Raises:
        UnseeError: they are not finite, or it is not known what is white.
    """
    tags = getattr(image, "tag_v2", {})
    if tags.get(_TIFF_PHOTOMETRIC) == 0:
        raise UnseeError(f"{shown} is a deep greyscale TIFF with white as zero: convert it to PNG")
    values = np.array(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise UnseeError(f"{shown} holds NaN or infinite values: replace them and save it again")
    if image.mode == "F":
        return values, None
    if image.mode == "I" and (image.format is None or tags.get(_TIFF_BITS) in (_DEEP, (_DEEP,))):
        refuse_eight_bits(np.array(image), shown, "save it with 8 bits")
    full = 4095 if "I;12" in layout else SIXTEEN_BIT
    if values.min() < 0 or values.max() > full:
        held = f"{values.min():g} to {values.max():g}"
        raise UnseeError(f"{shown} holds {held}, not 0 to {full}: scale it and save it again")
    return values, full


def _from_numbers(image: Image.Image, layout: str, shown: str, wanted: Wanted) -> Unpacked:
    """Decode an image with one channel of 16-bit or 32-bit numbers."""
    values, full = _numbers(image, layout, shown)
    if full is None:
        values, more = floats_in_unit(values, wanted.value_range, shown, _FLOATS)
        notes: tuple[str, ...] = ("32-bit float", *more)
        white = 1
    else:
        notes, white = depth(values, full), full
    transparent = image.info.get("transparency")
    clear = values == (transparent if isinstance(transparent, int) else -1)
    if clear.any():
        values[clear], notes = white, (*notes, ALPHA_OVER_WHITE)
    pixels, more = planes(values[:, :, None], white, wanted.channels, shown)
    return pixels, (*more, *notes)


def _from_colours(image: Image.Image, shown: str, channels: int) -> Unpacked:
    """Decode an image with 1-bit or 8-bit channels, with or without a palette."""
    grey = image.mode in ("1", "L", "LA", "La")
    notes: tuple[str, ...] = ()
    if grey and channels == RGB:
        notes = ("greyscale",)
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        notes = (f"{image.mode} converted",)
    plain = image.convert("LA") if image.mode == "La" else image
    mode = "RGBA" if plain.has_transparency_data else "RGB"
    if channels not in (GREY, RGB):
        has = (GREY if grey else RGB) + plain.has_transparency_data
        if has not in (channels, GREY + 1) or channels not in (GREY + 1, RGBA):
            raise other_channels(channels, f"{shown} has {has}")
        mode = "RGBA" if channels == RGBA else "LA"
    pixels, more = planes(np.array(plain.convert(mode)), EIGHT_BIT, channels, shown)
    return pixels, (*notes, *more)
