"""Resizing, squashing and cropping, and mapping back to the photo."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from unsee.errors import UnseeError
from unsee.images import FITS, CentreCrop, Squash, resize

SIDES = st.integers(1, 64)
SIZES = st.tuples(SIDES, SIDES)


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
