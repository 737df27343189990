"""Arrays and tensors, and PNG files that are written."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from photo_files import DEEP, NOISE, same
from unsee.errors import UnseeError
from unsee.images import read_photo, save_png, to_pil


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


def test_a_picture_that_cannot_be_finished_leaves_the_earlier_one(tmp_path, monkeypatch):
    file = tmp_path / "picture.png"
    save_png(file, torch.zeros(3, 2, 2))
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UnseeError, match="No space left"):
        save_png(file, torch.ones(3, 2, 2))
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (before, [file])


@pytest.mark.parametrize("name", ["absent/picture.png", "nul\0.png", "x" * 300, "."])
def test_a_path_that_cannot_be_written_is_refused(name, tmp_path):
    with pytest.raises(UnseeError, match="cannot be written") as caught:
        save_png(tmp_path / name, torch.zeros(3, 2, 2))
    assert str(caught.value).isprintable()
