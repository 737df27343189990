"""Terms, gradients and perturbations of the implementation, compared with the literal version and scipy."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy import ndimage

import against_literal as against
import literal
from nets import COLOR, bench, input_of, small_photo
from unsee.masks.edits.perturbation import (
    Blur,
    Constant,
    GaussianNoise,
    Median,
    MedianGaussian,
    NativeBlur,
    UniformNoise,
)
from unsee.masks.game import DELETION, PRESERVATION
from unsee.masks.grid import Grid
from unsee.masks.penalties import MeanAxisVariation, TotalVariation

GAMES = ("deletion", "preservation")
EDITS = ("blur", "constant", "noise", "median", "joint")
SEVERAL = (0, 4, 6)
BETAS = (1.0, 1.5, 2.0, 3.0)
UPSAMPLINGS = ("nearest", "bilinear", "bilinear_aligned")
SIZES = {(32, 40): 8.0, (40, 56): 8.0, (45, 53): 227 / 30, (43, 50): 8.0}
FIRST = torch.zeros(1, dtype=torch.long)
KINDS = ("random", "flat", "bounds", "constant")
FACTORS = {
    "game": GAMES,
    "score": ("softmax", "logits"),
    "regularisers": ("sum", "mean"),
    "beta": BETAS,
    "upsampling": UPSAMPLINGS,
    "sigma_m": (0.0, 5.0),
    "edits": EDITS,
    "ranks": ((0,), SEVERAL),
    "size": tuple(SIZES),
    "kind": KINDS,
    "activation": ("smooth", "relu"),
}


def grid_mask(kind, cells, seed=0):
    """Draw a mask: rough, with exactly flat parts, with half of its cells at the bounds, or constant."""
    mask = np.random.default_rng(seed).uniform(size=cells)
    if kind == "flat":
        mask[: cells[0] // 2 + 1, : cells[1] // 2 + 1] = 0.7
    elif kind == "bounds":
        mask = np.clip(2 * mask - 0.5, 0, 1)
    elif kind == "constant":
        mask[:] = 0.4
    return mask


def case(edits="blur", size=(40, 56), ranks=(0,), activation="smooth", kind="random", **changes):
    """The bench of one photo, settings, the literal version's options, and a mask."""
    options = {**literal.PAPER, "l1": 0.02, "l2": 0.05, **changes}
    settings = against.settings_like(options, edits, SIZES[size])
    mask = grid_mask(kind, settings.grid.cells(size), seed=len(edits))
    return bench(settings, size, (ranks,), activation), settings, options, mask


def compare_case(**factors):
    """Compare terms and gradient of one case, on a window away from the corner."""
    made, settings, options, mask = case(**factors)
    against.compare_objective(made, settings, options, mask[None], np.array([[3, 1]]))


def sampled(count, seed):
    """Draw from the product of all factors, each level of a factor equally often, give or take one."""
    rng = np.random.default_rng(seed)
    columns = {
        name: rng.permutation([i % len(levels) for i in range(count)]) for name, levels in FACTORS.items()
    }
    return [{name: FACTORS[name][columns[name][i]] for name in FACTORS} for i in range(count)]


def label(factors):
    return "-".join(str(value).replace(" ", "") for value in factors.values())


@pytest.mark.parametrize(
    ("game", "edits", "score", "ranks"),
    list(itertools.product(GAMES, EDITS, ("softmax", "logits"), ((0,), SEVERAL))),
)
def test_terms_and_gradient_of_games_edits_scores_and_ranks(game, edits, score, ranks):
    compare_case(game=game, edits=edits, score=score, ranks=ranks)


@pytest.mark.parametrize("factors", sampled(48, seed=1), ids=label)
def test_terms_and_gradient_for_sampled_combinations_of_all_options(factors):
    compare_case(**factors)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("regularisers", ["sum", "mean"])
@pytest.mark.parametrize("kind", KINDS)
def test_regularisers_without_the_score(game, beta, regularisers, kind):
    options = {
        **literal.PAPER,
        "game": game,
        "beta": beta,
        "regularisers": regularisers,
        "l1": 0.3,
        "l2": 0.7,
    }
    objective = against.settings_like(options).objective
    masks = np.stack([grid_mask(kind, (6, 9), seed) for seed in range(3)])
    grids = torch.from_numpy(masks).requires_grad_()
    first = torch.zeros(3, dtype=torch.long)
    parts = objective.terms(grids, torch.zeros(3, dtype=torch.float64), first)
    assert list(parts) == ["score", "l1", "tv"]
    gradients = [
        torch.autograd.grad(parts[name].sum(), grids, retain_graph=True)[0].numpy() for name in ("l1", "tv")
    ]
    closed = objective.penalty_gradient(grids.detach(), first)
    assert_allclose(closed, gradients[0] + gradients[1], rtol=1e-10, atol=1e-15)
    variation = (literal.tv, literal.tv_gradient)
    if regularisers == "mean":
        variation = (literal.port_tv, literal.port_tv_gradient)
    for row, mask in enumerate(masks):
        assert_allclose(parts["l1"][row].item(), 0.3 * literal.l1(mask, game, regularisers), rtol=1e-12)
        assert_allclose(parts["tv"][row].item(), 0.7 * variation[0](mask, beta), rtol=1e-12)
        assert_allclose(gradients[0][row], 0.3 * literal.l1_gradient(mask, game, regularisers), rtol=1e-12)
        assert_allclose(gradients[1][row], 0.7 * variation[1](mask, beta), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("beta", [0.5, *BETAS])
def test_variation_of_a_flat_mask_has_gradient_zero(beta):
    penalties = [TotalVariation(1.0, beta), *([MeanAxisVariation(1.0, beta)] if beta >= 1 else [])]
    for penalty in penalties:
        for value in (0.0, 0.3, 1.0):
            grids = torch.full((2, 5, 7), value, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(penalty.value(grids, DELETION, FIRST.expand(2)).sum(), grids)
            assert_array_equal(gradient, 0)
        mask = grid_mask("flat", (8, 10))
        grids = torch.from_numpy(mask)[None].requires_grad_()
        (gradient,) = torch.autograd.grad(penalty.value(grids, PRESERVATION, FIRST).sum(), grids)
        assert_array_equal(gradient[0, :4, :5], 0)
        assert bool(gradient.isfinite().all())
        assert bool((gradient[0, 5:, 6:] != 0).any())


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_finite_differences_of_the_objective(kind, beta):
    index = BETAS.index(beta) + KINDS.index(kind)
    made, settings, _, mask = case(
        kind=kind,
        beta=beta,
        game=GAMES[index % 2],
        edits=EDITS[index % 5],
        score=("softmax", "logits")[index % 3 % 2],
        regularisers=("sum", "mean")[index // 2 % 2],
        upsampling=UPSAMPLINGS[index % 3],
        sigma_m=(5.0, 0.0)[index // 3 % 2],
        activation=("smooth", "relu")[BETAS.index(beta) % 2],
        ranks=((0,), SEVERAL)[KINDS.index(kind) % 2],
        size=tuple(SIZES)[index % 4],
    )
    against.compare_differences(made, settings, mask)


def compare_upsampling(kind="nearest", sigma_m=5.0, size=(45, 53), cells=(6, 7), authors=False):
    """Compare one upsampled mask, and one gradient propagated back to its cells."""
    gradient = "authors" if authors else "exact"
    options = {**literal.PAPER, "upsampling": kind, "sigma_m": sigma_m, "gradient": gradient}
    grid = Grid(shape=cells, upsampling=kind, blur=sigma_m, straight_through=authors)
    mask, gradient_at_pixels = grid_mask("random", cells), np.random.default_rng(1).normal(size=size)
    small = torch.from_numpy(mask).requires_grad_()
    large = grid.upsampler(size, small)(small)
    assert_allclose(large.detach(), literal.upsample(mask, size, options), rtol=0, atol=1e-12)
    (back,) = torch.autograd.grad((large * torch.from_numpy(gradient_at_pixels)).sum(), small)
    assert_allclose(back, literal.upsample_transposed(gradient_at_pixels, cells, options), rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", UPSAMPLINGS)
@pytest.mark.parametrize("sigma_m", [0.0, 5.0])
@pytest.mark.parametrize(("size", "cells"), [((32, 40), (4, 5)), ((45, 53), (6, 7)), ((9, 30), (1, 28))])
def test_upsampling_and_its_transpose(kind, sigma_m, size, cells):
    compare_upsampling(kind, sigma_m, size, cells)


@pytest.mark.parametrize(("size", "cells"), [((32, 40), (4, 5)), ((45, 53), (6, 7))])
def test_authors_upsampling_and_their_gradient(size, cells):
    compare_upsampling(size=size, cells=cells, authors=True)
    compare_upsampling(size=size, cells=cells, sigma_m=0.0, authors=True)


def test_authors_objective_and_gradient():
    compare_case(gradient="authors", ranks=SEVERAL)


def test_noise_on_the_input_is_added_after_the_blend():
    made, settings, options, mask = case("median", margin=0, regularisers="mean")
    settings = replace(settings, input_noise=0.2)
    against.compare_objective(made, settings, options, mask[None], np.array([[0, 0]]))


NETWORK_INPUT = input_of(small_photo(3, (61, 47)), (45, 53), margin=4, seed=5)
PAIRS = ((NETWORK_INPUT.plain.numpy(), 0), (NETWORK_INPUT.canvas.numpy(), 1))


@pytest.mark.parametrize("sigma", [10.0, 2.5])
def test_blur_equals_scipys_and_the_literal_version(sigma):
    for image, place in PAIRS:
        found = Blur(sigma).references(NETWORK_INPUT)[place]
        channels = [ndimage.gaussian_filter(c, sigma, mode="reflect", truncate=4.0) for c in image]
        assert_allclose(found, np.stack(channels), rtol=0, atol=1e-12)
        assert_allclose(found, literal.reference("blur", image, sigma), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [11, 3])
def test_median_equals_scipys_and_the_literal_version(size):
    for image, place in PAIRS:
        found = Median(size).references(NETWORK_INPUT)[place]
        assert_array_equal(found, ndimage.median_filter(image, (1, size, size), mode="nearest"))
        assert_array_equal(found, literal.reference("median", image, size))


def test_median_gaussian_is_the_average_over_one_window():
    for image, place in PAIRS:
        median = ndimage.median_filter(image, (1, 11, 11), mode="nearest")
        blurred = ndimage.gaussian_filter(image, (0, 5, 5), mode="reflect", radius=(0, 5, 5))
        assert_allclose(
            MedianGaussian().references(NETWORK_INPUT)[place], (median + blurred) / 2, rtol=0, atol=1e-12
        )


def test_constant_is_the_mean_colour_or_a_given_colour():
    for image, place in PAIRS:
        for color, expected in (("mean", COLOR), ((0.1, 0.2, 0.9), (0.1, 0.2, 0.9))):
            found = Constant(color).references(NETWORK_INPUT)[place]
            assert_array_equal(found, literal.reference("constant", image, expected))


@pytest.mark.parametrize("noise", [GaussianNoise(), GaussianNoise(0.1), UniformNoise()])
def test_noise_has_its_statistics_and_depends_only_on_the_seed(noise):
    network_input = input_of(small_photo(3, (61, 47)), (150, 150), margin=4, seed=5)
    still, moving = noise.references(network_input)
    assert_array_equal(still, moving[:, :150, :150])
    assert_array_equal(moving, noise.references(input_of(small_photo(4, (30, 40)), (150, 150), 4, seed=5))[1])
    assert (
        moving - noise.references(input_of(network_input.photo, (150, 150), 4, seed=6))[1]
    ).abs().max() > 0.5
    values = moving.numpy().reshape(3, -1)
    assert np.abs(np.corrcoef(values) - np.eye(3)).max() < 0.03, "channels are independent"
    assert all(abs(np.corrcoef(v[:-1], v[1:])[0, 1]) < 0.03 for v in values), "pixels are independent"
    draw = np.random.default_rng(0).standard_normal((3, 10**5))
    if isinstance(noise, UniformNoise):
        expected = np.random.default_rng(0).uniform(size=(3, 10**5))
    else:
        expected = np.clip(np.array(COLOR)[:, None] + noise.deviation * draw, 0, 1)
    assert_allclose(values.mean(axis=1), expected.mean(axis=1), atol=0.01)
    assert_allclose(values.std(axis=1), expected.std(axis=1), atol=0.01)


def test_native_blur_is_blurred_and_rounded_before_it_is_resized():
    photo = small_photo(3, (61, 47))
    native = NativeBlur().references(input_of(photo, (61, 47)))[0].numpy()
    levels = 255 * native
    assert_allclose(levels, np.round(levels), rtol=0, atol=1e-4)
    blurred = ndimage.gaussian_filter(photo.pixels.double().numpy(), (0, 10, 10), mode="reflect", truncate=4)
    assert np.abs(native - blurred).max() < 0.5 / 255 + 1e-6
    for place, (height, width) in enumerate(((45, 53), (49, 57))):
        planes = [Image.fromarray(c.astype(np.float32)) for c in native]
        resized = [np.asarray(p.resize((width, height), Image.Resampling.BILINEAR)) for p in planes]
        assert_allclose(NativeBlur().references(NETWORK_INPUT)[place], np.stack(resized), rtol=0, atol=1e-5)


def compare_input_noise():
    """Compare the noise with the PyTorch port's: a deviation of 0.2 in the network's normalised units."""
    made, settings, _, _ = case("median", margin=0)
    scoring = made.scoring(replace(settings, input_noise=0.2))
    draws = torch.stack([scoring.noise_at(torch.tensor([i]))[0] for i in range(12)]).numpy()
    spread = draws.transpose(1, 0, 2, 3).reshape(3, -1)
    assert_allclose(spread.std(axis=1), 0.2, rtol=0.02)
    assert_allclose(spread.mean(axis=1), 0, atol=0.006)
    assert np.abs(np.corrcoef(draws.reshape(12, -1)) - np.eye(12)).max() < 0.06
    assert_array_equal(draws[3], scoring.noise_at(torch.tensor([3]))[0])
    assert made.scoring(settings).noise_at(torch.tensor([0])) is None


def test_input_noise_is_in_normalised_units_and_new_each_iteration():
    compare_input_noise()
