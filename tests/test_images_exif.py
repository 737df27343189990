"""EXIF orientation."""

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from bad_files import chunk, encoded, png
from photo_files import DEEP, NOISE, read_bytes, rows_of, same


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The image as a viewer shows it, by the definition of EXIF orientations."""
    across = pixels.swapaxes(0, 1)
    return {
        1: pixels,
        2: pixels[:, ::-1],
        3: np.rot90(pixels, 2),
        4: pixels[::-1],
        5: across,
        6: np.rot90(pixels, -1),
        7: np.rot90(across, 2),
        8: np.rot90(pixels, 1),
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "LZW"])
def test_exif_orientation_is_applied(orientation, kind, tmp_path):
    options: dict = {"exif": Image.Exif()}
    options["exif"][0x0112] = orientation
    if kind == "LZW":
        options["compression"] = "tiff_lzw"
    if kind == "WEBP":
        options["lossless"] = True
    data = encoded(Image.fromarray(NOISE), "TIFF" if kind == "LZW" else kind, **options)
    photo = read_bytes(tmp_path, data)
    same(photo, turned(NOISE, orientation))
    with Image.open(io.BytesIO(data)) as image:
        same(photo, np.asarray(ImageOps.exif_transpose(image).convert("RGB")))


def test_orientation_of_jpeg_and_of_deep_greyscale_is_applied_and_noted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = read_bytes(tmp_path, encoded(Image.fromarray(NOISE), "JPEG", exif=exif))
    assert photo.pixels.shape == (3, 7, 5)
    assert photo.notes == ("EXIF orientation 6",)
    photo = read_bytes(tmp_path, encoded(Image.fromarray(DEEP), "PNG", exif=exif))
    same(photo, turned(DEEP[..., None] / 65535 * 255, 6))


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"not exif at all",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff" + bytes(range(200)),
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x03\0\0\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
        b"II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\xff\xff\0\0\0\0\0\0",
    ],
)
def test_an_image_with_damaged_exif_is_read(exif, tmp_path):
    same(read_bytes(tmp_path, png(7, 5, 8, 2, rows_of(NOISE), chunk(b"eXIf", exif))), NOISE)
    whole = encoded(Image.fromarray(NOISE), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    plain = read_bytes(tmp_path, whole)
    assert torch.equal(read_bytes(tmp_path, whole[:2] + segment + whole[2:]).pixels, plain.pixels)


def test_unreadable_exif_is_noted(tmp_path, monkeypatch):
    def fail(self):
        raise SyntaxError("no")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    photo = read_bytes(tmp_path, encoded(Image.fromarray(NOISE), "PNG"))
    same(photo, NOISE)
    assert photo.notes == ("EXIF unreadable: orientation unknown",)
