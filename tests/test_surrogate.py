"""The optimiser without a gradient, on scores in closed form: what it finds, and what it asks for."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from analytic import (
    OBJECTIVE,
    blob,
    cost,
    label,
    learned,
    noisy_score,
    optimum,
    quadratic,
    smooth_score,
)
from unsee.errors import UnseeError
from unsee.masks.game import DELETION, PRESERVATION
from unsee.masks.objective import Objective
from unsee.masks.optimisers.protocol import Optimiser
from unsee.masks.optimisers.random_masks import smooth_random_masks
from unsee.masks.optimisers.surrogate import Surrogate
from unsee.tensors import generator

SHORT = Surrogate(budget=Surrogate().least_budget + 2 * Surrogate().probes)
LONG = Surrogate(budget=240)
GAMES = {"deletion": OBJECTIVE, "preservation": replace(OBJECTIVE, game=PRESERVATION)}


def found_by(optimiser=LONG, value=smooth_score, seed=0, **of) -> Tensor:
    """The mask of one image."""
    return learned(optimiser, value, (seed,), **of)[seed].masks[0]


def probability(mask: Tensor, seed: int = 0) -> float:
    return float(quadratic(mask[None], seed).sigmoid())


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_the_optimum_of_a_quadratic(game, seed):
    objective = GAMES[game]
    best, lowest = optimum(seed, objective)
    mask = found_by(seed=seed, objective=objective)
    assert float(cost(mask, seed, objective)) <= lowest + 0.01 * abs(lowest)
    assert float((mask - best).abs().mean()) <= 0.03


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_of_two_per_cent_costs_little(game, seed):
    objective = GAMES[game]
    mask = found_by(value=noisy_score, seed=seed, objective=objective)
    exact = float(cost(found_by(seed=seed, objective=objective), seed, objective))
    assert float(cost(mask, seed, objective)) <= exact + 0.05 * abs(exact)
    if game == "deletion":
        assert probability(mask, seed) < 0.05 * probability(torch.ones_like(mask), seed)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_label_that_switches_is_enough(game, seed):
    """The score is only 0 or 1, and a tenth of the picture switches it."""
    objective = GAMES[game]
    mask = found_by(value=label, seed=seed, objective=objective)
    assert float(label(mask[None], seed, 0)) == (1 if game == "preservation" else 0)
    assert float(objective.game.saliency(mask).mean()) < 0.4
    middle = blob(seed) > 0.5
    assert objective.game.saliency(mask)[middle].mean() > objective.game.saliency(mask)[~middle].mean()


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_score_leaves_the_mask_that_costs_nothing(value):
    mask = found_by(SHORT, lambda masks, *_: torch.full((len(masks),), value).to(masks))
    assert float(OBJECTIVE.game.saliency(mask).mean()) < 0.02


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_masks_whose_score_is_not_finite_are_left_out(broken):
    """A fifth of the random masks; -inf is no better than what is known."""

    def value(masks, seed, step):
        scores = smooth_score(masks, seed, step)
        return torch.where((31 * masks.sum(dim=(1, 2))).long() % 5 == 0, broken, scores)

    seen = []
    (done,) = learned(noted(LONG, seen), value).values()
    assert int(done.failed_at[0]) == -1
    assert bool(done.history[0].isfinite().all())
    assert not bool(torch.cat([scores for _, scores in seen]).isfinite().all())
    assert bool(done.masks.isfinite().all())
    _, lowest = optimum(0)
    assert float(cost(done.masks[0], 0)) <= 1.05 * lowest


def test_a_probability_that_rounds_to_more_than_one_is_one():
    """In float32 the probabilities of several classes can add up to 1 + 1.2e-7."""

    def value(masks, seed, _):
        scores = (3 + quadratic(masks, seed)).sigmoid()
        return torch.where(scores > 0.99, 1 + 1.2e-7, scores)

    (done,) = learned(SHORT, value).values()
    assert int(done.failed_at[0]) == -1
    assert float(cost(done.masks[0], 0)) < 0.3


def test_a_step_without_any_finite_score_ends_its_image_alone():
    def value(masks, seed, step):
        return torch.full_like(masks[:, 0, 0], torch.nan) if seed == 1 else smooth_score(masks, seed, step)

    done = learned(SHORT, value, (0, 1, 2))
    assert [int(done[seed].failed_at[0]) for seed in (0, 1, 2)] == [-1, 0, -1]
    assert bool(done[1].masks.isfinite().all())
    assert torch.equal(done[2].masks[0], found_by(SHORT, seed=2))


def test_scores_that_break_off_keep_the_best_mask_before():
    def value(masks, seed, step):
        scores = smooth_score(masks, seed, step)
        return scores if step < SHORT.iterations - 2 else torch.full_like(scores, torch.nan)

    (done,) = learned(SHORT, value).values()
    assert int(done.failed_at[0]) == SHORT.iterations - 2
    assert float(cost(done.masks[0], 0)) < 0.6


@settings(max_examples=2)
@given(seeds=st.lists(st.integers(0, 2**31), min_size=2, max_size=3, unique=True), joining=st.booleans())
def test_a_batch_gives_what_single_images_give(seeds, joining):
    """Also where images join one by one, while others are some steps ahead."""
    together = learned(SHORT, smooth_score, seeds, [1] * len(seeds) if joining else None)
    for seed in seeds:
        alone = found_by(SHORT, seed=seed)
        assert torch.equal(together[seed].masks[0], alone)
        assert int(together[seed].evaluated[0]) == SHORT.budget


@settings(max_examples=2)
@given(seed=st.integers(0, 2**62))
def test_the_same_seed_gives_the_same_mask_and_another_seed_another(seed):
    def same_picture(masks, _, step):
        return smooth_score(masks, 0, step)

    first, again, other = (found_by(SHORT, same_picture, one) for one in (seed, seed, seed + 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(cost(first, 0)) == pytest.approx(float(cost(other, 0)), rel=0.1)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("cells", [(4, 4), (3, 9), (1, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_grids_and_both_precisions(game, cells, dtype):
    objective = GAMES[game]
    mask = found_by(SHORT, objective=objective, cells=cells, dtype=dtype)
    _, lowest = optimum(0, objective, cells)
    assert mask.dtype == dtype
    assert mask.shape == cells
    assert float(cost(mask.double(), 0, objective)) <= lowest + 0.05 * abs(lowest)


@pytest.mark.parametrize("game", [DELETION, PRESERVATION])
def test_scores_without_ends_and_several_edits(game):
    """Logits are modelled as they are; the objective sums the edits."""
    objective = Objective(game, OBJECTIVE.penalties).on("logit")
    mask = found_by(value=lambda masks, seed, _: 0.1 * quadratic(masks, seed), objective=objective, edits=3)
    deleted = game.saliency(mask)
    assert float(deleted[blob(0) > 0.5].mean()) > 0.7
    assert float(deleted[blob(0) < 0.02].mean()) < 0.3
    summed = replace(OBJECTIVE, game=game)
    _, lowest = optimum(0, summed, edits=3)
    mask = found_by(objective=summed, edits=3)
    assert float(cost(mask, 0, summed, 3)) <= lowest + 0.02 * abs(lowest)


def noted(optimiser, seen):
    """The optimiser, which notes what it asked for, with the scores."""

    class Noting(Surrogate):
        def tell(self, memory, evaluation, iteration):
            seen.append((evaluation.masks, evaluation.terms["score"]))
            return super().tell(memory, evaluation, iteration)

    return Noting(budget=optimiser.budget)


def test_what_it_asks_for():
    """The two ends first, then random masks, then those of the model; all within [0,1], no two alike."""
    seen = []
    (done,) = learned(noted(SHORT, seen)).values()
    asked = torch.cat([masks for masks, _ in seen], dim=1)[0]
    assert asked.shape[0] == SHORT.budget == int(done.evaluated[0])
    assert 0 <= float(asked.min()) <= float(asked.max()) <= 1
    assert bool((asked[0] == 1).all())
    assert bool((asked[1] == 0).all())
    different = torch.cdist(asked.flatten(1), asked.flatten(1)) + torch.eye(len(asked))
    assert float(different[: SHORT.opening, : SHORT.opening].min()) > 0.1
    assert len(asked.flatten(1).unique(dim=0)) > 0.9 * len(asked)
    lowest = [float(terms) for terms in done.history[0].sum(dim=1)]
    assert min(lowest[: SHORT.opening // SHORT.probes]) > min(lowest)


def test_random_masks_are_smooth_and_of_all_areas():
    masks = smooth_random_masks(60, (14, 20), generator(3, 0))
    assert masks.shape == (60, 14, 20)
    assert 0 <= float(masks.min()) <= float(masks.max()) <= 1
    areas = (1 - masks).mean(dim=(1, 2))
    assert float(areas.min()) < 0.2
    assert float(areas.max()) > 0.8
    assert float(masks.diff(dim=-1).abs().mean()) < 0.2
    assert torch.equal(masks, smooth_random_masks(60, (14, 20), generator(3, 0)))


def test_it_is_an_optimiser_whose_steps_are_whole():
    assert isinstance(LONG, Optimiser)
    assert LONG.limited(7).budget == 7 * LONG.probes
    assert LONG.limited(7).iterations == 7
    assert LONG.summary == "240 evaluations, without a gradient"
    assert Surrogate(budget=109).iterations == 109 // Surrogate().probes
    reaches = [LONG.reach(step) for step in range(LONG.iterations)]
    assert reaches == sorted(reaches, reverse=True)
    assert (reaches[0], reaches[-1]) == pytest.approx((LONG.radius, LONG.least_radius))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"budget": Surrogate().least_budget - 1}, f"at least {Surrogate().least_budget} evaluations, got"),
        ({"probes": 2}, "at least 3 probes"),
        ({"remembered": 0}, "at least 1"),
        ({"waves": 0}, "at least 1"),
        ({"inner": 0}, "at least 1"),
        ({"radius": 0.1, "least_radius": 0.2}, "least_radius"),
        ({"least_radius": 0.0}, "least_radius"),
    ],
)
def test_wrong_values_are_refused_in_a_line(values, line):
    with pytest.raises(UnseeError, match=line) as error:
        Surrogate(**values)
    assert "\n" not in str(error.value)
