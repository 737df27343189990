"""What numbers mean: the network's value range, and what a reader cannot be sure of."""

import numpy as np
import pytest
import torch
from PIL import Image

from channel_nets import LEVELS, SPAN, said, tiff, values
from unsee.errors import UnseeError
from unsee.images import read_photo


class TestValueRange:
    @pytest.mark.parametrize("source", [LEVELS / 255, torch.from_numpy(LEVELS / 255)[None]])
    def test_floats_in_the_unit_range_stay_and_are_noted(self, source):
        photo = read_photo(source, channels=1, value_range=SPAN)
        assert np.allclose(values(photo)[0], LEVELS, atol=1e-4)
        assert photo.notes == ("taken as values in [0,1], not as -1024 to 1024",)
        assert read_photo(source, channels=1).notes == ()

    @pytest.mark.parametrize("span", [SPAN, (0.0, 255.0), (-1.0, 1.0)])
    def test_floats_in_the_networks_range_are_brought_to_it(self, span):
        low, high = span
        given = low + (high - low) * (LEVELS / 255)
        photo = read_photo(given, channels=1, value_range=span)
        assert np.allclose(values(photo)[0], LEVELS, atol=1e-4)
        assert photo.notes == ()

    def test_integers_go_by_their_type(self):
        photo = read_photo(LEVELS, channels=1, value_range=SPAN)
        assert np.allclose(values(photo)[0], LEVELS, atol=1e-4)
        assert photo.notes == ()

    @pytest.mark.parametrize("outside", [-1025.0, 1030.0])
    def test_values_outside_both_are_refused(self, outside):
        given = np.array([[0.0, outside]])
        with pytest.raises(
            UnseeError, match=r"scale it to 0..1, .* or to the network's -1024..1024"
        ) as error:
            read_photo(given, channels=1, value_range=SPAN)
        said(error)
        with pytest.raises(UnseeError, match=r"holds .*: scale it to 0..1, or give uint8$"):
            read_photo(given)

    def test_floats_in_a_tiff(self, tmp_path):
        Image.fromarray((LEVELS * 8.0 - 1000).astype(np.float32)).save(tmp_path / "ct.tiff")
        photo = read_photo(tmp_path / "ct.tiff", channels=1, value_range=SPAN)
        assert np.allclose(photo.pixels[0].numpy(), (LEVELS * 8.0 + 24) / 2048, atol=1e-6)


class TestDoubts:
    @pytest.mark.parametrize(
        ("brightest", "note"), [(4095, "6 %"), (255, "0.4 %"), (0, "0 %"), (8100, "12 %")]
    )
    def test_dark_sixteen_bits_are_noted(self, tmp_path, brightest, note):
        deep = (np.linspace(0, 1, 24).reshape(4, 6) * brightest).astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / "deep.png")
        tiff(tmp_path, [deep] * 5)
        for photo in (
            read_photo(deep),
            read_photo(deep, channels=1),
            read_photo(tmp_path / "deep.png"),
            read_photo(tmp_path / "stack.tiff", channels=5),
        ):
            assert f"brightest value is {note} of white" in photo.notes
            assert photo.pixels.max() == pytest.approx(brightest / 65535)

    def test_brighter_ones_and_eight_bits_are_not(self):
        for array in (np.full((4, 6), 8200, np.uint16), np.full((4, 6), 3, np.uint8)):
            assert not any("brightest" in note for note in read_photo(array).notes)

    def test_thirty_two_bits_that_hold_eight_are_refused(self, tmp_path):
        image = Image.fromarray(LEVELS.astype(np.int32))
        image.save(tmp_path / "deep.tiff")
        for source in (image, tmp_path / "deep.tiff"):
            with pytest.raises(UnseeError, match="holds 0 to 230 as int32: save it with 8 bits") as error:
                read_photo(source)
            said(error)
        black = read_photo(Image.fromarray(np.zeros((4, 6), np.int32)))
        assert black.pixels.max() == 0

    def test_sixteen_bits_in_thirty_two_are_read(self, tmp_path):
        Image.fromarray(LEVELS.astype(np.int32) * 257).save(tmp_path / "deep.tiff")
        assert np.allclose(values(read_photo(tmp_path / "deep.tiff"))[0], LEVELS, atol=1e-4)
