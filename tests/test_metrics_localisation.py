"""Boxes at each threshold and what they overlap with, against slow versions and public ones."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pycocotools import mask as coco_masks
from torchvision.ops import box_iou

import metrics_literal as literal
from unsee.errors import UnseeError
from unsee.metrics import ENERGY_ALPHAS, MEAN_ALPHAS, VALUE_ALPHAS, localisation
from unsee.tensors import tightest_box

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools'

FEW = settings(max_examples=25, deadline=None, derandomize=True)
RULES = ("value", "energy", "mean")
DRAWS = torch.Generator().manual_seed(11)
MAPS = {
    "random": (torch.randn(7, 5, generator=DRAWS, dtype=torch.float64), (30, 23)),
    "one sign": (torch.rand(6, 9, generator=DRAWS, dtype=torch.float64) ** 4, (17, 40)),
    "partly negative": (torch.rand(8, 8, generator=DRAWS, dtype=torch.float64) ** 6 - 0.05, (32, 20)),
    "steps": (torch.minimum(torch.arange(5.0)[:, None], torch.arange(9.0)) * 0.25 - 0.25, (15, 27)),
    "finer than the image": (torch.rand(20, 31, generator=DRAWS, dtype=torch.float64) ** 8, (9, 13)),
    "single precision": (torch.rand(6, 6, generator=DRAWS), (24, 24)),
}


def boxes_by(rule):
    """All boxes are the literal ones."""
    for saliency, size in MAPS.values():
        alphas = (0.0, 0.1, 0.25, 0.5, 0.75, 0.95, 1.0) + (1.5, 3.0, 5.0) * (rule == "mean")
        found = localisation.boxes_at(saliency, size, rule, alphas)
        exact = saliency.double().numpy()
        assert_array_equal(found, [literal.box_at(exact, size, rule, alpha) for alpha in alphas])


@pytest.mark.parametrize("rule", RULES)
def test_boxes_are_the_literal_ones(rule):
    boxes_by(rule)


def usual_grids():
    assert VALUE_ALPHAS == ENERGY_ALPHAS == tuple(step / 20 for step in range(20))
    assert tuple(step / 2 for step in range(21)) == MEAN_ALPHAS
    for rule, alphas in zip(RULES, (VALUE_ALPHAS, ENERGY_ALPHAS, MEAN_ALPHAS), strict=True):
        saliency, size = MAPS["one sign"]
        given = localisation.boxes_at(saliency, size, rule, alphas)
        assert localisation.boxes_at(saliency, size, rule).tolist() == given.tolist()


def test_the_grids_are_those_of_the_paper():
    usual_grids()


def one_cell():
    """A cell lends to the pixels up to its neighbours' centres, and in a corner up to the border."""
    hot = torch.zeros(7, 7)
    hot[3, 3] = 1
    corner = torch.zeros(7, 7)
    corner[0, 6] = 1
    for rule in RULES:
        assert localisation.boxes_at(hot, (224, 224), rule, [0.5]).tolist() == [[80, 80, 144, 144]]
        assert localisation.boxes_at(corner, (224, 224), rule, [0.5]).tolist() == [[176, 0, 224, 48]]


def test_a_box_round_one_cell_is_known():
    one_cell()


def same_size():
    """At the image's own size nothing is added."""
    hot = torch.zeros(6, 9)
    hot[1, 3:6] = torch.tensor([2.0, 3.0, 2.0])
    assert localisation.boxes_at(hot, (6, 9), "value", [0.5, 0.7]).tolist() == [[3, 1, 6, 2], [4, 1, 5, 2]]


def test_a_box_at_the_pictures_own_size_is_known():
    same_size()


def known_cuts():
    """Of 8, 4, 2, 1, 1 and a -3 that counts for nothing half is one value, three quarters are two."""
    row = torch.tensor([[1.0, 4.0, 8.0, 2.0, 1.0, -3.0]])
    widths = [
        box[2] - box[0]
        for box in localisation.boxes_at(row, (1, 6), "energy", [0.0, 0.5, 0.75, 1.0]).tolist()
    ]
    assert widths == [1, 1, 2, 5]
    above = torch.tensor([[0.0, 1.0, 2.0, 5.0]])  # the mean is 2
    assert localisation.boxes_at(above, (1, 4), "mean", [0.0, 0.5, 1.0, 2.5, 3.0]).tolist() == [
        [0, 0, 4, 1],
        [1, 0, 4, 1],
        [2, 0, 4, 1],
        [3, 0, 4, 1],
        [0, 0, 4, 1],
    ]


def test_known_rows_are_cut_where_they_should_be():
    known_cuts()


@pytest.mark.parametrize("value", [-2.0, 0.0, 0.3, 5.0])
@pytest.mark.parametrize("rule", RULES)
def test_a_constant_map_gives_the_whole_picture(rule, value):
    boxes = localisation.boxes_at(torch.full((5, 7), value), (40, 30), rule)
    assert boxes.tolist() == [[0, 0, 30, 40]] * len(boxes)


def test_a_map_without_a_value_above_0_has_no_energy():
    boxes = localisation.boxes_at(-torch.rand(5, 7, generator=DRAWS), (40, 30), "energy")
    assert boxes.tolist() == [[0, 0, 30, 40]] * len(boxes)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("rule", RULES)
def test_a_map_that_is_not_finite_has_no_box(rule, value):
    saliency = torch.rand(4, 4, generator=DRAWS)
    saliency[1, 2] = value
    with pytest.raises(UnseeError, match="NaN or infinite"):
        localisation.boxes_at(saliency, (8, 8), rule)


def test_a_map_or_picture_without_values_has_no_box():
    with pytest.raises(UnseeError, match="no values"):
        localisation.boxes_at(torch.zeros(0, 4), (8, 8), "value")
    with pytest.raises(UnseeError, match="cannot have"):
        localisation.boxes_at(torch.zeros(4, 4), (8, 0), "value")


@pytest.mark.parametrize(
    ("rule", "alphas", "said"),
    [
        ("median", [0.5], "choose from value, energy, mean"),
        ("value", [0.5, 1.1], "up to 1"),
        ("energy", [-0.1], "at least 0"),
        ("mean", [torch.inf], "finite"),
        ("value", [torch.nan], "finite"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(rule, alphas, said):
    with pytest.raises(UnseeError, match=said):
        localisation.boxes_at(torch.eye(3), (9, 9), rule, alphas)


SIDES = st.integers(1, 9)
PICTURES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def maps(draw, low=-8, high=8):
    """Maps of whole numbers, with many ties."""
    height, width = draw(SIDES), draw(SIDES)
    values = draw(st.lists(st.integers(low, high), min_size=height * width, max_size=height * width))
    return torch.tensor(values, dtype=torch.float32).reshape(height, width)


@pytest.mark.parametrize("rule", RULES)
@FEW
@given(saliency=maps(), size=PICTURES)
def test_a_box_never_leaves_the_picture_and_holds_a_pixel(rule, saliency, size):
    before = saliency.clone()
    left, top, right, bottom = localisation.boxes_at(saliency, size, rule).T
    assert bool(((left >= 0) & (left < right) & (right <= size[1])).all())
    assert bool(((top >= 0) & (top < bottom) & (bottom <= size[0])).all())
    assert torch.equal(saliency, before)


def holds(outer, inner):
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


@pytest.mark.parametrize("rule", RULES)
@FEW
@given(saliency=maps(low=0), larger=st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_boxes_are_nested_as_the_threshold_moves(rule, saliency, larger):
    """Higher thresholds give smaller boxes by value and mean, until nothing is left, and larger by energy."""
    size = (saliency.shape[0] + larger[0], saliency.shape[1] + larger[1])
    boxes = localisation.boxes_at(saliency, size, rule)
    if rule == "energy":
        boxes = boxes.flip(0)
    if rule == "mean":
        left = [bool((saliency.double() >= a * saliency.double().mean()).any()) for a in MEAN_ALPHAS]
        boxes = boxes[: sum(left)]
    assert all(holds(outer, inner) for outer, inner in pairwise(boxes))


@pytest.mark.parametrize("rule", RULES)
@FEW
@given(saliency=maps(), size=PICTURES)
def test_a_mirrored_map_gives_the_mirrored_box(rule, saliency, size):
    left, top, right, bottom = localisation.boxes_at(saliency, size, rule).T
    flipped = localisation.boxes_at(saliency.flip(1), size, rule)
    assert torch.equal(flipped, torch.stack([size[1] - right, top, size[1] - left, bottom], dim=1))
    turned = localisation.boxes_at(saliency.T.contiguous(), size[::-1], rule)
    assert torch.equal(turned, torch.stack([top, left, bottom, right], dim=1))


@FEW
@given(saliency=maps(), size=PICTURES, alpha=st.integers(0, 8).map(lambda eighths: eighths / 8))
def test_marks_are_brought_to_the_picture_as_torch_does(saliency, size, alpha):
    """Up to what rounding leaves of a cell that lends nothing."""
    low, high = saliency.aminmax()
    marks = (saliency - low >= alpha * (high - low)).double()
    large = torch.nn.functional.interpolate(marks[None, None], size, mode="bilinear", align_corners=False)
    found = localisation.boxes_at(saliency, size, "value", [alpha])
    assert tuple(found[0].tolist()) == tightest_box(large[0, 0] > 1e-9)


@FEW
@given(saliency=maps(), size=PICTURES, add=st.integers(-5, 5))
def test_units_do_not_matter(saliency, size, add):
    """Nor, by value, does where the zero is."""
    for rule in RULES:
        again = localisation.boxes_at(4 * saliency, size, rule)
        assert torch.equal(again, localisation.boxes_at(saliency, size, rule))
    shifted = localisation.boxes_at(saliency + add, size, "value")
    assert torch.equal(shifted, localisation.boxes_at(saliency, size, "value"))


BOXES = torch.tensor(
    [
        [0, 0, 4, 4],
        [2, 1, 9, 6],
        [3, 3, 4, 4],
        [4, 0, 8, 4],
        [5, 2, 5, 9],
        [-3, -4, 20, 25],
        [2, 1, 9, 6],
        [12, 11, 15, 13],
    ]
)


def overlaps():
    """Pixels are counted one by one; boxes of whole pixels that touch share none."""
    found = localisation.iou(BOXES, BOXES.double())
    assert_allclose(found, [[literal.iou(one, two) for two in BOXES.tolist()] for one in BOXES.tolist()])


def test_overlaps_are_the_literal_ones():
    overlaps()


def draw_boxes(seed, count):
    draws = np.random.default_rng(seed)
    corners = draws.uniform(-20, 80, (count, 2))
    return np.concatenate([corners, corners + draws.uniform(1, 70, (count, 2))], axis=1)


def public_overlaps():
    one, two = draw_boxes(0, 40), draw_boxes(1, 30)
    found = localisation.iou(torch.from_numpy(one), torch.from_numpy(two))
    assert_allclose(found, box_iou(torch.from_numpy(one), torch.from_numpy(two)), rtol=1e-12)
    sized = [np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1) for boxes in (one, two)]
    assert_allclose(found, coco_masks.iou(*sized, [0] * len(two)), rtol=1e-9, atol=1e-12)


def test_overlaps_are_torchvisions_and_cocos():
    public_overlaps()


def mask_overlaps():
    """Half-open boxes of whole pixels overlap as the masks of their pixels do."""
    whole = [[3, 4, 20, 11], [0, 0, 30, 25], [10, 10, 11, 25], [19, 4, 30, 11]]
    masks = []
    for left, top, right, bottom in whole:
        mask = np.zeros((25, 30), dtype=np.uint8, order="F")
        mask[top:bottom, left:right] = 1
        masks.append(coco_masks.encode(mask))
    found = localisation.iou(torch.tensor(whole), torch.tensor(whole))
    assert_allclose(found, coco_masks.iou(masks, masks, [0] * len(masks)), rtol=1e-12)


def test_overlaps_are_those_of_masks():
    mask_overlaps()


PLACES = st.floats(-1e4, 1e4)
SIZES = st.floats(0, 1e4)


@st.composite
def boxes_of_any_kind(draw):
    rows = draw(st.lists(st.tuples(PLACES, PLACES, SIZES, SIZES), min_size=1, max_size=4))
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in rows], dtype=torch.float64)


@FEW
@given(one=boxes_of_any_kind(), two=boxes_of_any_kind())
def test_an_overlap_is_symmetric_and_from_0_to_1(one, two):
    found = localisation.iou(one, two)
    assert torch.equal(found, localisation.iou(two, one).T)
    assert bool(((found >= 0) & (found <= 1)).all())
    whole = ((one[:, 2:] - one[:, :2]).prod(dim=1) > 0).double()
    assert torch.equal(localisation.iou(one, one).diagonal(), whole)


def found_boxes():
    """The best of the true boxes counts, and one half is enough."""
    truths = torch.tensor([[0, 0, 10, 10], [100, 100, 110, 120]])
    boxes = torch.tensor([[0, 0, 10, 20], [0, 0, 10, 21], [101, 100, 110, 120], [50, 50, 60, 60]])
    assert localisation.localised(boxes, truths).tolist() == [True, False, True, False]
    assert localisation.localised(boxes, truths, 0.91).tolist() == [False] * 4


def test_a_box_is_localised_by_its_best_overlap():
    found_boxes()


def test_nothing_is_localised_where_nothing_is_true():
    with pytest.raises(UnseeError, match="no true box"):
        localisation.localised(BOXES, torch.zeros(0, 4))


@pytest.mark.parametrize(
    ("box", "said"),
    [([0.0, 0.0, torch.nan, 4.0], "NaN"), ([0.0, 0.0, torch.inf, 4.0], "inf"), ([5, 5, 2, 9], "x, y, w, h")],
)
def test_a_box_that_is_none_is_refused(box, said):
    with pytest.raises(UnseeError, match=said):
        localisation.iou(BOXES, torch.tensor([box]))
