"""Small images, files made of them, and comparisons with their expected values."""

from pathlib import Path

import numpy as np

from unsee.images import Photo, read_photo

NOISE = np.random.default_rng(7).integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = np.array([[0, 1, 255], [256, 32768, 65535]], dtype=np.uint16)


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


def rows_of(pixels: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in pixels)
