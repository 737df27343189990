"""Files that are no photo: twenty kinds, each with a maker that draws one variant from a seeded generator.

A maker writes into a folder and returns the path to read together with the words the refusal must hold.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Made = tuple[Path, str]
Maker = Callable[[Path, np.random.Generator, int], Made]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, body: bytes | None, *extra: bytes) -> bytes:
    """A PNG written by hand: `body` is filtered rows before compression, or None for no IDAT at all."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    idat = b"" if body is None else chunk(b"IDAT", zlib.compress(body))
    return PNG_MAGIC + header + b"".join(extra) + idat + chunk(b"IEND", b"")


def picture(rng: np.random.Generator, width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def put(folder: Path, name: str, data: bytes, words: str) -> Made:
    path = folder / name
    path.write_bytes(data)
    return path, words


def cut(rng: np.random.Generator, data: bytes) -> bytes:
    return data[: int(len(data) * rng.uniform(0.3, 0.95))]


def absent(folder: Path, rng: np.random.Generator, index: int) -> Made:
    name = f"absent-{index}.jpg"
    if index % 3 == 0:
        (folder / name).symlink_to(name)
        return folder / name, "cannot be read"
    if index % 3 == 1:
        (folder / name).write_bytes(encoded(picture(rng), "PNG"))
        return folder / name / f"{name}.png", "cannot be read"
    return folder / name, "does not exist"


def empty(folder: Path, rng: np.random.Generator, index: int) -> Made:
    return put(folder, f"empty-{index}.{('png', 'jpg', 'gif', 'tif', 'webp')[index % 5]}", b"", "is empty")


def noise(folder: Path, rng: np.random.Generator, index: int) -> Made:
    suffix = ("png", "jpg", "gif", "tif", "webp")[index % 5]
    if index % 2:
        data = rng.bytes(int(rng.integers(1, 5000)))
    else:
        data = " ".join(map(str, rng.integers(0, 1000, 200))).encode()
    return put(folder, f"noise-{index}.{suffix}", data, "not an image in a known format")


FOREIGN = (
    (b"%PDF-1.7\n1 0 obj\n", "is a PDF"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", "is an EPS"),
    (b"\xc5\xd0\xd3\xc6" + bytes(60), "is an EPS"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9"/></svg>', "is an SVG"),
    (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn -->\n<svg/>', "is an SVG"),
    (b"8BPS\x00\x01" + bytes(40), "is a Photoshop"),
    (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(99), "is a HEIC"),
    (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic" + bytes(99), "is a HEIC"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(40), "is a JPEG XL"),
    (b"<!DOCTYPE html>\n<html><body>404</body></html>", "is a web page"),
)


def foreign(folder: Path, rng: np.random.Generator, index: int) -> Made:
    data, words = FOREIGN[index % len(FOREIGN)]
    return put(folder, f"foreign-{index}.jpg", data, words)


def cut_png(folder: Path, rng: np.random.Generator, index: int) -> Made:
    whole = encoded(picture(rng), "PNG", compress_level=index % 10)
    return put(folder, f"cut-{index}.png", cut(rng, whole), "truncated or damaged")


def cut_jpeg(folder: Path, rng: np.random.Generator, index: int) -> Made:
    whole = encoded(picture(rng), "JPEG", progressive=bool(index % 2), quality=60 + index * 3)
    return put(folder, f"cut-{index}.jpg", cut(rng, whole[:-40]), "")


def cut_gif(folder: Path, rng: np.random.Generator, index: int) -> Made:
    whole = encoded(picture(rng).quantize(), "GIF", interlace=index % 2)
    return put(folder, f"cut-{index}.gif", whole[: 790 + int((len(whole) - 900) * rng.random())], "truncated")


def cut_webp(folder: Path, rng: np.random.Generator, index: int) -> Made:
    whole = encoded(picture(rng), "WEBP", lossless=bool(index % 2))
    return put(folder, f"cut-{index}.webp", cut(rng, whole), "")


def cut_tiff(folder: Path, rng: np.random.Generator, index: int) -> Made:
    method = ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")[index % 5]
    whole = encoded(picture(rng), "TIFF", compression=method)
    return put(folder, f"cut-{index}.tif", cut(rng, whole), "")


def cut_others(folder: Path, rng: np.random.Generator, index: int) -> Made:
    kind, suffix = (("BMP", "bmp"), ("PPM", "ppm"), ("ICO", "ico"), ("JPEG2000", "jp2"), ("DIB", "dib"))[
        index % 5
    ]
    return put(folder, f"cut-{index}.{suffix}", cut(rng, encoded(picture(rng), kind)), "")


def flipped_png(folder: Path, rng: np.random.Generator, index: int) -> Made:
    data = bytearray(encoded(picture(rng), "PNG"))
    data[int(rng.integers(60, len(data) - 20))] ^= 1 << int(rng.integers(8))
    return put(folder, f"flipped-{index}.png", bytes(data), "damaged")


def broken_zlib(folder: Path, rng: np.random.Generator, index: int) -> Made:
    whole = zlib.compress(bytes(30 * 121))
    body = rng.bytes(200) if index % 2 else whole[: int(len(whole) * rng.uniform(0.2, 0.7))]
    start = PNG_MAGIC + chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0))
    return put(folder, f"zlib-{index}.png", start + chunk(b"IDAT", body) + chunk(b"IEND", b""), "damaged")


def broken_chunk(folder: Path, rng: np.random.Generator, index: int) -> Made:
    kind = (b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"zTXt")[index % 5]
    bad = bytearray(chunk(kind, rng.bytes(48)))
    if index < 5:
        bad[-1] ^= 0xFF
    else:
        bad[:4] = struct.pack(">I", int(rng.integers(10_000, 2**31)))
    return put(folder, f"chunk-{index}.png", png(40, 30, 8, 2, bytes(30 * 121), bytes(bad)), "")


def bomb(folder: Path, rng: np.random.Generator, index: int) -> Made:
    limit = Image.MAX_IMAGE_PIXELS or 0
    side = int(limit**0.5)
    width, height = ((side + 9, side + 9), (side * 2, side * 2), (limit + 1, 1), (60_000, 60_000))[index % 4]
    if index < 5:
        return put(folder, f"bomb-{index}.png", png(width, height, 1, 0, bytes(9)), "pixels: make it smaller")
    if index < 8:
        return put(folder, f"bomb-{index}.ppm", b"P6 %d %d 255\n" % (width, height), "make it smaller")
    header = (
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 0, 0, 1, 24, *[0] * 6)
    )
    header = header[:18] + struct.pack("<ii", 50_000, 50_000 + index) + header[26:]
    return put(folder, f"bomb-{index}.bmp", header, "make it smaller")


def too_large(folder: Path, rng: np.random.Generator, index: int) -> Made:
    path = folder / f"large-{index}.png"
    path.write_bytes(encoded(picture(rng), "PNG"))
    os.truncate(path, 2 ** (30 + index % 5))
    return path, "is larger than 512 MiB"


def no_file(folder: Path, rng: np.random.Generator, index: int) -> Made:
    device = Path("/dev", ("zero", "random")[index % 2])
    if index < 4 and device.exists():
        return device, "device, pipe or socket"
    path = folder / f"no-file-{index}.png"
    if index < 7:
        path.mkdir()
        return path, "is a folder"
    os.mkfifo(path)
    return path, "device, pipe or socket"


def bad_name(folder: Path, rng: np.random.Generator, index: int) -> Made:
    names = (
        ("nul\0byte.png", "nul\\x00byte.png cannot be read"),
        ("x" * 5000 + ".png", "xxx.png cannot be read (File name too long)"),
        ("two\nlines.png", "two\\nlines.png does not exist"),
        ("bell\a.png", "bell\\x07.png does not exist"),
        ("not-utf8-\udcff.png", "not-utf8-\\udcff.png does not exist"),
    )
    name, words = names[index % 5]
    return folder / (name if index < 5 else f"{index}{name}"), words


def no_pixels(folder: Path, rng: np.random.Generator, index: int) -> Made:
    width, height = ((0, 9), (9, 0))[index % 2]
    if index < 4:
        return put(folder, f"none-{index}.png", png(width, height, 8, index // 2 * 2, b""), "")
    if index < 6:
        return put(folder, f"none-{index}.ppm", b"P6 %d %d 255\n" % (width, height), "")
    if index < 8:
        data = bytearray(encoded(picture(rng).quantize(), "GIF"))
        data[6:10] = struct.pack("<HH", width, height)
        place = data.index(b"\x2c\0\0\0\0\x28\0\x1e\0")
        data[place + 5 : place + 9] = struct.pack("<HH", width, height)
        return put(folder, f"none-{index}.gif", bytes(data), "")
    data = bytearray(encoded(picture(rng), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return put(folder, f"none-{index}.bmp", bytes(data), "")


MAGIC = (
    PNG_MAGIC,
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"BM",
    b"P6 ",
    b"\0\0\1\0\1\0",
    b"\0\0\0\x0cjP  \r\n\x87\n",
)


def magic_then_noise(folder: Path, rng: np.random.Generator, index: int) -> Made:
    return put(folder, f"magic-{index}.png", MAGIC[index % len(MAGIC)] + rng.bytes(300), "")


def wild_numbers(folder: Path, rng: np.random.Generator, index: int) -> Made:
    values = rng.random((12, 9), dtype=np.float32)
    if index < 4:
        values[3, 4] = (np.nan, np.inf, -np.inf, np.nan)[index]
        words = "NaN or infinite"
    elif index < 8:
        values[5, 6] = (-0.5, 1.5, 255.0, 1e30)[index - 4]
        words = "not 0 to 1: scale it"
    else:
        values, words = (values * 1e6).astype(np.int32) - (index - 8) * 500_000, "not 0 to 65535"
    return put(folder, f"wild-{index}.tif", encoded(Image.fromarray(values), "TIFF"), words)


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        absent,
        empty,
        noise,
        foreign,
        cut_png,
        cut_jpeg,
        cut_gif,
        cut_webp,
        cut_tiff,
        cut_others,
        flipped_png,
        broken_zlib,
        broken_chunk,
        bomb,
        too_large,
        no_file,
        bad_name,
        no_pixels,
        magic_then_noise,
        wild_numbers,
    )
}
