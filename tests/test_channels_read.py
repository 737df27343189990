"""How pictures of other channels than RGB are read: .npy, TIFF pages, grey, alpha, arrays."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from channel_nets import LEVELS, SPAN, banded, bands, npy, said, tiff, values
from unsee.errors import UnseeError
from unsee.images import read_photo
from unsee.masks.network_input import photo_for


class TestGrey:
    def test_a_grey_file_stays_as_it_is(self, tmp_path):
        Image.fromarray(LEVELS).save(tmp_path / "grey.png")
        photo = read_photo(tmp_path / "grey.png", channels=1)
        assert photo.pixels.shape == (1, 4, 6)
        assert np.allclose(values(photo)[0], LEVELS, atol=1e-4)
        assert photo.notes == ()

    @pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
    def test_colour_becomes_pillows_luma(self, tmp_path, suffix):
        colour = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(colour).save(tmp_path / f"colour.{suffix}")
        expected = np.asarray(Image.fromarray(colour).convert("L"))
        for source in (tmp_path / f"colour.{suffix}", colour, Image.fromarray(colour)):
            photo = read_photo(source, channels=1)
            assert np.array_equal(values(photo)[0].round(), expected)
            assert photo.notes == ("colour converted to grey",)
        again = photo_for(banded(1), read_photo(colour))
        assert torch.equal(again.pixels, photo.pixels)

    def test_fine_colour_is_not_rounded(self):
        colour = np.full((2, 2, 3), (0.1234, 0.5, 0.9))
        expected = 0.299 * 0.1234 + 0.587 * 0.5 + 0.114 * 0.9
        assert read_photo(colour, channels=1).pixels.numpy() == pytest.approx(np.full((1, 2, 2), expected))

    def test_alpha_is_over_white(self):
        pixels = np.dstack([LEVELS] * 3 + [np.full_like(LEVELS, 51)])
        for source in (pixels, Image.fromarray(pixels), Image.fromarray(pixels).convert("LA")):
            photo = read_photo(source, channels=1)
            assert np.allclose(values(photo)[0], 0.2 * LEVELS + 0.8 * 255, atol=0.01)
            assert photo.notes == ("alpha over white",)

    @pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
    def test_arrays_and_tensors(self, shape):
        photo = read_photo(LEVELS.reshape(shape), channels=1)
        tensor = read_photo(torch.from_numpy(LEVELS)[None], channels=1)
        assert torch.equal(photo.pixels, tensor.pixels)
        assert (photo.sha256, photo.pixels.shape) == (tensor.sha256, (1, 4, 6))

    def test_sixteen_bits_keep_their_depth(self, tmp_path):
        deep = (np.arange(24, dtype=np.uint16).reshape(4, 6) * 2800 + 7).astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / "deep.png")
        for source in (tmp_path / "deep.png", deep):
            photo = read_photo(source, channels=1)
            assert np.array_equal((photo.pixels[0] * 65535).round().numpy(), deep)
            assert photo.notes == ("16-bit",)


class TestFour:
    def test_files_and_arrays_with_alpha_keep_it(self, tmp_path):
        pixels = bands(4)
        Image.fromarray(pixels, "RGBA").save(tmp_path / "clear.png")
        for source in (tmp_path / "clear.png", pixels, torch.from_numpy(pixels).permute(2, 0, 1)):
            photo = read_photo(source, channels=4)
            assert np.array_equal(values(photo).round(), np.moveaxis(pixels, -1, 0))
            assert photo.notes == ()

    @pytest.mark.parametrize(("mode", "has"), [("RGB", 3), ("L", 1), ("CMYK", 3)])
    def test_files_without_alpha_are_refused(self, tmp_path, mode, has):
        Image.fromarray(bands(3)).convert(mode).save(tmp_path / "photo.tiff")
        with pytest.raises(
            UnseeError, match=rf"takes 4 channels; .*photo.tiff has {has}: give RGBA"
        ) as error:
            read_photo(tmp_path / "photo.tiff", channels=4)
        said(error)

    def test_floats_are_four_bands(self):
        photo = read_photo(bands(4) / 255, channels=4)
        assert np.array_equal(values(photo).round(), np.moveaxis(bands(4), -1, 0))


class TestNpy:
    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("channels", [2, 3, 4, 7])
    def test_the_axis_with_the_channels_is_found(self, tmp_path, channels, first):
        array = bands(channels, (22, 26))
        path = npy(tmp_path, np.moveaxis(array, -1, 0) if first else array)
        photo = read_photo(path, channels=channels)
        assert torch.equal(photo.pixels, read_photo(array, channels=channels).pixels)
        assert (photo.name, photo.path) == ("scan.npy", path)

    def test_grey_and_rgb_serve_each_other(self, tmp_path):
        for grey in (LEVELS, LEVELS[None], LEVELS[..., None]):
            assert torch.equal(read_photo(npy(tmp_path, grey)).pixels, read_photo(LEVELS).pixels)
            assert torch.equal(
                read_photo(npy(tmp_path, grey), channels=1).pixels[0], read_photo(LEVELS).pixels[0]
            )
        for colour in (bands(3), np.moveaxis(bands(3), -1, 0)):
            found = read_photo(npy(tmp_path, colour), channels=1)
            assert torch.equal(found.pixels, read_photo(bands(3), channels=1).pixels)

    @pytest.mark.parametrize(
        ("array", "channels", "words"),
        [
            (
                np.zeros((3, 9, 8)),
                4,
                r"the network takes 4 channels; .*scan.npy is \(3, 9, 8\) and has 3: give",
            ),
            (np.zeros((9, 8, 3)), 7, "takes 7 channels; .* has 3: give an array or a .npy file with 7"),
            (np.zeros((9, 8)), 5, "takes 5 channels; .* has 1"),
            (np.zeros((7, 9, 8)), 1, "takes 1 channel; .* has 7"),
            (np.zeros((5, 9, 5)), 5, "either end could be the 5 channels"),
            (np.zeros((3, 9, 3)), 3, "either end could be the 3 channels"),
            (np.zeros((2, 5, 9, 8)), 5, r"\(2, 5, 9, 8\) of float64: give"),
            (np.zeros((5, 0, 8)), 5, "has no pixels"),
            (np.zeros((5, 9, 8), complex), 5, "complex128: give"),
            (np.full((5, 9, 8), np.nan), 5, "NaN"),
            (np.full((5, 9, 8), 255.0), 5, "holds 255 to 255: scale it"),
            (np.full((5, 9, 8), 255), 5, r"holds 255 to 255 as int64: give .astype\('uint8'\)"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tmp_path, array, channels, words):
        with pytest.raises(UnseeError, match=words) as error:
            read_photo(npy(tmp_path, array), channels=channels)
        assert "scan.npy" in said(error)

    def test_damaged_files_are_refused(self, tmp_path):
        whole = io.BytesIO()
        np.save(whole, bands(5))
        pickled = io.BytesIO()
        np.save(pickled, np.array([{}]), allow_pickle=True)
        head = (
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (5, 999999999, 99999), }".ljust(117) + b"\n"
        )
        lying = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
        for data in (whole.getvalue()[:-9], whole.getvalue()[:40], pickled.getvalue(), lying):
            (tmp_path / "scan.npy").write_bytes(data)
            with pytest.raises(UnseeError, match=r"is a damaged .npy file, or holds objects") as error:
                read_photo(tmp_path / "scan.npy", channels=5)
            said(error)


class TestArrays:
    @pytest.mark.parametrize(
        ("source", "channels", "words"),
        [
            (bands(3), 5, r"takes 5 channels; the array is \(30, 36, 3\) and has 3"),
            (np.moveaxis(bands(5), -1, 0), 5, "takes 5 channels; the array .* has 36"),
            (bands(2), 1, "takes 1 channel; the array .* has 2: give a grey or an RGB"),
            (torch.rand(3, 8, 9), 5, r"takes 5 channels; the tensor is \(3, 8, 9\) and has 3"),
            (torch.rand(8, 9), 5, r"the tensor is \(8, 9\) of torch.float32: give \(5, h, w\) of uint8"),
            (np.zeros((8, 9)), 5, "takes 5 channels; the array has 1: give"),
            (torch.full((3, 8, 9), 255), 3, r"holds 255 to 255 as int64: give .to\(torch.uint8\)"),
            (np.full((8, 9, 3), 200, np.int32), 3, r"holds 200 to 200 as int32: give .astype\('uint8'\)"),
            (np.full((8, 9), 200, np.uint32), 1, r"holds 200 to 200 as uint32: give .astype\('uint8'\)"),
            (
                np.full((8, 9, 3), 300),
                3,
                r"of int64: give \(h, w\) or \(h, w, 3\) of uint8, uint16 or floats",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, source, channels, words):
        with pytest.raises(UnseeError, match=words) as error:
            read_photo(source, channels=channels)
        said(error)

    def test_a_photo_of_other_channels_is_refused(self):
        with pytest.raises(UnseeError, match="takes 4 channels; array has 3: give RGBA"):
            photo_for(banded(4), read_photo(bands(3)))
        with pytest.raises(UnseeError, match="takes 3 channels; array has 4: give an RGB"):
            photo_for(banded(3), read_photo(bands(4), channels=4))


class TestPages:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_each_page_is_a_channel(self, tmp_path, dtype):
        scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
        pages = (np.moveaxis(bands(5), -1, 0) * float(scale)).astype(dtype)
        photo = read_photo(tiff(tmp_path, pages), channels=5)
        assert np.allclose(values(photo), np.moveaxis(bands(5), -1, 0), atol=1e-4)
        deep = {np.uint8: (), np.uint16: ("16-bit",), np.float32: ("32-bit float",)}[dtype]
        assert photo.notes == ("5 pages as channels", *deep)

    def test_the_range_of_floats_is_that_of_all_pages(self, tmp_path):
        low, high = SPAN
        unit = np.moveaxis(bands(5), -1, 0) / 255
        unit[2] = (unit[2] * 1e-4 + 0.5002).clip(0.50001, 0.5003)  # 0.02 to 0.6 in the network's range
        pages = (low + (high - low) * unit).astype(np.float32)
        assert pages[2].min() > 0
        assert pages[2].max() < 1
        photo = read_photo(tiff(tmp_path, pages), channels=5, value_range=SPAN)
        assert np.allclose(photo.pixels.numpy(), unit, atol=1e-6)

    def test_rgb_and_grey_read_the_first_page_as_ever(self, tmp_path):
        path = tiff(tmp_path, np.moveaxis(bands(3), -1, 0))
        for channels in (1, 3):
            photo = read_photo(path, channels=channels)
            assert np.allclose(values(photo)[0], bands(3)[..., 0], atol=1e-4)
            assert "first of 3 pages" in photo.notes

    @pytest.mark.parametrize(
        ("pages", "words"),
        [
            ([LEVELS] * 3, "takes 5 channels; .*stack.tiff has 3 pages: give an array"),
            ([LEVELS] * 4 + [bands(3)], "page 5 of .*stack.tiff is RGB: save each channel as a grey page"),
            ([LEVELS] * 4 + [LEVELS[:3]], "pages of .*stack.tiff differ .6x4 with white at 255, 6x3"),
            ([LEVELS] * 4 + [LEVELS.astype(np.uint16)], "differ .* white at 255, 6x4 with white at 65535"),
            ([LEVELS.astype(np.float32)] * 5, "holds 0 to 230, not 0 to 1: scale it"),
        ],
    )
    def test_pages_that_are_no_channels_are_refused(self, tmp_path, pages, words):
        with pytest.raises(UnseeError, match=words) as error:
            read_photo(tiff(tmp_path, pages), channels=5)
        said(error)

    def test_too_many_values_are_refused(self, tmp_path, monkeypatch):
        path = tiff(tmp_path, [LEVELS] * 9)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
        with pytest.raises(UnseeError, match="more than 200 values"):
            read_photo(path, channels=9)

    def test_other_files_are_refused(self, tmp_path):
        Image.fromarray(bands(3)).save(tmp_path / "photo.jpg")
        with pytest.raises(UnseeError, match=r"takes 7 channels; .*photo.jpg has 3: give an array or a .npy"):
            read_photo(tmp_path / "photo.jpg", channels=7)

    def test_orientation_and_the_users_image_are_kept(self, tmp_path):
        path = tiff(tmp_path, np.moveaxis(bands(5), -1, 0))
        with Image.open(path) as image:
            image.seek(2)
            photo = read_photo(image, channels=5)
            assert image.tell() == 2
        assert torch.equal(photo.pixels, read_photo(path, channels=5).pixels)
