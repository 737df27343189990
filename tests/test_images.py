"""Files that must be read, with the values and notes they give."""

import hashlib
import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from bad_files import chunk, encoded, picture, png
from photo_files import DEEP, NOISE, read_bytes, same
from unsee.errors import UnseeError
from unsee.images import Photo, read_photo

RNG = np.random.default_rng(8)


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
        ("TIFF", "first of 3 pages"),
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
