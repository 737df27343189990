"""Masks of a given area, against the literal version in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import literal_area as literal
from nets import bench, learn_masks
from unsee.masks import area_penalties, smooth_grid
from unsee.masks.area_penalties import step_of
from unsee.masks.edits import blur_stack, levels
from unsee.masks.edits.levels import BlurLevels
from unsee.masks.game import GAMES
from unsee.masks.optimisers.area_steps import AreaSteps, projected
from unsee.masks.optimisers.momentum import Momentum
from unsee.masks.presets import PRESETS
from unsee.masks.scoring import Scoring
from unsee.masks.settings import adjusted
from unsee.masks.smooth_grid import SmoothGrid
from unsee.tensors import gaussian_matrix

SIZE = (20, 17)
GRID = SmoothGrid(step=4, sigma=8)


def settings_of(game, iterations, area=0.2):
    """The preset `extremal` on small pictures, with small cells."""
    base = adjusted(PRESETS["extremal"], game=game, iterations=iterations)
    penalty = replace(base.objective.penalties[0], area=area, grid=GRID)
    objective = replace(base.objective, penalties=(penalty,))
    return replace(base, objective=objective, grid=GRID, perturbations=(BlurLevels(sigma=3.0, levels=4),))


def cells(seed=0, shape=(5, 5)):
    return np.random.default_rng(seed).random(shape)


def test_max_convolution():
    saliency = cells()
    pixels, slopes = literal.smooth_maximum(saliency, GRID.step, GRID.sigma)
    given = torch.from_numpy(saliency)[None].requires_grad_()
    found = GRID.with_margin(given)
    assert_allclose(found[0].detach(), pixels, rtol=0, atol=1e-12)
    weights = torch.from_numpy(np.random.default_rng(1).random(pixels.shape))
    (gradient,) = torch.autograd.grad((found[0] * weights).sum(), given)
    assert_allclose(gradient[0], np.tensordot(weights, slopes, axes=2), rtol=0, atol=1e-12)
    for game, sign in (("preservation", 1), ("deletion", -1)):
        mask = saliency if sign == 1 else 1 - saliency
        inside = pixels[8 : 8 + SIZE[0], 8 : 8 + SIZE[1]]
        laid = GRID.upsampler(SIZE, given, GAMES[game])(torch.from_numpy(mask))
        assert_allclose(laid, inside if sign == 1 else 1 - inside, rtol=0, atol=1e-12)


def test_a_spread_gradient():
    saliency = cells()
    spread = replace(GRID, spread=True)
    pixels, _ = literal.smooth_maximum(saliency, GRID.step, GRID.sigma)
    given = torch.from_numpy(saliency)[None].requires_grad_()
    found = spread.with_margin(given)
    assert_allclose(found[0].detach(), pixels, rtol=0, atol=1e-12)
    weights = np.random.default_rng(1).random(pixels.shape)
    (gradient,) = torch.autograd.grad((found[0] * torch.from_numpy(weights)).sum(), given)
    expected = np.zeros(saliency.shape)
    for row, column in np.ndindex(pixels.shape):
        for y, x, _, weight in literal.painted(saliency, row, column, GRID.step, GRID.sigma):
            if weight:
                expected[y, x] += weight * weights[row, column]
    assert_allclose(gradient[0], expected, rtol=1e-12)


@pytest.mark.parametrize("game", ["preservation", "deletion", "dual"])
def test_a_whole_short_run(game):
    settings, steps = settings_of(game, 5), 5
    small = bench(settings, SIZE, ranks=((0,), (1,)))
    for row, one in enumerate(learn_masks(small.classifier, small.requests, settings)):
        _, history = literal_run(small, row, game, steps)
        assert_allclose(one.history["score"], [loss for loss, _ in history], rtol=0, atol=1e-9)
        assert_allclose(one.history["area"], [penalty for _, penalty in history], rtol=1e-9)


def literal_run(small, row, game, steps, area=0.2):
    """The literal marks and terms of one photo."""
    image = small.classifier.normalised(small.inputs[row].plain[None])[0].double().numpy()
    net, (target,) = small.classifier.net, small.targets[row]
    color = torch.tensor(small.classifier.color, dtype=torch.float64)[None, :, None, None]
    beyond = small.classifier.normalised(color)[0, :, 0, 0].numpy()
    return literal.learn(
        image, beyond, net, target, area, steps, game, step=4, sigma=8, levels=4, strongest=3.0
    )


def kernel_without_plateau(step, sigma, radius, border):
    places = torch.arange(2 * radius + 1, dtype=torch.float64)
    along = torch.arange(step, dtype=torch.float64) - sigma - step * (places[:, None] - border)
    distance = (along[:, None, :, None].square() + along[None, :, None, :].square()).sqrt()
    return torch.exp(-2 * (distance / sigma).square()).flatten(0, 1)


def low_pixels_high(pixels, areas):
    return 1 - step_of(pixels, 1 - areas)


def no_first_gradient(self, memory, evaluation, iteration):
    gradient = evaluation.gradient[:, 0] + evaluation.objective.penalty_gradient(
        evaluation.masks[:, 0], iteration
    )
    mean = torch.lerp(gradient, memory[0], self.momentum)
    return (evaluation.masks[:, 0] - self.rate * mean).clamp_(0, 1), (mean,)


MISTAKES = {
    "a kernel without its plateau": (smooth_grid, "_kernel", kernel_without_plateau),
    "the step turned round": (area_penalties, "step_of", low_pixels_high),
    "the running mean begins at zero": (Momentum, "tell", no_first_gradient),
    "never mirrored": (Scoring, "_turned", lambda self, given, mirrored: given),
    "the picture goes on beyond its border": (levels, "zero_padded_gaussian", gaussian_matrix),
    "black beyond the border": (
        BlurLevels,
        "stack",
        lambda self, image, color, stack=BlurLevels.stack: stack(self, image, (0.0, 0.0, 0.0)),
    ),
    "levels are not interpolated": (
        blur_stack,
        "between",
        lambda stack, shares, masks, offsets=None: torch.lerp(stack[:, -1], stack[:, 0], masks[:, None]),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch):
    monkeypatch.setattr(*MISTAKES[name])
    with pytest.raises(AssertionError):
        test_a_whole_short_run("preservation")


@pytest.mark.parametrize("changes", [{"weight": 301.0}, {"growth": 1.0}, {"area": 0.21}])
def test_the_penalty_s_constants_count(changes, monkeypatch):
    usual = settings_of

    def changed(*given):
        settings = usual(*given)
        penalty = replace(settings.objective.penalties[0], **changes)
        return replace(settings, objective=replace(settings.objective, penalties=(penalty,)))

    monkeypatch.setitem(globals(), "settings_of", changed)
    with pytest.raises(AssertionError):
        test_a_whole_short_run("preservation")


def fast_of(small_area=0.2, iterations=12):
    """The preset `extremal-fast` on small pictures."""
    base = adjusted(PRESETS["extremal-fast"], iterations=iterations)
    grid = replace(GRID, spread=True)
    penalty = replace(base.objective.penalties[0], area=small_area, grid=grid)
    return replace(
        base,
        objective=replace(base.objective, penalties=(penalty,)),
        grid=grid,
        perturbations=(BlurLevels(sigma=3.0, levels=4),),
    )


@pytest.mark.parametrize("game", ["preservation", "deletion", "dual"])
def test_the_area_is_exact(game):
    settings = adjusted(fast_of(), game=game)
    size = (20, 20)
    small = bench(settings, size, ranks=((0,), (1,)))
    requests = [one._replace(area=own) for one in small.requests for own in (0.1, 0.3)]
    requests = [one._replace(id=number) for number, one in enumerate(requests)]
    learned = learn_masks(small.classifier, requests, settings)
    for request, one in zip(requests, learned, strict=True):
        assert float(GAMES[game].saliency(one.mask).mean()) == pytest.approx(request.area, abs=4e-3)
        assert one.evaluations == 12 * (2 if game == "dual" else 1)
        (alone,) = learn_masks(small.classifier, [request], settings)
        assert torch.allclose(one.grid, alone.grid, rtol=0, atol=1e-9)


def test_the_projection_adds_a_constant_and_keeps_the_area():
    grid = SmoothGrid()
    values = 3 * torch.rand(3, 8, 8, dtype=torch.float64, generator=torch.manual_seed(0)) - 1
    areas = torch.tensor([0.05, 0.3, 0.9], dtype=torch.float64)
    found = projected(values, areas, grid)
    assert_allclose(grid.area(found), areas, atol=2e-3)
    for before, after in zip(values, found, strict=True):
        inside = (after > 0) & (after < 1)
        constant = (after - before)[inside]
        assert inside.any()
        assert_allclose(constant, constant.mean().expand_as(constant), atol=1e-12)


def test_the_area_falls_to_the_one_that_is_asked_for():
    asked = torch.tensor([0.1, 0.7], dtype=torch.float64)
    steps = [AreaSteps(iterations=10).areas(asked, torch.tensor([t, t])) for t in range(10)]
    falling = [float(step[0]) for step in steps]
    assert falling[:5] == sorted(falling[:5], reverse=True)
    assert falling[0] == pytest.approx(0.6 * (0.1 / 0.6) ** 0.2)
    assert falling[4:] == pytest.approx([0.1] * 6)
    assert [float(step[1]) for step in steps] == pytest.approx([0.7] * 10)


def test_the_fast_preset_differs_in_the_gradient_alone():
    fast = PRESETS["extremal-fast"]
    assert fast.optimiser.iterations == 60
    assert fast.grid == fast.objective.penalties[0].grid
    assert fast.grid.spread
    assert replace(fast.grid, spread=False) == PRESETS["extremal"].grid
