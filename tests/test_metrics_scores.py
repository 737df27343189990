"""Normalised scores, simple masks, windows round keypoints, insertion and deletion curves."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import metrics_literal as literal
from literal_saliency import softmax
from test_saliency import MEAN, plain_net, wrapped
from unsee.errors import UnseeError
from unsee.explanation import Scores
from unsee.metrics import curves, keypoints, suppression
from unsee.tensors import smooth

FEW = settings(max_examples=25, deadline=None, derandomize=True)
DRAWS = torch.Generator().manual_seed(13)


def scores():
    """As a result's own scores are normalised, also where they explode."""
    rows = [(0.3, 0.9, 0.1), (0.95, 0.9, 0.1), (0.05, 0.9, 0.1), (0.5, 0.2, 0.2), (0.1, 0.2, 0.3)]
    rows += [(0.2, 0.1 + 2e-6, 0.1), (0.2, 0.1 + 9e-7, 0.1)]
    edited, whole, gone = torch.tensor(rows, dtype=torch.float64).T
    expected = [Scores(original=p0, perturbed=p, reference=pb).normalized for p, p0, pb in rows]
    assert np.isnan(expected).tolist() == [False, False, False, True, True, False, True]
    found = suppression.normalised(edited, whole, gone)
    assert found.isnan().tolist() == np.isnan(expected).tolist()
    assert_allclose(found, expected, rtol=1e-9)


def test_scores_are_normalised_as_in_a_result():
    scores()


def test_scores_of_many_edits_share_their_ends():
    edits = torch.rand(4, 3, generator=DRAWS)
    whole, gone = torch.tensor([0.9, 0.8, 0.3]), torch.tensor([0.1, 0.0, 0.3])
    found = suppression.normalised(edits, whole, gone)
    assert_allclose(found[:, 0], (edits[:, 0] - 0.1) / 0.8, rtol=1e-5)
    assert bool(found[:, 2].isnan().all())
    assert not bool(found[:, :2].isnan().any())
    assert suppression.normalised(edits[0], whole[0], gone[0]).shape == (3,)


def test_a_score_that_is_nan_stays_nan():
    bad = torch.tensor([math.nan, 0.5, 0.5])
    assert suppression.normalised(bad, torch.ones(3), torch.zeros(3)).isnan().tolist() == [True, False, False]
    assert suppression.normalised(torch.ones(3), bad, torch.zeros(3)).isnan().tolist() == [True, False, False]


MASK = torch.rand(21, 34, generator=DRAWS, dtype=torch.float64)
ALPHAS = (0.0, 0.05, 0.3, 0.5, 0.95, 1.0)


def simple_masks():
    for sigma in (0.0, 2.0, 10.0):
        found = suppression.binarised(MASK, ALPHAS, sigma)
        assert_array_equal(found, [literal.binarised(MASK.numpy(), alpha, sigma) for alpha in ALPHAS])
    usual = suppression.binarised(MASK, ALPHAS)
    assert_array_equal(usual, suppression.binarised(MASK, ALPHAS, 10.0))


def test_simple_masks_are_the_literal_ones():
    simple_masks()


def sharp_masks():
    """Without a blur: what reaches α after stretching from 0.25…0.75 to 0…1 is kept."""
    mask = torch.tensor([[0.25, 0.5, 0.75]], dtype=torch.float64)
    found = suppression.binarised(mask, (0.0, 0.5, 0.51, 1.0), 0.0)
    assert found[:, 0].tolist() == [
        [True, True, True],
        [False, True, True],
        [False, False, True],
        [False, False, True],
    ]


def test_a_mask_is_stretched_and_cut():
    sharp_masks()


@FEW
@given(seed=st.integers(0, 99), sigma=st.sampled_from([0.0, 3.0, 10.0]))
def test_simple_masks_delete_more_as_the_threshold_rises(seed, sigma):
    mask = torch.rand(2, 12, 9, generator=torch.Generator().manual_seed(seed))
    before = mask.clone()
    found = suppression.binarised(mask, ALPHAS, sigma)
    assert torch.equal(mask, before)
    assert found.shape == (2, len(ALPHAS), 12, 9)
    assert bool(found[:, 0].all())
    assert bool((found[:, 1:] <= found[:, :-1]).all())
    for row, one in zip(found, mask, strict=True):
        assert torch.equal(row, suppression.binarised(one, ALPHAS, sigma))


def flat_masks():
    """Keeping all or nothing, they are not stretched into noise."""
    for value, kept in ((1.0, 6), (0.0, 1), (0.5, 4)):
        found = suppression.binarised(torch.full((30, 20), value), ALPHAS)
        assert found.flatten(1).all(dim=1).tolist() == [True] * kept + [False] * (6 - kept)
        assert found.flatten(1).any(dim=1).tolist() == [True] * kept + [False] * (6 - kept)


def test_a_constant_mask_is_cut_as_it_is():
    flat_masks()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_mask_that_is_not_finite_is_refused(value):
    with pytest.raises(UnseeError, match="NaN or infinite"):
        suppression.binarised(torch.tensor([[0.0, value]]), ALPHAS)
    with pytest.raises(UnseeError, match="thresholds must be finite"):
        suppression.binarised(MASK, (0.5, value))


SALIENCY = torch.rand(14, 19, generator=DRAWS, dtype=torch.float64)
POINTS = [(0, 0), (55.5, 41.5), (-0.5, -0.5), (28, 21), (3.3, 38.9), (51.0, 2.0), (29.94, 10.49), (10, 40)]


def windows():
    for saliency, size in ((SALIENCY, (42, 56)), (SALIENCY, (14, 19)), (SALIENCY[:3, :4], (42, 56))):
        points = [(x, y) for x, y in POINTS if x <= size[1] - 0.5 and y <= size[0] - 0.5]
        found = keypoints.around_keypoints(saliency, points, size)
        expected = [literal.around(saliency.numpy(), point, size, 5) for point in points]
        assert_allclose(found, expected, rtol=1e-12)
    wide = keypoints.around_keypoints(SALIENCY, POINTS, (42, 56), window=1)
    assert_allclose(wide, [literal.around(SALIENCY.numpy(), point, (42, 56), 1) for point in POINTS])


def test_windows_are_the_literal_ones():
    windows()


def known_windows():
    """Five by five in the middle, three by three in a corner, five by three at a side."""
    count = torch.zeros(9, 11)
    count[0, 0] = count[4, 5] = count[8, 5] = 1
    found = keypoints.around_keypoints(count, torch.tensor([[5, 4], [0, 0], [5, 8], [5, 1]]), (9, 11))
    assert_allclose(found, [1 / 25, 1 / 9, 1 / 15, 0.0], rtol=1e-12)
    # On an image of twice the size, the centre of the map's column 5 lies between pixels 10 and 11.
    found = keypoints.around_keypoints(count, [(10, 8), (11, 9), (7, 4), (4, 8)], (18, 22), window=1)
    assert_allclose(found, [1, 1, 0, 0])


def test_windows_of_known_maps():
    known_windows()


def test_no_keypoint_has_no_window():
    assert keypoints.around_keypoints(SALIENCY, [], (42, 56)).shape == (0,)


@FEW
@given(value=st.floats(-5, 5), x=st.floats(-0.5, 55.5), y=st.floats(-0.5, 41.5))
def test_a_constant_map_is_its_value_everywhere(value, x, y):
    saliency = torch.full((7, 5), value, dtype=torch.float64)
    assert_allclose(keypoints.around_keypoints(saliency, [(x, y)], (42, 56)), [value], atol=1e-12)


@pytest.mark.parametrize(
    ("points", "window", "said"),
    [
        ([(3.0, 3.0), (56.0, 3.0)], 5, r"\(56, 3\) lies outside"),
        ([(3.0, -0.6)], 5, "lies outside"),
        ([(math.nan, 3.0)], 5, "lies outside"),
        ([(3.0, 3.0)], 4, "must be odd"),
        ([(3.0, 3.0)], -1, "must be odd"),
    ],
)
def test_a_window_that_is_none_is_refused(points, window, said):
    with pytest.raises(UnseeError, match=said):
        keypoints.around_keypoints(SALIENCY, points, (42, 56), window)


def test_windows_of_a_map_that_is_not_finite_are_refused():
    with pytest.raises(UnseeError, match="NaN or infinite"):
        keypoints.around_keypoints(torch.tensor([[0.0, math.nan]]), [(0, 0)], (1, 2))


PICTURES = torch.rand(3, 3, 8, 9, generator=DRAWS, dtype=torch.float64)
OTHERS = torch.rand(3, 3, 8, 9, generator=DRAWS, dtype=torch.float64)
COARSE = (3 * torch.rand(3, 4, 5, generator=DRAWS, dtype=torch.float64)).clamp(max=1)
FINE = torch.randn(3, 8, 9, generator=DRAWS, dtype=torch.float64)
TARGETS = [(4,), (0, 2), (5,)]


def summed(net, classes):
    def score(picture):
        logits = net.logits(torch.from_numpy(picture)[None])[0].detach().numpy()
        return float(softmax(logits)[list(classes)].sum())

    return score


def agree(curve, firsts, lasts, saliency, steps):
    net = wrapped(plain_net())
    for row, classes in enumerate(TARGETS):
        shares, found, area = literal.curve(
            summed(net, classes), firsts[row].numpy(), lasts[row].numpy(), saliency[row].numpy(), steps
        )
        assert_allclose(curve.shares, shares, rtol=1e-12)
        assert_allclose(curve.scores[row], found, rtol=1e-9)
        assert_allclose(curve.area[row], area, rtol=1e-9)
        assert np.ptp(found) > 0.005


def deleted():
    net = wrapped(plain_net())
    colored = torch.tensor(MEAN, dtype=torch.float64)[:, None, None].expand_as(PICTURES)
    for saliency, steps in ((COARSE, 7), (FINE, 1)):
        agree(curves.deletion(net, PICTURES, saliency, TARGETS, steps), PICTURES, colored, saliency, steps)


def test_deletion_is_the_literal_loop():
    deleted()


def test_deletion_pixel_by_pixel_to_a_picture_of_ones_own():
    net, black = wrapped(plain_net()), torch.zeros_like(PICTURES)
    agree(curves.deletion(net, PICTURES, FINE, TARGETS, 72, black), PICTURES, black, FINE, 72)


def inserted():
    net = wrapped(plain_net())
    blurred = smooth(PICTURES, 5.0, 5)
    for saliency, steps in ((COARSE, 7), (FINE, 5)):
        agree(curves.insertion(net, PICTURES, saliency, TARGETS, steps), blurred, PICTURES, saliency, steps)


def test_insertion_is_the_literal_loop():
    inserted()


def test_insertion_into_a_picture_of_ones_own():
    net = wrapped(plain_net())
    agree(curves.insertion(net, PICTURES, FINE, TARGETS, 9, OTHERS), OTHERS, PICTURES, FINE, 9)


def test_one_way_is_the_other_backwards():
    """Deleting the least salient first is inserting, read from its end."""
    net = wrapped(plain_net())
    there = curves.deletion(net, PICTURES, FINE, TARGETS, 9, OTHERS)
    back = curves.insertion(net, PICTURES, -FINE, TARGETS, 9, OTHERS)
    assert_allclose(there.scores, back.scores.flip(1), rtol=1e-12)
    assert_allclose(there.area, back.area, rtol=1e-12)


def test_a_batch_of_curves_is_its_single_curves():
    net, before = wrapped(plain_net()), COARSE.clone()
    together = curves.insertion(net, PICTURES, COARSE, TARGETS, 11)
    assert torch.equal(COARSE, before)
    for row in range(3):
        one = slice(row, row + 1)
        alone = curves.insertion(net, PICTURES[one], COARSE[one], TARGETS[one], 11)
        assert_allclose(alone.scores[0], together.scores[row], rtol=1e-12)


def plateaus():
    """Resizing leaves equal values equal, so they keep the order of their places."""
    saliency = torch.full((1, 7, 5), 0.3)
    saliency[0, -1, -1] = 0.1
    found = curves.pixel_ranks(saliency, (40, 31))[0, :20].flatten()
    assert found.tolist() == list(range(20 * 31))


def test_a_plateau_is_not_ordered_by_rounding():
    plateaus()


def test_pixels_that_tie_go_row_by_row():
    """A constant map exchanges the upper half first."""
    net = wrapped(plain_net())
    half = PICTURES.clone()
    half[:, :, :4] = OTHERS[:, :, :4]
    found = curves.deletion(net, PICTURES, torch.ones(3, 2, 2), TARGETS, 2, OTHERS)
    for row, classes in enumerate(TARGETS):
        assert_allclose(found.scores[row, 1], summed(net, classes)(half[row].numpy()), rtol=1e-9)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"steps": 0}, "1 to 72 steps"),
        ({"steps": 73}, "1 to 72 steps"),
        ({"targets": [(4,)]}, "as many images as maps and targets"),
        ({"targets": [(4,), (6,), (1,)]}, "which has classes 0 to 5"),
        ({"targets": [(4,), (-1,), (1,)]}, "which has classes 0 to 5"),
        ({"targets": [(4,), (), (1,)]}, "which has classes 0 to 5"),
        ({"saliency": FINE.clone().index_fill_(2, torch.tensor(3), torch.nan)}, "NaN or infinite"),
    ],
)
def test_a_curve_that_makes_no_sense_is_refused(changed, said):
    asked = {"images": PICTURES, "saliency": FINE, "targets": TARGETS, "steps": 3} | changed
    for play in (curves.deletion, curves.insertion):
        with pytest.raises(UnseeError, match=said):
            play(wrapped(plain_net()), **asked)


def test_the_network_is_given_back_as_it_was():
    net = plain_net().train()
    curves.deletion(wrapped(net), PICTURES, FINE, TARGETS, 3)
    assert net.training
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())
