import gc
import hashlib
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
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps
from torchvision.transforms.v2 import functional as tv

from bad_files import MAKERS, chunk, encoded, picture, png
from unsee.errors import UnseeError
from unsee.images import FITS, CentreCrop, Photo, Squash, read_photo, resize, save_png, to_pil

SIDES = st.integers(1, 64)
SIZES = st.tuples(SIDES, SIDES)
RNG = np.random.default_rng(7)
NOISE = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def read_bytes(folder: Path, data: bytes, name: str = "photo.bin") -> Photo:
    path = folder / name
    path.write_bytes(data)
    return read_photo(path)


def as_numbers(photo: Photo) -> np.ndarray:
    """The pixels as (h, w, 3) of 0 to 255."""
    return photo.pixels.numpy().transpose(1, 2, 0).astype(np.float64) * 255


def same(photo: Photo, expected, tolerance: float = 1e-4) -> None:
    expected = np.broadcast_to(np.asarray(expected, dtype=np.float64), as_numbers(photo).shape)
    np.testing.assert_allclose(as_numbers(photo), expected, atol=tolerance, rtol=0)


def open_files() -> int | None:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else None


# Files that must be refused


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
def test_truncated_files_are_refused_even_if_pillow_is_set_to_load_them(
    lenient, tmp_path, monkeypatch
):
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


# Files that must be read


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("PNG", "png"), ("BMP", "bmp"), ("PPM", "ppm"), ("TIFF", "tif"), ("WEBP", "webp"), ("JPEG2000", "jp2")],
)
def test_lossless_files_give_their_values(kind, suffix, tmp_path):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(NOISE), kind, **options)
    photo = read_bytes(tmp_path, data, f"photo.{suffix}")
    same(photo, NOISE)
    assert photo.pixels.dtype == torch.float32
    assert photo.pixels.is_contiguous()
    assert (photo.name, photo.path, photo.notes) == (f"photo.{suffix}", tmp_path / f"photo.{suffix}", ())
    assert photo.sha256 == hashlib.sha256(data).hexdigest()


def test_paths_are_text_or_path_objects_with_any_printable_name(tmp_path):
    path = tmp_path / "ein Bild — ö 图.dat"
    path.write_bytes(encoded(Image.fromarray(NOISE), "PNG"))
    photo = read_photo(str(path))
    same(photo, NOISE)
    assert photo.name == path.name


def test_jpeg_values(tmp_path):
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    same(read_bytes(tmp_path, encoded(flat, "JPEG", quality=95)), (200, 100, 50), tolerance=3)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_greyscale_is_repeated(mode, tmp_path):
    grey = NOISE[..., 0] // 128 * 255 if mode == "1" else NOISE[..., 0]
    photo = read_bytes(tmp_path, encoded(Image.fromarray(grey).convert(mode), "PNG"))
    same(photo, grey[..., None])
    assert photo.notes == ("greyscale",)


def test_palette_with_and_without_transparency(tmp_path):
    palette = Image.new("P", (3, 1))
    palette.putpalette([10, 20, 30, 250, 0, 128, 7, 8, 9])
    palette.frombytes(bytes([0, 1, 2]))
    colours = [[[10, 20, 30], [250, 0, 128], [7, 8, 9]]]
    photo = read_bytes(tmp_path, encoded(palette, "PNG"))
    same(photo, colours)
    assert photo.notes == ()
    photo = read_bytes(tmp_path, encoded(palette, "GIF", transparency=1))
    same(photo, [[[10, 20, 30], [255, 255, 255], [7, 8, 9]]])
    assert photo.notes == ("alpha over white",)
    part = 51 / 255
    photo = read_bytes(tmp_path, encoded(palette, "PNG", transparency=bytes([255, 51, 0])))
    mixed = [250 * part + 255 * (1 - part), 255 * (1 - part), 128 * part + 255 * (1 - part)]
    same(photo, [[[10, 20, 30], mixed, [255, 255, 255]]])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_blended_with_white(mode, tmp_path):
    colours = NOISE if mode == "RGBA" else np.repeat(NOISE[..., :1], 3, axis=2)
    alpha = RNG.integers(0, 256, NOISE.shape[:2], dtype=np.uint8)
    alpha[0, :3] = 0, 255, 128
    image = Image.fromarray(np.dstack([colours, alpha]))
    photo = read_bytes(tmp_path, encoded(image.convert(mode), "PNG"))
    part = alpha[..., None] / 255
    same(photo, colours * part + 255 * (1 - part))
    assert photo.pixels[:, 0, 0].tolist() == [1, 1, 1]
    assert photo.notes == (("greyscale",) if mode == "LA" else ()) + ("alpha over white",)


def test_a_palette_with_an_alpha_channel():
    image = Image.frombytes("PA", (3, 1), bytes([0, 51, 1, 255, 1, 0]))
    image.putpalette([10, 20, 30, 250, 0, 128])
    photo = read_photo(image)
    same(photo, [[[206, 208, 210], [250, 0, 128], [255, 255, 255]]])
    assert photo.notes == ("alpha over white",)


@pytest.mark.parametrize(("mode", "plain"), [("RGBa", "RGBA"), ("La", "LA")])
def test_premultiplied_alpha_is_undone_before_white_is_added(mode, plain):
    alpha = np.array([[255, 128, 64, 0]], dtype=np.uint8)
    colour = np.array([[200, 100, 60, 90]], dtype=np.uint8)
    bands = [Image.fromarray(colour)] * (3 if plain == "RGBA" else 1) + [Image.fromarray(alpha)]
    photo = read_photo(Image.merge(plain, bands).convert(mode))
    part = alpha[..., None] / 255
    same(photo, colour[..., None] * part + 255 * (1 - part), tolerance=2)


def test_opaque_alpha_is_not_noted():
    assert read_photo(Image.fromarray(NOISE).convert("RGBA")).notes == ()


def test_one_transparent_colour_turns_white(tmp_path):
    pixels = np.array([[[9, 8, 7], [1, 2, 3]]], dtype=np.uint8)
    photo = read_bytes(tmp_path, encoded(Image.fromarray(pixels), "PNG", transparency=(1, 2, 3)))
    same(photo, [[[9, 8, 7], [255, 255, 255]]])


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 128), (127, 127, 127)),
    ],
)
def test_cmyk(kind, ink, colour, tmp_path):
    photo = read_bytes(tmp_path, encoded(Image.new("CMYK", (16, 16), ink), kind))
    same(photo, colour, tolerance=4 if kind == "JPEG" else 1e-4)
    assert photo.notes == ("CMYK converted",)


@pytest.mark.parametrize(
    ("mode", "value", "colour"),
    [
        ("YCbCr", (255, 128, 128), (255, 255, 255)),
        ("YCbCr", (76, 85, 255), (254, 0, 0)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        ("HSV", (85, 255, 255), (0, 255, 0)),
        ("LAB", (255, 128, 128), (255, 255, 255)),
        ("LAB", (0, 128, 128), (0, 0, 0)),
        ("LAB", (136, 209, 198), (255, 0, 0)),
    ],
)
def test_other_colour_spaces(mode, value, colour):
    photo = read_photo(Image.new(mode, (4, 3), value))
    same(photo, colour, tolerance=6 if mode == "LAB" else 2)
    assert photo.notes == (f"{mode} converted",)


DEEP = np.array([[0, 1, 255], [256, 32768, 65535]], dtype=np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_greyscale_is_scaled_by_65535(kind, tmp_path):
    photo = read_bytes(tmp_path, encoded(Image.fromarray(DEEP), kind))
    same(photo, DEEP[..., None] / 65535 * 255)
    assert photo.notes == ("greyscale", "16-bit")


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I;16N", "I"])
def test_all_modes_of_more_than_eight_bits(mode):
    code = {"I;16B": ">u2", "I": "=i4", "I;16N": "=u2"}.get(mode, "<u2")
    photo = read_photo(Image.frombytes(mode, (3, 2), DEEP.astype(code).tobytes()))
    same(photo, DEEP[..., None] / 65535 * 255)
    assert photo.notes == ("greyscale", "16-bit")


def test_big_endian_and_twelve_bit_tiff(tmp_path):
    def tiff(order: str, bits: int, body: bytes) -> bytes:
        fields = [(256, 3, 2), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
        fields += [(277, 3, 1), (278, 3, 1), (279, 4, len(body))]
        entries = b"".join(
            struct.pack(f"{order}HHIHxx" if kind == 3 else f"{order}HHII", tag, kind, 1, value)
            for tag, kind, value in fields
        )
        start = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}I", 8 + len(body))
        return start + body + struct.pack(f"{order}H", len(fields)) + entries + bytes(4)

    photo = read_bytes(tmp_path, tiff(">", 16, struct.pack(">HH", 258, 65535)))
    same(photo, [[[258 / 65535 * 255], [255]]])
    photo = read_bytes(tmp_path, tiff("<", 12, bytes([0x80, 0x0F, 0xFF, 0x00])))
    same(photo, [[[0x800 / 4095 * 255], [255]]])


def test_deep_tiff_with_white_as_zero_is_refused(tmp_path):
    data = encoded(Image.fromarray(DEEP), "TIFF", tiffinfo={262: 0})
    with pytest.raises(UnseeError, match="white as zero"):
        read_bytes(tmp_path, data)


def test_deep_greyscale_with_a_transparent_value(tmp_path):
    rows = b"\0" + struct.pack(">HHH", 100, 40_000, 7)
    photo = read_bytes(tmp_path, png(3, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 40_000))))
    same(photo, [[[100 / 65535 * 255], [255], [7 / 65535 * 255]]])
    assert photo.notes == ("greyscale", "16-bit", "alpha over white")


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4)])
def test_sixteen_bit_colour_is_noted(colour, channels, tmp_path):
    values = [0x1234, 0x80FF, 0xFFFF, 0xFFFF][:channels]
    photo = read_bytes(tmp_path, png(1, 1, 16, colour, b"\0" + struct.pack(f">{channels}H", *values)))
    same(photo, [[[0x12, 0x80, 0xFF]]], tolerance=1)
    assert photo.notes == ("16-bit colour reduced to 8-bit",)


def test_float_tiff_in_range_is_read_unchanged(tmp_path):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    photo = read_bytes(tmp_path, encoded(Image.fromarray(values), "TIFF"))
    assert torch.equal(photo.pixels, torch.from_numpy(values).expand(3, -1, -1))
    assert photo.notes == ("greyscale", "32-bit float")


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("GIF", "animated: first of 3 frames"),
        ("PNG", "animated: first of 3 frames"),
        ("WEBP", "animated: first of 3 frames"),
        ("TIFF", "several images: first of 3"),
        ("MPO", "several images: first of 3"),
    ],
)
def test_the_first_of_several_frames_is_read(kind, note, tmp_path):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    photo = read_bytes(tmp_path, data)
    same(photo, (250, 0, 0), tolerance=2)
    assert photo.notes == (note,)


def test_a_pillow_image_is_read_at_its_current_frame_and_not_changed():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        photo = read_photo(image)
        assert image.tell() == 1
        same(Photo(read_photo(image).pixels, "", None, "", ()), (0, 250, 0))
    assert photo.notes == ("animated: number 2 of 2 frames",)
    assert (photo.name, photo.path) == ("array", None)


def test_a_pillow_image_that_cannot_be_decoded_is_refused():
    whole = encoded(picture(RNG), "JPEG")
    image = Image.open(io.BytesIO(whole[: len(whole) // 2]))
    with image, pytest.raises(UnseeError, match="the given image is truncated"):
        read_photo(image)


# EXIF


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What a viewer shows, from the place EXIF says the stored row 0 and column 0 have."""
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


def rows_of(pixels: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def test_unreadable_exif_is_noted(tmp_path, monkeypatch):
    def fail(self):
        raise SyntaxError("no")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    photo = read_bytes(tmp_path, encoded(Image.fromarray(NOISE), "PNG"))
    same(photo, NOISE)
    assert photo.notes == ("EXIF unreadable: orientation unknown",)


# Arrays and tensors


@pytest.mark.parametrize(
    ("source", "expected", "notes"),
    [
        (NOISE, NOISE, ()),
        (NOISE[:, ::-2], NOISE[:, ::-2], ()),
        (NOISE[..., 0], NOISE[..., :1], ("greyscale",)),
        (DEEP, DEEP[..., None] / 65535 * 255, ("greyscale", "16-bit")),
        (DEEP.astype(">u2"), DEEP[..., None] / 65535 * 255, ("greyscale", "16-bit")),
        (np.dstack([DEEP] * 3), DEEP[..., None] / 65535 * 255, ("16-bit",)),
        (NOISE / 255, NOISE, ()),
        ((NOISE / 255).astype(np.float32)[..., 1], NOISE[..., 1:2], ("greyscale",)),
        (torch.from_numpy(NOISE).permute(2, 0, 1), NOISE, ()),
        (torch.from_numpy(NOISE)[..., 2][None], NOISE[..., 2:], ("greyscale",)),
        (torch.from_numpy(NOISE / 255).permute(2, 0, 1), NOISE, ()),
        (torch.from_numpy(NOISE / 255)[..., 2][None].requires_grad_(), NOISE[..., 2:], ("greyscale",)),
        (torch.full((3, 2, 2), 0.5, dtype=torch.bfloat16), 127.5, ()),
    ],
)
def test_arrays_and_tensors(source, expected, notes):
    photo = read_photo(source)
    same(photo, expected)
    assert (photo.name, photo.path, photo.notes) == ("array", None, notes)
    assert photo.pixels.dtype == torch.float32
    assert photo.pixels.is_contiguous()
    assert not photo.pixels.requires_grad


def test_alpha_of_arrays():
    photo = read_photo(np.array([[[200, 100, 0, 51], [1, 2, 3, 255]]], dtype=np.uint8))
    same(photo, [[[244, 224, 204], [1, 2, 3]]])
    assert photo.notes == ("alpha over white",)


def test_photos_from_memory_are_hashed_by_pixels_and_shape():
    pixels = torch.from_numpy(NOISE).permute(2, 0, 1).float() / 255
    expected = hashlib.sha256(b"float32 3 5 7\n" + pixels.contiguous().numpy().astype("<f4").tobytes())
    assert read_photo(pixels).sha256 == expected.hexdigest()
    assert read_photo(NOISE).sha256 == read_photo(Image.fromarray(NOISE)).sha256 == expected.hexdigest()
    assert read_photo(np.zeros((2, 3))).sha256 != read_photo(np.zeros((3, 2))).sha256


@pytest.mark.parametrize("source", [np.zeros((2, 2, 3)), torch.zeros(3, 2, 2), torch.zeros(1, 2, 2)])
def test_the_photo_does_not_share_memory_with_the_source(source):
    photo = read_photo(source)
    source[:] = 1
    assert photo.pixels.max() == 0
    photo.pixels[0] = 1
    assert photo.pixels[1:].max() == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (np.zeros((4, 0)), "has no pixels"),
        (torch.zeros(3, 0, 4), "has no pixels"),
        (np.zeros((3, 9, 8)), r"\(3, 9, 8\) of float64: give"),
        (np.zeros(9), r"\(9,\) of float64"),
        (np.zeros((1, 9, 8, 3), np.uint8), r"\(1, 9, 8, 3\)"),
        (np.zeros((9, 8, 2), np.uint8), r"\(9, 8, 2\)"),
        (np.zeros((9, 8, 4)), r"\(9, 8, 4\)"),
        (np.zeros((9, 8), np.int64), "int64"),
        (np.zeros((9, 8), bool), "bool"),
        (np.zeros((9, 8), complex), "complex"),
        (np.full((9, 8), None), "object"),
        (np.full((9, 8), np.nan), "NaN"),
        (np.full((9, 8), np.inf), "infinite"),
        (np.array([[0.0, 255.0]]), "holds 0 to 255: scale it"),
        (np.array([[0.0, -0.1]]), "holds -0.1 to 0"),
        (torch.zeros(9, 8), r"\(9, 8\)"),
        (torch.zeros(9, 8, 3), r"\(9, 8, 3\)"),
        (torch.zeros(1, 3, 9, 8), r"\(1, 3, 9, 8\)"),
        (torch.zeros(3, 9, 8, dtype=torch.int64), "int64"),
        (torch.tensor([[[float("nan"), 0.0]]]), "NaN"),
        (torch.tensor([[[2.0, 0.0]]]), "holds 0 to 2"),
    ],
)
def test_other_arrays_are_refused(source, words):
    with pytest.raises(UnseeError, match=words) as caught:
        read_photo(source)
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(("the array", "the tensor"))


def test_rounding_beyond_the_range_is_clamped():
    photo = read_photo(np.array([[1 + 1e-7, -1e-7]]))
    assert photo.pixels.flatten().tolist() == [1, 0] * 3


# Writing


def test_images_are_written_rounded_to_eight_bits(tmp_path):
    pixels = torch.tensor([[[0.0, 0.5], [1.0, 0.3]]]).repeat(3, 1, 1)
    pixels[1] = 1.2
    save_png(tmp_path / "colour.png", pixels)
    save_png(str(tmp_path / "grey.png"), pixels[0].clone().requires_grad_())
    with Image.open(tmp_path / "colour.png") as image:
        assert image.mode == "RGB"
        colour = np.asarray(image)
    with Image.open(tmp_path / "grey.png") as image:
        assert image.mode == "L"
        assert np.asarray(image).tolist() == [[0, 128], [255, 76]]
    assert colour[..., 0].tolist() == [[0, 128], [255, 76]]
    assert (colour[..., 1] == 255).all()
    assert np.array_equal(np.asarray(to_pil(pixels)), colour)


def test_reading_what_was_written_gives_it_back(tmp_path):
    photo = read_photo(NOISE)
    save_png(tmp_path / "again.png", photo.pixels)
    assert torch.equal(read_photo(tmp_path / "again.png").pixels, photo.pixels)


@pytest.mark.parametrize("name", ["absent/picture.png", "nul\0.png", "x" * 300, "."])
def test_a_path_that_cannot_be_written_is_refused(name, tmp_path):
    with pytest.raises(UnseeError, match="cannot be written") as caught:
        save_png(tmp_path / name, torch.zeros(3, 2, 2))
    assert str(caught.value).isprintable()


# Resizing and fits


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def triangle(before: int, after: int) -> torch.Tensor:
    """The (after, before) weights of antialiased bilinear resizing of a line, from its definition."""
    scale = before / after
    centres = (torch.arange(after).double() + 0.5) * scale
    distances = (torch.arange(before).double() + 0.5 - centres[:, None]).abs()
    weights = (1 - distances / max(scale, 1.0)).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


@given(before=SIZES, after=SIZES)
@example(before=(2, 1), after=(3, 1))
@example(before=(64, 50), after=(5, 1))
@example(before=(1, 1), after=(7, 9))
@settings(max_examples=150, deadline=None)
def test_resizing_is_antialiased_bilinear(before, after):
    pixels = noise(2, 3, *before)
    resized = resize(pixels, after)
    expected = triangle(before[0], after[0]) @ pixels.double() @ triangle(before[1], after[1]).T
    torch.testing.assert_close(resized.double(), expected, atol=1e-5, rtol=0)
    assert 0 <= resized.min() <= resized.max() <= 1


def test_resizing_clamps_and_keeps_leading_axes():
    assert resize(torch.full((2, 1, 3, 4, 4), 1.5), (3, 2)).shape == (2, 1, 3, 3, 2)
    assert resize(torch.full((3, 4, 4), 1.5), (3, 2)).max() == 1
    assert resize(torch.full((3, 4, 4), -0.5), (3, 2)).min() == 0


def by_torchvision(pixels: torch.Tensor, shorter: int, size: tuple[int, int]) -> torch.Tensor:
    return tv.center_crop(tv.resize(pixels, [shorter], antialias=True), list(size))


@given(photo=SIZES, size=SIZES, shorter=st.none() | st.integers(2, 80))
@example(photo=(64, 48), size=(24, 24), shorter=None)
@example(photo=(9, 33), size=(24, 24), shorter=25)
@example(photo=(33, 9), size=(30, 27), shorter=20)
@example(photo=(1, 64), size=(5, 9), shorter=None)
@settings(max_examples=150, deadline=None)
def test_the_crop_is_torchvisions(photo, size, shorter):
    wanted = shorter or round(max(size) * 256 / 224)
    assume(wanted > 1)  # torch's own resizing to a width of 1 is at fault
    assume(max(photo) / min(photo) * wanted < 2000)
    pixels = noise(3, *photo)
    expected = by_torchvision(pixels, wanted, size)
    found = CentreCrop(shorter).apply(pixels, size)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("photo", [(375, 500), (501, 333), (768, 1024), (90, 121), (224, 224)])
@pytest.mark.parametrize(("shorter", "size"), [(None, 224), (232, 224), (342, 299)])
def test_the_crop_is_torchvisions_at_real_sizes(photo, shorter, size):
    pixels = noise(3, *photo)
    expected = by_torchvision(pixels, shorter or 256, (size, size))
    found = CentreCrop(shorter).apply(pixels, (size, size))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_squash_is_torchvisions_resize():
    pixels = noise(3, 60, 90)
    torch.testing.assert_close(Squash().apply(pixels, (24, 20)), tv.resize(pixels, [24, 20], antialias=True))


@given(photo=SIZES, size=SIZES, shorter=st.none() | st.integers(1, 80), name=st.sampled_from(sorted(FITS)))
@settings(max_examples=150, deadline=None)
def test_constants_stay_constant_and_windows_lie_in_the_photo(photo, size, shorter, name):
    fit = CentreCrop(shorter) if name == "crop" else FITS[name]
    x0, y0, x1, y1 = fit.window(photo, size)
    assert 0 <= x0 < x1 <= photo[1]
    assert 0 <= y0 < y1 <= photo[0]
    applied = fit.apply(torch.full((3, *photo), 0.3), size)
    assert applied.shape == (3, *size)
    assert (((applied - 0.3).abs() < 1e-5) | (applied == 0)).all()
    back = fit.back(torch.full((2, *size), 0.3), photo, -7.0)
    assert back.shape == (2, *photo)
    seen = torch.zeros(photo, dtype=torch.bool)
    seen[int(y0 + 1e-6) : int(np.ceil(y1 - 1e-6)), int(x0 + 1e-6) : int(np.ceil(x1 - 1e-6))] = True
    assert (back[:, seen] - 0.3).abs().max() < 1e-5
    assert (back[:, ~seen] == -7).all()
    torch.testing.assert_close(fit.back(torch.full(size, 0.3), photo, -7.0), back[0])
    again = fit.back(applied, photo, 0.3)
    if (applied > 0).all():
        assert (again - 0.3).abs().max() < 1e-5


@given(photo=st.tuples(st.integers(6, 64), st.integers(6, 64)), size=st.tuples(SIDES, SIDES), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_painted_cell_maps_back_to_its_place_in_the_window(photo, size, data):
    assume(min(size) >= 6)
    fit = FITS[data.draw(st.sampled_from(sorted(FITS)))]
    row = data.draw(st.integers(2, size[0] - 3))
    column = data.draw(st.integers(2, size[1] - 3))
    drawn = torch.zeros(size)
    drawn[row, column] = 1.0
    back = fit.back(drawn, photo, 0.0).double()
    x0, y0, x1, y1 = fit.window(photo, size)
    across, down = (x1 - x0) / size[1], (y1 - y0) / size[0]
    total = back.sum()
    assume(total > 0)
    centre_x = (back.sum(0) @ (torch.arange(photo[1]) + 0.5).double() / total).item()
    centre_y = (back.sum(1) @ (torch.arange(photo[0]) + 0.5).double() / total).item()
    assert abs(centre_x - (x0 + (column + 0.5) * across)) < 0.5 * max(across, 1) + 1e-6
    assert abs(centre_y - (y0 + (row + 0.5) * down)) < 0.5 * max(down, 1) + 1e-6


@pytest.mark.parametrize("fit", [Squash(), CentreCrop(), CentreCrop(250), CentreCrop(180)])
@pytest.mark.parametrize("photo", [(480, 640), (601, 403), (300, 300), (100, 170)])
def test_a_ramp_maps_back_to_the_photos_coordinates(fit, photo):
    size = (224, 224)
    x0, y0, x1, y1 = fit.window(photo, size)
    seen = fit.apply(torch.ones(3, *photo), size)[0] > 0
    rows, columns = int(seen[:, 112].sum()), int(seen[112].sum())
    top, left = (224 - rows) // 2, (224 - columns) // 2
    x = x0 + (torch.arange(224) - left + 0.5) * (x1 - x0) / columns
    y = y0 + (torch.arange(224) - top + 0.5) * (y1 - y0) / rows
    back = fit.back(torch.stack(torch.broadcast_tensors(x, y[:, None])), photo, float("nan"))
    inner = back[:, int(y0) + 6 : int(y1) - 6, int(x0) + 6 : int(x1) - 6]
    expected_x = torch.arange(int(x0) + 6, int(x1) - 6) + 0.5
    expected_y = torch.arange(int(y0) + 6, int(y1) - 6) + 0.5
    assert inner.numel() > 1000
    assert (inner[0] - expected_x).abs().max() < 0.1
    assert (inner[1] - expected_y[:, None]).abs().max() < 0.1


def test_a_spot_on_the_photo_maps_back_to_its_position():
    pixels = torch.zeros(3, 300, 420)
    pixels[:, 100:112, 250:262] = 1.0
    for fit in FITS.values():
        back = fit.back(fit.apply(pixels, (224, 224)), (300, 420), 0.0)[0]
        x = (back.sum(0) * (torch.arange(420) + 0.5)).sum() / back.sum()
        y = (back.sum(1) * (torch.arange(300) + 0.5)).sum() / back.sum()
        assert abs(x - 256) < 0.1
        assert abs(y - 106) < 0.1


@pytest.mark.parametrize("side", [112, 224, 299, 384])
@given(photo=st.tuples(st.integers(1, 3000), st.integers(1, 3000)))
@settings(max_examples=40, deadline=None)
def test_the_default_crop_hardly_changes_at_a_slightly_larger_size(side, photo):
    plain = CentreCrop().window(photo, (side, side))
    wider = CentreCrop().window(photo, (side + 4, side + 4))
    pixel_of_the_input = min(photo) / side
    assert max(abs(a - b) for a, b in zip(plain, wider, strict=True)) <= 1.5 * pixel_of_the_input
    assert plain[2] - plain[0] == pytest.approx(0.875 * min(photo), abs=pixel_of_the_input)
    assert plain[3] - plain[1] == pytest.approx(0.875 * min(photo), abs=pixel_of_the_input)


def test_cropping_a_strip_enlarges_only_the_visible_part():
    strip = noise(3, 1, 40_000)
    found = CentreCrop().apply(strip, (224, 224))
    assert found.shape == (3, 224, 224)
    assert found.std(dim=1).max() < 1e-6


def test_a_crop_to_zero_pixels_is_refused():
    with pytest.raises(UnseeError, match="resized to 0"):
        CentreCrop(0)


def test_fits_are_values_with_names():
    assert {name: fit.name for name, fit in FITS.items()} == {"squash": "squash", "crop": "crop"}
    assert CentreCrop(3) == CentreCrop(3) != CentreCrop(4)
    assert len({Squash(), Squash(), CentreCrop(), CentreCrop(9)}) == 3
    assert Squash().window((5, 9), (3, 3)) == (0, 0, 9, 5)
    assert CentreCrop().window((256, 512), (224, 224)) == (144, 16, 368, 240)
