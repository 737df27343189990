"""The model of the score: a Gaussian process checked against its formulas written out, and its link."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from torch import Tensor

from analytic import blob, quadratic
from unsee.masks.game import PRESERVATION
from unsee.masks.objective import Objective
from unsee.masks.optimisers import score_model
from unsee.masks.optimisers.random_masks import smooth_random_masks
from unsee.masks.optimisers.score_model import Features, ScoreModel, choices_near, cosines
from unsee.masks.optimisers.search import Known, Link, Search, State
from unsee.tensors import generator

CELLS, WAVES = (7, 9), 6
PLACES = torch.arange(40) % 5
SHARED = 4.0
"""Variance that the evaluations at one place share, against that of the noise."""


def masks_of(count: int, seed: int = 0) -> Tensor:
    return smooth_random_masks(count, CELLS, generator(seed, 0))


def fitted(
    count: int = 1, noise: float = 0.0, choice: int | None = None, seed: int = 0
) -> tuple[ScoreModel, Tensor, Tensor]:
    """A model of 40 evaluations of a smooth log-odds, with the masks and their values."""
    masks = masks_of(40)
    draws = torch.Generator().manual_seed(5)
    values = quadratic(masks, 0) + noise * torch.randn(40, generator=draws).double()
    features = Features.near(masks[7], 1.0, WAVES)
    choices = choices_near(None) if choice is None else (choice,)
    model = ScoreModel.fitted(features, masks, values, PLACES, count, generator(seed, 1), choices)
    return model, masks, values


def kernel(some: np.ndarray, others: np.ndarray, length: float) -> np.ndarray:
    return np.exp(-((some[:, None] - others[None]) ** 2).sum(axis=2) / (2 * length))


def written_out(model: ScoreModel, masks: Tensor, values: Tensor) -> tuple[float, float, np.ndarray, float]:
    """The most likely mean and variance, the unscaled covariance, and the likelihood: all by the book."""
    seen, asked = model.features.of(masks).numpy(), values.numpy()
    ratio = score_model._NOISES[model.choice % len(score_model._NOISES)]
    same = (PLACES[:, None] == PLACES).numpy()
    unit = kernel(seen, seen, model.length) + ratio * (np.eye(len(seen)) + SHARED * same)
    inverse = np.linalg.inv(unit)
    mean = inverse.sum(axis=0) @ asked / inverse.sum()
    variance = (asked - mean) @ inverse @ (asked - mean) / len(asked)
    likely = multivariate_normal(np.full(len(asked), mean), variance * unit).logpdf(asked)
    return float(mean), float(variance), unit, float(likely)


def mean_by_the_book() -> None:
    model, masks, values = fitted(noise=0.1)
    mean, variance, unit, _ = written_out(model, masks, values)
    others = masks_of(20, seed=3)
    near = kernel(model.features.of(others).numpy(), model.features.of(masks).numpy(), model.length)
    assert_allclose(model.mean, mean, rtol=1e-8)
    ratio = score_model._NOISES[model.choice % len(score_model._NOISES)]
    errors = np.linalg.solve(unit, values.numpy() - mean)
    shared = [ratio * SHARED * errors[PLACES.numpy() == place].sum() for place in range(5)]
    noise = math.sqrt(1.5 * variance * ratio)
    expected = np.add.outer(shared, [-noise, 0.0, noise]).ravel()
    assert_allclose(model.shifts, expected, rtol=1e-5, atol=1e-7)
    expected = mean + near @ np.linalg.solve(unit, values.numpy() - mean)
    assert_allclose(model.means(others), expected, rtol=1e-6, atol=1e-8)


def spread_by_the_book() -> None:
    """Samples have the posterior's mean and variance, up to 2,000 draws of 512 waves."""
    count = 2000
    model, masks, values = fitted(count)
    _, variance, unit, _ = written_out(model, masks, values)
    far = masks_of(6, seed=8)
    near = kernel(model.features.of(far).numpy(), model.features.of(masks).numpy(), model.length)
    expected = np.sqrt(variance * (1 - np.einsum("ij,ji->i", near, np.linalg.solve(unit, near.T))))
    for mask, mean, deviation in zip(far, model.means(far), expected, strict=True):
        drawn, _ = model.samples(mask.expand(count, *CELLS))
        assert_allclose(drawn[0], mean, rtol=1e-9, atol=1e-9)
        assert_allclose(drawn[1:].std(), deviation, rtol=0.15)
        assert_allclose(drawn[1:].mean(), mean, rtol=0, atol=0.15 * deviation)


def gradient_of_samples() -> None:
    model, _, _ = fitted(4)
    asked = masks_of(4, seed=2).requires_grad_()
    values, gradient = model.samples(asked)
    (expected,) = torch.autograd.grad(values.sum(), asked)
    assert_allclose(gradient.detach(), expected, rtol=1e-9, atol=1e-11)
    asked = asked.detach()
    for number in range(4):
        step = torch.zeros_like(asked)
        step[number, 3, number] = 1e-5
        above, below = (model.samples(asked + side)[0] for side in (step, -step))
        assert_allclose(
            (above - below)[number] / 2e-5, gradient[number, 3, number].detach(), rtol=1e-5, atol=1e-8
        )


@pytest.mark.parametrize("compare", [mean_by_the_book, spread_by_the_book, gradient_of_samples])
def test_the_process_is_the_books(compare):
    compare()


def test_the_length_and_the_noise_are_the_most_likely_ones():
    for noise in (0.0, 0.5):
        likely = []
        for choice in choices_near(None):
            model, masks, values = fitted(noise=noise, choice=choice)
            assert model.choice == choice
            likely.append(written_out(model, masks, values)[3])
        found, _, _ = fitted(noise=noise)
        assert found.choice == int(np.argmax(likely))


def test_noise_is_told_from_the_score():
    assert 1.5 * noise_of(fitted(noise=0.0)[0]) < noise_of(fitted(noise=1.0)[0])


def noise_of(model: ScoreModel) -> float:
    """The standard deviation of the noise: shifts come in threes, less and more it."""
    low, _, high = model.shifts[:3].tolist()
    return (high - low) / (2 * math.sqrt(1.5))


def test_what_evaluations_at_one_place_share_is_told_from_the_score():
    masks, moved = masks_of(40), torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0], dtype=torch.float64)
    features = Features.near(masks[7], 1.0, WAVES)
    values = quadratic(masks, 0) + moved[PLACES]
    model = ScoreModel.fitted(features, masks, values, PLACES, 1, generator(0, 1), choices_near(None))
    assert_allclose(model.shifts.view(5, 3).mean(dim=1), moved, atol=0.5)
    assert float((model.means(masks) - quadratic(masks, 0)).abs().mean()) < 0.3


def test_the_next_choice_is_near_the_last():
    assert choices_near(0) == (0, 5, 1)
    assert sorted(choices_near(12)) == [7, 11, 12, 13, 17]
    assert len(choices_near(None)) == 25


def test_the_mean_is_close_to_what_was_evaluated_and_predicts_what_was_not():
    model, masks, values = fitted()
    assert float((model.means(masks) - values).abs().max()) < 4 * noise_of(model) + 0.1
    others = masks_of(30, seed=4)
    truth = quadratic(others, 0)
    assert float((model.means(others) - truth).abs().mean()) < 0.2 * float(
        (truth - truth.mean()).abs().mean()
    )


def test_samples_differ_less_near_an_evaluation_than_far_from_all():
    model, masks, _ = fitted(200)
    far = masks[0] + 10 * (masks[1] - masks[0])
    here, there = (model.samples(mask.expand(200, *CELLS))[0][1:].std() for mask in (masks[3], far))
    assert 3 * float(here) < float(there)


def test_samples_are_drawn_from_the_seed():
    first, again, other = (fitted(5, seed=seed)[0].samples(masks_of(5, seed=9))[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert first[0] == pytest.approx(float(other[0]), rel=1e-9)
    assert not bool(torch.isclose(first[1:], other[1:]).any())


def test_evaluations_that_are_all_alike_are_a_constant():
    masks = masks_of(10)
    features = Features.near(masks[0], 1.0, WAVES)
    for values in (torch.zeros(10).double(), torch.full((10,), 3.0).double()):
        places = torch.zeros(10, dtype=torch.long)
        model = ScoreModel.fitted(features, masks, values, places, 3, generator(0, 0), choices_near(None))
        found, gradient = model.samples(masks[:3])
        assert_allclose(found, values[:3], atol=1e-4)
        assert float(gradient.abs().max()) < 1e-3


def evaluated(link: Link, scores: Tensor) -> Known:
    """Evaluations with these scores."""
    count = len(scores)
    places = torch.zeros(count, dtype=torch.long)
    return Known(masks_of(count), scores, torch.linspace(0, 1, count).double(), places, link)


def costs_of_evaluations() -> None:
    """The penalties and the score's term; no mask whose score is not finite is the best."""
    scores = torch.tensor([0.5, 0.25, math.nan, -math.inf, math.inf], dtype=torch.float64)
    known = evaluated(Link(-3.0, True), scores)
    assert known.costs().tolist() == [-1.5, 0.25 - 0.75, math.inf, math.inf, math.inf]


def values_of_evaluations() -> None:
    """Log-odds much worse than the best are cut off; the least is the best where the score costs."""
    worse = torch.tensor([-2.0, -1.0, 0.0, 2.5, 3.5, 6.0], dtype=torch.float64)
    for rise in (-2.0, 1.0):
        side = math.copysign(1.0, rise)
        known = evaluated(Link(rise, True), (side * worse).sigmoid())
        assert_allclose(known.values(), side * worse.clamp(max=3), rtol=1e-9)


class TestKnown:
    @pytest.mark.parametrize("compare", [costs_of_evaluations, values_of_evaluations])
    def test_evaluations_are_as_written_out(self, compare):
        compare()

    @pytest.mark.parametrize("rise", [-2.0, 1.0])
    @pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
    def test_a_score_that_is_not_finite_leaves_the_other_values(self, rise, broken):
        known = evaluated(Link(rise, True), torch.tensor([0.1, 0.2, 0.5, 0.9, 0.999]).double())
        scores = torch.cat([known.scores, known.scores.new_tensor([broken])])
        assert_allclose(evaluated(known.link, scores).values()[:5], known.values(), rtol=1e-9)

    def test_scores_without_ends_are_not_cut_off(self):
        scores = torch.tensor([-30.0, 4.0, 50.0])
        assert torch.equal(evaluated(Link(1.0, False), scores).values(), scores)


class TestFeatures:
    def test_cosines_are_orthonormal(self):
        rows = cosines(9, 9)
        assert_allclose(rows @ rows.T, np.eye(9), atol=1e-12)

    def test_they_are_0_at_the_centre_and_linear(self):
        center, one, other = masks_of(3)
        features = Features.near(center, 1.0, WAVES)
        assert features.of(center[None]).abs().max() == 0
        both = features.of((one + other - center)[None])
        assert_allclose(both, features.of(one[None]) + features.of(other[None]), atol=1e-12)

    def test_the_gradient_is_their_transpose(self):
        center, one = masks_of(2)
        features = Features.near(center, 0.0, WAVES)
        free = one[None].clone().requires_grad_()
        direction = torch.linspace(-1, 1, WAVES * WAVES, dtype=torch.float64)[None]
        (expected,) = torch.autograd.grad((features.of(free) * direction).sum(), free)
        assert_allclose(features.gradient(direction), expected, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("ideal", [0.0, 1.0])
    def test_deleted_cells_count_more(self, ideal):
        center = (ideal - (blob(0, CELLS) > 0.5).double()).abs()
        weights = Features.near(center, ideal, WAVES).weights
        inside = center != ideal
        assert float(weights[inside].min()) > float(weights[~inside].median())

    def test_no_more_waves_than_cells(self):
        masks = smooth_random_masks(2, (3, 4), generator(0, 0))
        assert Features.near(masks[0], 1.0, 12).of(masks).shape == (2, 12)


def normal(noise: float) -> Tensor:
    return torch.tensor([-math.sqrt(1.5) * noise, 0.0, math.sqrt(1.5) * noise], dtype=torch.float64)


def score_of_the_link() -> None:
    """The mean probability under normal noise, by a fine integral; three places are right to 6 %."""
    link = Link(1.0, log_odds=True)
    for value in np.linspace(-6, 6, 9):
        for noise in (0.0, 0.3, 1.0):
            found = link.score(torch.tensor([value], dtype=torch.float64), normal(noise))
            exact = integral(lambda x: 1 / (1 + math.exp(-x)), value, noise)
            assert_allclose(found, [exact], rtol=6e-2 * noise + 1e-9)


def rate_of_the_link() -> None:
    """How fast that mean grows, times the rise."""
    link = Link(-3.0, log_odds=True)
    for value in np.linspace(-6, 6, 9):
        for noise in (0.0, 0.3, 1.0):
            at = torch.tensor([value], dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(link.score(at, normal(noise)).sum(), at)
            assert_allclose(link.rate(at.detach(), normal(noise)), -3 * gradient, rtol=1e-12)


def integral(of, mean: float, deviation: float) -> float:
    if deviation == 0:
        return of(mean)
    ends = (mean - 10 * deviation, mean + 10 * deviation)
    return quad(lambda x: of(x) * norm.pdf(x, mean, deviation), *ends, points=[mean], limit=200)[0]


class TestLink:
    @pytest.mark.parametrize("compare", [score_of_the_link, rate_of_the_link])
    def test_under_noise_it_is_the_integral(self, compare):
        compare()

    def test_of_objectives(self):
        assert Link.of(Objective().on("softmax"), 3) == Link(3.0, True)
        assert Link.of(Objective(PRESERVATION).on("sigmoid"), 1) == Link(-1.0, True)
        assert Link.of(Objective().on("logit"), 2) == Link(2.0, False)

    def test_values_are_log_odds_within_limits(self):
        link = Link(1.0, True)
        scores = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
        values = link.value(scores)
        assert bool(values.isfinite().all())
        assert values[1] == pytest.approx(math.log(1 / 3))
        assert float(values[0]) == -float(values[3]) < -5
        assert_allclose(link.score(values, torch.zeros(1)), scores, atol=1e-2)

    def test_scores_without_ends_are_left_as_they_are(self):
        link, scores = Link(-2.0, False), torch.tensor([-30.0, 4.0])
        assert torch.equal(link.value(scores), scores)
        assert torch.equal(link.score(scores, torch.tensor([-0.5, 0.5])), scores)
        assert link.rate(scores, torch.tensor([-0.5, 0.5])).tolist() == [-2, -2]


def pull_of_a_search() -> None:
    """The gradient of the modelled score term, as the descent takes it."""
    model, masks, _ = fitted(4, noise=0.3)
    link, asked = Link(-2.0, True), masks_of(4, seed=6).requires_grad_()
    search = Search(masks[0], masks[:4], model, 0.5, State())
    term = link.rise * link.score(model.samples(asked)[0], model.shifts)
    (expected,) = torch.autograd.grad(term.sum(), asked)
    assert_allclose(search.pull(asked.detach(), link), expected, rtol=1e-8, atol=1e-11)


def test_the_pull_is_the_gradient_of_the_modelled_score():
    pull_of_a_search()
    masks = masks_of(4)
    assert Search(masks[0], masks, None, 0.0, State()).pull(masks, Link(1.0, True)).abs().max() == 0
