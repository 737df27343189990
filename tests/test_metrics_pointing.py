"""The pointing game: where a map points, what that hits, and which images are difficult."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import metrics_literal as literal
from unsee.datasets.sample import Instance, Sample
from unsee.errors import UnseeError
from unsee.metrics import mean_precision_of, pointing

FEW = settings(max_examples=25, deadline=None, derandomize=True)
DRAWS = torch.Generator().manual_seed(12)
SATURATED = (3 * torch.rand(2, 3, 6, 9, generator=DRAWS, dtype=torch.float64)).clamp(max=1)
MAPS = {
    "saturated": (SATURATED[0, 0], (40, 31)),
    "random": (torch.randn(7, 5, generator=DRAWS, dtype=torch.float64), (29, 45)),
    "two corners": (torch.eye(4, 4) * torch.tensor([1.0, 0, 0, 1]), (8, 12)),
    "nearly tied": (torch.tensor([[5.0, 0, 0, 4.999996], [0, 4.99999, 0, 0]], dtype=torch.float64), (2, 4)),
}


def peaks():
    for saliency, size in MAPS.values():
        assert_allclose(
            pointing.peak(saliency, size), literal.peak(saliency.double().numpy(), size), rtol=1e-12
        )


def test_a_peak_is_the_literal_one():
    peaks()


def known_peaks():
    """Four cells a side on eight pixels: the centre of the first cell lies between pixels 0 and 1."""
    hot = torch.zeros(4, 4)
    hot[0, 3] = 1
    assert pointing.peak(hot, (8, 8)).tolist() == [6.5, 0.5]
    assert pointing.peak(hot, (4, 4)).tolist() == [3.0, 0.0]
    assert pointing.peak(MAPS["two corners"][0], (8, 12)).tolist() == [5.5, 3.5]
    assert pointing.peak(MAPS["nearly tied"][0], (2, 4)).tolist() == [1.5, 0.0]


def test_known_maps_peak_where_they_should():
    known_peaks()


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_a_constant_map_peaks_in_the_middle(value):
    assert pointing.peak(torch.full((3, 5), value), (224, 100)).tolist() == [49.5, 111.5]
    assert pointing.first_peak(torch.full((3, 5), value), (224, 100)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("find", ["peak", "first_peak"])
def test_a_batch_gives_what_single_maps_give(find):
    function = getattr(pointing, find)
    found = function(SATURATED, (33, 20))
    assert found.shape == (2, 3, 2)
    for place in np.ndindex(2, 3):
        assert torch.equal(found[place], function(SATURATED[place], (33, 20)))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("find", ["peak", "first_peak"])
def test_a_map_that_is_not_finite_points_nowhere(find, value):
    saliency = torch.zeros(2, 4, 4)
    saliency[1, 0, 0] = value
    with pytest.raises(UnseeError, match="NaN or infinite"):
        getattr(pointing, find)(saliency, (8, 8))


def first_peaks():
    for saliency, size in MAPS.values():
        found = pointing.first_peak(saliency, size).tolist()
        assert found == literal.first_peak(saliency.double().numpy(), size)
    tied = torch.zeros(5, 7)
    tied[1, 4] = tied[3, 2] = 1
    assert pointing.first_peak(tied, (5, 7)).tolist() == [4.0, 1.0]


def test_torchrays_point_is_the_first_of_the_large_map():
    first_peaks()


@FEW
@given(
    cells=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_a_peak_lies_in_the_picture_and_turns_with_the_map(cells, size):
    saliency = (3 * torch.rand(*cells, generator=DRAWS, dtype=torch.float64)).clamp(max=1)
    before = saliency.clone()
    x, y = pointing.peak(saliency, size).tolist()
    assert -0.5 <= x <= size[1] - 0.5
    assert -0.5 <= y <= size[0] - 0.5
    assert_allclose(pointing.peak(saliency.flip(0), size), [x, size[0] - 1 - y], atol=1e-9)
    assert_allclose(pointing.peak(saliency.T, size[::-1]), [y, x], atol=1e-9)
    assert torch.equal(saliency, before)


def segment(*pixels, size=(50, 60)):
    mask = torch.zeros(1, *size, dtype=torch.bool)
    for x, y in pixels:
        mask[0, y, x] = True
    return mask


def within():
    """Fifteen pixels are within reach of `hits`, and just out of reach of TorchRay's open disc."""
    one = segment((20, 10))
    for point, near, nearer in (
        ((20, 10), True, True),
        ((35, 10), True, False),
        ((5, 10), True, False),
        ((20, 25), True, False),
        ((29, 22), True, False),
        ((30, 22), False, False),
        ((34.9, 10), True, True),
        ((35.1, 10), False, False),
        ((36, 10), False, False),
        ((31, 20), True, True),
        ((32, 20), False, False),
    ):
        assert pointing.hits(point, one) is near
        assert pointing.touched(point, one) is nearer
    assert pointing.hits((20, 13), one, 3.0)
    assert not pointing.hits((20, 13), one, 2.9)


def test_fifteen_pixels_are_fifteen_pixels():
    within()


def test_any_instance_will_do():
    two = torch.cat([segment((5, 5)), segment((50, 40), (51, 40))])
    assert pointing.hits((40, 40), two)
    assert pointing.hits((5, 19), two)
    assert not pointing.hits((25, 22), two)


def distances():
    """At every pixel of an image the answer is that of scipy's distance transform."""
    blob = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(50, 60)), 6) > 0.05
    assert 0.05 < blob.mean() < 0.4
    far = ndimage.distance_transform_edt(~blob)
    masks = torch.from_numpy(blob)[None]
    for tolerance in (0.0, 5.0):
        points = [(x, y) for y in range(0, 50, 3) for x in range(0, 60, 3)]
        found = [pointing.hits(point, masks, tolerance) for point in points]
        assert found == [bool(far[y, x] <= tolerance) for x, y in points]
        found = [pointing.touched(point, masks, tolerance) for point in points]
        assert found == [bool(far[y, x] < tolerance) for x, y in points]
    for point in ((3.3, 40.1), (59.5, -0.5), (30.0, 70.25)):
        away = literal.gap(point, blob)
        assert pointing.hits(point, masks, away + 1e-9)
        assert not pointing.hits(point, masks, away - 1e-9)


def test_distances_are_scipys_and_the_literal_ones():
    distances()


QUARTERS = st.integers(0, 80).map(lambda quarters: quarters / 4)
STRETCH = st.integers(1, 40).map(lambda quarters: quarters / 4)


@FEW
@given(left=QUARTERS, top=QUARTERS, width=STRETCH, height=STRETCH, x=QUARTERS, y=QUARTERS)
def test_a_box_is_hit_where_its_pixels_are(left, top, width, height, x, y):
    box = (left, top, left + width, top + height)
    pixels = literal.pixels_of(box, (32, 32))
    away = literal.gap((x, y), pixels)
    truth = torch.tensor([box], dtype=torch.float64)
    for reach in (max(away - 1e-9, 0.0), away + 1e-9):
        assert pointing.hits((x, y), truth, reach) == (reach >= away)
        assert pointing.hits((x, y), torch.from_numpy(pixels)[None], reach) == (reach >= away)


def boxed():
    """A half-open box ends before its last number: 15 pixels from the pixel at 29, not from that at 30."""
    box = torch.tensor([[10, 20, 30, 40]])
    assert pointing.hits((44, 30), box)
    assert not pointing.hits((44.5, 30), box)
    assert not pointing.hits((45, 30), box)
    assert pointing.hits((-5, 30), box)
    assert not pointing.hits((-6, 30), box)
    assert pointing.hits((20, 54), box)
    assert not pointing.hits((20, 55), box)


def test_a_box_ends_before_its_last_number():
    boxed()


def test_a_box_thinner_than_a_pixel_is_hit_where_it_is():
    assert pointing.hits((10, 5), torch.tensor([[10.3, 5.0, 10.8, 6.0]]), 0.0)


@pytest.mark.parametrize(
    ("point", "truth", "said"),
    [
        ((math.nan, 3.0), segment((1, 1)), "is not a point"),
        ((3.0, math.inf), segment((1, 1)), "is not a point"),
        ((3.0, 3.0), segment(), "no pixel of an instance"),
        ((3.0, 3.0), torch.zeros(0, 4), "no pixel of an instance"),
        ((3.0, 3.0), torch.tensor([[2.0, 2.0, 2.0, 5.0]]), "no pixel of an instance"),
        ((3.0, 3.0), torch.tensor([[2.0, 2.0, torch.nan, 5.0]]), "NaN"),
    ],
)
def test_what_cannot_be_hit_is_refused(point, truth, said):
    for play in (pointing.hits, pointing.touched):
        with pytest.raises(UnseeError, match=said):
            play(point, truth)


def test_what_is_no_instance_or_tolerance_is_refused():
    for truth in (segment((1, 1))[0], torch.zeros(2, 4, dtype=torch.bool), torch.zeros(2, 5)):
        with pytest.raises((UnseeError, TypeCheckError), match="instances"):
            pointing.hits((3.0, 3.0), truth)
    for tolerance in (-1.0, math.nan, math.inf):
        with pytest.raises(UnseeError, match="tolerance"):
            pointing.hits((3.0, 3.0), segment((1, 1)), tolerance)


def picture(*instances, size=(20, 20)):
    return Sample("made up", np.zeros((*size, 3), dtype=np.uint8), None, instances)


def thing(label, box, segmented=True, size=(20, 20)):
    mask = np.zeros(size, dtype=np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return Instance(f"class {label}", label, box, mask if segmented else None)


def hard_pictures():
    """A hundred of 400 pixels are a quarter, which is not less; overlaps count once."""
    company = thing(7, (0, 15, 5, 20))
    assert not pointing.difficult(picture(thing(3, (0, 0, 10, 10)), company), 3)
    assert pointing.difficult(picture(thing(3, (0, 0, 10, 9)), company), 3)
    assert not pointing.difficult(picture(thing(3, (0, 0, 10, 9))), 3)
    assert not pointing.difficult(picture(thing(3, (0, 0, 10, 9)), thing(3, (12, 0, 15, 3))), 3)
    overlapping = thing(3, (0, 0, 10, 9)), thing(3, (0, 1, 10, 9)), company
    assert pointing.difficult(picture(*overlapping), 3)
    apart = thing(3, (0, 0, 10, 9)), thing(3, (12, 0, 15, 4)), company
    assert not pointing.difficult(picture(*apart), 3)
    assert pointing.difficult(picture(*apart), 7)


def test_small_things_in_company_are_difficult():
    hard_pictures()


def hard_shapes():
    """Half a box of 180 pixels is covered: the box would be too large, the segment is not."""
    half = np.zeros((20, 20), dtype=np.bool_)
    half[:18:2, :10] = True
    thin = Instance("class 3", 3, (0, 0, 10, 18), half)
    assert pointing.difficult(picture(thin, thing(7, (12, 15, 17, 20))), 3)


def test_what_counts_is_the_segment():
    hard_shapes()


def test_an_instance_without_a_segment_counts_with_its_box():
    company = thing(7, (0, 15, 5, 20))
    assert pointing.difficult(picture(thing(3, (0, 0, 10, 9), segmented=False), company), 3)
    assert not pointing.difficult(picture(thing(3, (0, 0, 10, 10), segmented=False), company), 3)
    beyond = Instance("class 3", 3, (-40.0, -30.0, -2.0, -1.5))
    assert pointing.difficult(picture(beyond, company), 3)


def test_a_class_that_is_not_there_is_not_difficult():
    with pytest.raises(UnseeError, match="no instance of class 4"):
        pointing.difficult(picture(thing(3, (0, 0, 5, 5))), 4)


HITS = [True, False, True, True, False, False, True]
LABELS = [5, 5, 2, 9, 5, 2, 5]


def precision():
    assert_allclose(mean_precision_of(HITS, LABELS).value, literal.mean_precision(HITS, LABELS))
    assert mean_precision_of([True, False, False, True], [1, 1, 1, 0]).value == pytest.approx(2 / 3)


def test_the_mean_precision_weighs_classes_alike():
    precision()


def test_precisions_are_of_the_classes_that_are_there():
    shares, numbers = pointing.class_precisions(torch.tensor(HITS), torch.tensor(LABELS))
    assert_array_equal(numbers, [2, 4, 1])
    assert_array_equal(shares, [0.5, 0.5, 1.0])
    assert math.isnan(mean_precision_of([], []).value)
    with pytest.raises(UnseeError, match="2 images and 1 class: give one for each"):
        mean_precision_of([True, False], [1])
