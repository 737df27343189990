"""Files that must be refused, in one line."""

import gc
import io
import struct
import time
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from bad_files import MAKERS, encoded, picture, png
from photo_files import NOISE, read_bytes, rows_of, same
from unsee.errors import UnseeError
from unsee.images import read_photo

RNG = np.random.default_rng(8)


def open_files() -> int | None:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else None


@pytest.mark.parametrize("kind", MAKERS)
def test_bad_files_are_refused_in_one_line_that_names_them(kind, tmp_path, capfd):
    rng = np.random.default_rng([20, zlib.crc32(kind.encode())])
    made = [MAKERS[kind](tmp_path, rng, index) for index in range(10)]
    filters, limit, files = list(warnings.filters), Image.MAX_IMAGE_PIXELS, open_files()
    for path, words in made:
        start = time.monotonic()
        with pytest.raises(UnseeError) as caught:
            read_photo(path)
        message = str(caught.value)
        del caught
        assert time.monotonic() - start < 3
        assert message.isprintable()
        assert len(message) < 500
        assert words in message
        assert path.name in message or kind == "bad_name"
        assert ": " in message
    gc.collect()
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS, open_files()) == (filters, limit, files)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == "" or kind == "cut_tiff"  # libtiff speaks for itself


def test_there_are_two_hundred_bad_files():
    assert len(MAKERS) == 20


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"}),
        ("JPEG", {"progressive": True}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("PPM", {}),
        ("ICO", {}),
        ("JPEG2000", {}),
    ],
)
def test_changed_bytes_are_either_read_or_refused(kind, options, tmp_path, capfd):
    rng = np.random.default_rng(11)
    whole = encoded(picture(rng, 24, 18), kind, **options)
    for _ in range(60):
        data = bytearray(whole)
        reach = len(data) if rng.random() < 0.3 else min(len(data), 120)
        for _ in range(int(rng.integers(1, 6))):
            data[int(rng.integers(reach))] = int(rng.integers(256))
        with suppress(UnseeError):
            photo = read_bytes(tmp_path, bytes(data))
            assert photo.pixels.dtype == torch.float32
            assert 0 <= photo.pixels.min() <= photo.pixels.max() <= 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == "" or options == {"compression": "tiff_lzw"}  # libtiff speaks for itself


@pytest.mark.parametrize("limit", [300, 100])
def test_images_beyond_pillows_limit_are_refused_whether_it_warns_or_raises(limit, tmp_path, monkeypatch):
    (tmp_path / "wide.png").write_bytes(encoded(picture(RNG, 20, 20), "PNG"))
    assert read_photo(tmp_path / "wide.png").pixels.shape == (3, 20, 20)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnseeError, match=rf"wide.png has more than {limit} pixels"):
        read_photo(tmp_path / "wide.png")
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("lenient", [True, False])
def test_truncated_files_are_refused_even_if_pillow_is_set_to_load_them(lenient, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    whole = encoded(picture(RNG), "JPEG")
    with pytest.raises(UnseeError, match="truncated"):
        read_bytes(tmp_path, whole[: len(whole) // 2])
    assert lenient is ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "mine.png").write_bytes(encoded(picture(RNG), "PNG"))
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UnseeError, match=r"mine\.png cannot be opened: check its permissions"):
        read_photo(tmp_path / "mine.png")


@pytest.mark.parametrize(
    "fault",
    [
        *(OSError, SyntaxError, ValueError, struct.error, EOFError, zlib.error, MemoryError, OverflowError),
        *(IndexError, KeyError, TypeError, AttributeError, ZeroDivisionError, RecursionError, AssertionError),
    ],
)
def test_any_exception_of_pillow_becomes_one_line(fault, tmp_path, monkeypatch):
    def fail(self):
        raise fault("first\nsecond")

    path = tmp_path / "odd.jpg"
    path.write_bytes(encoded(picture(RNG), "JPEG"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(UnseeError, match=r"odd\.jpg") as caught:
        read_photo(path)
    assert str(caught.value).isprintable()


def test_postscript_is_not_passed_to_pillow(tmp_path, monkeypatch):
    opened = []

    def note(self):
        opened.append(self)
        raise SyntaxError("no")

    monkeypatch.setattr("PIL.EpsImagePlugin.EpsImageFile._open", note)
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    with pytest.raises(UnseeError, match="EPS"):
        read_bytes(tmp_path, data)
    assert opened == []
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(io.BytesIO(data))
    assert len(opened) == 1


def test_a_png_whose_pixels_do_not_match_their_checksum_is_refused(tmp_path):
    good = png(7, 5, 8, 2, rows_of(NOISE))
    same(read_bytes(tmp_path, good), NOISE)
    other = png(7, 5, 8, 2, rows_of(255 - NOISE))
    checksum = slice(-16, -12)
    with pytest.raises(UnseeError, match="checksum"):
        read_bytes(tmp_path, good[:-16] + other[checksum] + good[-12:])
    with pytest.raises(UnseeError, match="truncated"):
        read_bytes(tmp_path, good[:-12])
