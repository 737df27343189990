"""The log-odds of a probability: what they are, and that they keep a gradient where it rounds to 0 or 1."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unsee.masks.objective import log_odds_of
from unsee.masks.scoring import Scored
from unsee.target_scores import logit_score, softmax_log_odds, softmax_score


def marks(targets, classes=5, dtype=torch.float32):
    """One row of a batch, 1 for each target class."""
    row = torch.zeros(1, classes, dtype=dtype)
    row[0, list(targets)] = 1
    return row


def with_gradient(logits, targets):
    """The log-odds of one image and their gradient at its logits, in float32."""
    free = torch.tensor([logits], requires_grad=True)
    odds = softmax_log_odds(free, marks(targets, len(logits)))
    return float(odds.detach()), torch.autograd.grad(odds.sum(), free)[0][0]


class TestOfOneScore:
    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(
        logits=st.lists(st.floats(-5, 5), min_size=5, max_size=5),
        targets=st.sets(st.integers(0, 4), min_size=1, max_size=4),
    )
    def test_they_are_the_logit_of_the_summed_probabilities(self, logits, targets):
        given_logits = torch.tensor([logits], dtype=torch.float64)
        chosen = marks(targets, dtype=torch.float64)
        found = softmax_log_odds(given_logits, chosen)
        expected = torch.logit(softmax_score(given_logits, chosen))
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize(
        ("targets", "score", "expected", "gradient"),
        [
            ((0,), 1.0, 200 - math.log(3), [1, -1 / 3, -1 / 3, -1 / 3]),
            ((1,), 0.0, -200, [-1, 1, 0, 0]),
            ((1, 2), 0.0, math.log(2) - 200, [-1, 0.5, 0.5, 0]),
            ((0, 3), 1.0, 200 - math.log(2), [1, -0.5, -0.5, 0]),
        ],
    )
    def test_where_the_probability_rounds_they_are_finite_and_have_a_gradient(
        self, targets, score, expected, gradient
    ):
        logits = [200.0, 0.0, 0.0, 0.0]
        assert float(softmax_score(torch.tensor([logits]), marks(targets, 4))) == score
        found, derivative = with_gradient(logits, targets)
        assert found == pytest.approx(expected, rel=1e-6)
        assert derivative.tolist() == pytest.approx(gradient, abs=1e-6)

    @pytest.mark.parametrize(("targets", "sign"), [((0, 1, 2, 3), 1), ((), -1)])
    def test_where_every_class_is_a_target_or_none_they_are_finite(self, targets, sign):
        found, derivative = with_gradient([3.0, -2.0, 0.5, 200.0], targets)
        assert math.isfinite(found)
        assert sign * found > 1e5
        assert bool(derivative.isfinite().all())

    def test_a_score_that_is_no_probability_has_none(self):
        assert log_odds_of(softmax_score) is softmax_log_odds
        assert log_odds_of(logit_score) is None


def of(*odds, dtype=torch.float64):
    """Scores of some edits with these log-odds, one image, and the tensors that they come from."""
    free = [torch.tensor([value], dtype=dtype, requires_grad=True) for value in odds]
    return [Scored(value.sigmoid(), value) for value in free], free


class TestOfSeveralEdits:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(odds=st.lists(st.floats(-20, 20), min_size=1, max_size=4))
    def test_they_are_those_of_the_mean_probability(self, odds):
        parts, free = of(*odds)
        summed = Scored.summed(parts)
        again = len(odds) * summed.log_odds.sigmoid()
        assert torch.allclose(again, summed.values, rtol=1e-9, atol=0)
        assert torch.allclose(summed.values, sum(part.values for part in parts), rtol=1e-12, atol=0)
        expected = torch.stack(torch.autograd.grad(summed.values.sum(), free, retain_graph=True))
        found = torch.stack(torch.autograd.grad(again.sum(), free))
        assert torch.allclose(found, expected, rtol=1e-6, atol=1e-14)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_where_all_probabilities_round_they_keep_a_gradient(self, sign):
        parts, free = of(sign * 200.0, sign * 202.0, dtype=torch.float32)
        assert [part.values.tolist() for part in parts] in ([[1], [1]], [[0], [0]])
        odds = Scored.summed(parts).log_odds
        rarer = math.exp(-200) * (1 + math.exp(-2)) / 2
        assert sign * float(odds.detach()) == pytest.approx(-math.log(rarer), rel=1e-6)
        first, second = (float(derivative) for derivative in torch.autograd.grad(odds.sum(), free))
        assert (first, second) == pytest.approx((1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))), rel=1e-4)

    def test_other_scores_have_none(self):
        values = torch.tensor([1.0, 2.0])
        summed = Scored.summed([Scored(values, None), Scored(values, None)])
        assert summed.log_odds is None
        assert summed.values.tolist() == [2, 4]
