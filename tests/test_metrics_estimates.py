"""Values with their errors, against scipy and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

import metrics_literal as literal
from unsee.errors import UnseeError
from unsee.metrics import Estimate, estimates

FEW = settings(max_examples=25, deadline=None, derandomize=True)
NUMBERS = np.random.default_rng(0).gamma(2.0, size=40)
OTHERS = 3 + 0.5 * NUMBERS + np.random.default_rng(1).normal(size=40)


def fields(estimate):
    return [estimate.value, estimate.standard_error, estimate.low, estimate.high]


def means():
    found = estimates.mean_of(NUMBERS.tolist())
    error = stats.sem(NUMBERS)
    assert_allclose(
        fields(found), [NUMBERS.mean(), error, *stats.norm.interval(0.95, NUMBERS.mean(), error)], rtol=1e-12
    )
    assert found.n == 40


def test_a_mean_is_scipys():
    means()


def left_out():
    holes = torch.tensor([1.0, math.nan, 4.0, math.nan])
    assert_allclose(fields(estimates.mean_of(holes))[:2], [2.5, 1.5])
    assert estimates.mean_of(holes).n == 2


def test_nan_is_left_out_and_not_counted():
    left_out()


def test_of_nothing_nothing_is_known():
    for found in (
        estimates.mean_of([]),
        estimates.mean_of([math.nan]),
        estimates.proportion([]),
        estimates.ratio_of([], []),
        estimates.mean_precision_of([], []),
    ):
        assert np.isnan(fields(found)).all()
        assert found.n == 0


def test_a_single_value_has_no_error():
    for found in (estimates.mean_of([3]), estimates.ratio_of([6], [2])):
        assert found.value == 3
        assert np.isnan(fields(found)[1:]).all()
        assert found.n == 1
    one = estimates.proportion([True])
    assert (one.value, one.standard_error, one.high, one.n) == (1.0, 0.0, 1.0, 1)
    assert 0.2 < one.low < 0.21


def proportions():
    for successes, n in ((0, 1), (0, 30), (7, 30), (15, 30), (30, 30), (1, 1), (999, 1000)):
        hits = [True] * successes + [False] * (n - successes)
        found = estimates.proportion(hits)
        interval = stats.binomtest(successes, n).proportion_ci(method="wilson")
        p = successes / n
        assert_allclose(
            fields(found), [p, math.sqrt(p * (1 - p) / n), interval.low, interval.high], rtol=1e-9, atol=1e-12
        )
        assert_allclose([found.low, found.high], literal.wilson(successes, n), rtol=1e-6, atol=1e-7)
        assert found.n == n
        percent = estimates.proportion(torch.tensor(hits), 100)
        assert_allclose(fields(percent), [100 * value for value in fields(found)], rtol=1e-12)


def test_a_proportion_is_scipys_wilson():
    proportions()


@FEW
@given(hits=st.lists(st.booleans(), min_size=1, max_size=50))
def test_wilsons_interval_stays_between_0_and_1_and_holds_the_share(hits):
    found = estimates.proportion(hits)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    other = estimates.proportion([not hit for hit in hits])
    assert_allclose([1 - found.high, 1 - found.low], [other.low, other.high], atol=1e-12)


def ratios():
    found = estimates.ratio_of(OTHERS.tolist(), NUMBERS.tolist())
    value, error = literal.ratio(OTHERS, NUMBERS)
    reach = 1.959963984540054 * error
    assert_allclose(fields(found), [value, error, value - reach, value + reach], rtol=1e-12)
    assert found.n == 40
    flipped = estimates.ratio_of((-OTHERS).tolist(), (-NUMBERS).tolist())
    assert_allclose(fields(flipped), fields(found), rtol=1e-12)
    assert estimates.ratio_of([2, 4, 6], [1, 2, 3]).standard_error == pytest.approx(0, abs=1e-12)


def test_a_ratio_has_the_error_of_the_delta_method():
    ratios()


def test_the_delta_method_is_close_to_the_bootstrap():
    draws = np.random.default_rng(2).integers(0, 40, (4000, 40))
    spread = (OTHERS[draws].mean(axis=1) / NUMBERS[draws].mean(axis=1)).std()
    error = estimates.ratio_of(OTHERS.tolist(), NUMBERS.tolist()).standard_error
    assert error == pytest.approx(spread, rel=0.1)


def test_pairs_that_are_not_whole_are_left_out():
    found = estimates.ratio_of([2, math.nan, 4, 8], [1, 5, 2, math.nan])
    assert (found.value, found.n) == (2.0, 2)
    assert np.isnan(fields(estimates.ratio_of([1, 2], [1, -1]))).all()
    assert estimates.ratio_of([1, 2], [1, -1]).n == 2
    with pytest.raises(UnseeError, match="2 values above, 1 below"):
        estimates.ratio_of([1, 2], [1])


@pytest.mark.parametrize("estimate", [estimates.mean_of, lambda x: estimates.ratio_of(x, [1.0, 2.0])])
def test_infinite_values_are_refused(estimate):
    with pytest.raises(UnseeError, match="infinite"):
        estimate([1.0, math.inf])


def precisions():
    """Two classes, 3 of 4 and 1 of 2: K²/Σ(1/n) is 4/(1/4 + 1/2)."""
    hit, labels = [True, True, False, True, False, True], [1, 1, 1, 1, 8, 8]
    found = estimates.mean_precision_of(hit, labels)
    error = math.sqrt(0.75 * 0.25 / 4 + 0.5 * 0.5 / 2) / 2
    weight = 4 / (1 / 4 + 1 / 2)
    assert_allclose(fields(found), [0.625, error, *literal.wilson(0.625 * weight, weight)], rtol=1e-9)
    assert found.n == 6
    assert_allclose(fields(estimates.mean_precision_of(hit, labels, 100)), [100 * v for v in fields(found)])


def test_a_mean_precision_has_the_error_of_its_classes():
    precisions()


@FEW
@given(hits=st.lists(st.booleans(), min_size=1, max_size=30))
def test_the_precision_of_one_class_is_a_proportion(hits):
    one, plain = estimates.mean_precision_of(hits, [4] * len(hits)), estimates.proportion(hits)
    assert_allclose(fields(one), fields(plain), atol=1e-12)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Five classes of one difficulty, six images each; Wilson's interval holds it in 95 of 100 samples."""
    draws, truth, labels = np.random.default_rng(5), 0.8, [label for label in range(5) for _ in range(6)]
    inside = 0
    for _ in range(600):
        found = estimates.mean_precision_of((draws.random(30) < truth).tolist(), labels)
        inside += found.low <= truth <= found.high
    assert 0.92 < inside / 600 < 0.98


def test_a_chosen_number_has_no_error():
    assert Estimate.exactly(0.35) == Estimate(0.35, 0.0, 0.35, 0.35, 0)
