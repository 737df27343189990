"""The bundle method: its model, its steps, and what it reaches beside descents that look far more often."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nets import bench
from unsee.classifier import Classifier
from unsee.masks import PRESETS, explain
from unsee.masks.learner import learn
from unsee.masks.objective import (
    DELETION,
    L1,
    PRESERVATION,
    MeanL1,
    Objective,
    Terms,
    TotalVariation,
    logit_score,
)
from unsee.masks.optimisers import bundle
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle, Model
from unsee.masks.optimisers.protocol import Point

FAST = PRESETS["fast"]
GAMES = [DELETION, PRESERVATION]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def point(masks: Tensor, objective: Objective, edits: int = 1) -> Point:
    """A look at a made-up network whose logit is linear in the mask."""
    planes = 4 * draw(*masks.shape, seed=5) - 1
    free = masks.clone().requires_grad_()
    logit = (planes * free).sum(dim=(1, 2)) / 4 - 2
    score = objective.game.sign * edits * (torch.sigmoid(logit) if objective.bounded else logit)
    (slopes,) = torch.autograd.grad(score.sum(), free)
    return Point(
        masks, objective.terms(masks, score.detach() / objective.game.sign), slopes, objective, edits
    )


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("edits", [1, 3])
@pytest.mark.parametrize("reading", ["softmax", "logit"])
def test_one_look_at_a_score_of_linear_logit_is_the_score(game, edits, reading):
    """Value and slopes of the model are the objective's, at the look and far from it."""
    objective = Objective(game=game)
    objective = objective if reading == "softmax" else replace(objective, score=logit_score)
    look = point(draw(2, 4, 5), objective, edits)
    value, slope = bundle._linked(look)
    offset = value - (slope * look.masks).sum(dim=(1, 2))
    model = Model(offset[:, None], slope.flatten(1)[:, None], torch.ones(2, 1).double(), look.masks, look)
    for masks in (look.masks, draw(2, 4, 5, seed=9)):
        there = point(masks, objective, edits)
        expected = there.slopes + objective.penalty_slopes(masks)
        assert torch.allclose(model.slopes(masks), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("penalty", [L1(0.1), *(TotalVariation(0.2, beta) for beta in (1.0, 2.0, 3.0, 3.5))])
def test_closed_slopes_are_those_of_autograd_and_zero_where_flat(game, penalty):
    masks = draw(3, 4, 5)
    masks[1] = 0.5
    masks[2, :, 2:] = 1.0
    free = masks.clone().requires_grad_()
    (expected,) = torch.autograd.grad(penalty(free, game).sum(), free)
    assert torch.allclose(penalty.slopes(masks, game), expected, rtol=1e-12, atol=1e-14)


def test_penalty_slopes_of_other_penalties_are_autograds():
    objective = Objective(l1=MeanL1(0.1), tv=lambda masks, game: masks.square().sum(dim=(1, 2)))
    masks = draw(2, 4, 5)
    assert torch.allclose(objective.penalty_slopes(masks), 2 * masks - 0.1 / 20)


def test_the_trust_region_bounds_each_move_and_shrinks():
    algorithm, objective = Bundle(), Objective()
    masks = torch.zeros(3, 4, 5, dtype=torch.float64)
    memory, moves = algorithm.begin(masks), []
    for count in range(30):
        look = point(masks, objective)
        after, memory = algorithm.step(memory, look, torch.full((3,), count))
        moves.append(float((after - memory[3]).abs().max()))
        masks = after
    limits = algorithm.reach(torch.arange(30))
    assert moves[0] == pytest.approx(algorithm.probe)
    assert all(move <= limit + 1e-12 for move, limit in zip(moves[1:], limits.tolist()[1:], strict=True))
    assert limits[1] == 1
    assert limits[2] == algorithm.radius
    assert limits[29] == pytest.approx(0.4 * 0.9**27)
    assert algorithm.reach(torch.tensor([39])) == algorithm.least_radius
    assert all(0 <= float(mask) <= 1 for mask in masks.flatten())


def test_a_look_that_is_far_worse_is_a_step_back_and_nearer():
    algorithm, objective = Bundle(), Objective()
    start = torch.zeros(1, 4, 5, dtype=torch.float64)
    good = point(start, objective)
    probe, memory = algorithm.step(algorithm.begin(start), good, torch.tensor([0]))
    bad = point(probe, objective)
    bad = bad._replace(terms=Terms(bad.terms.score + 10, bad.terms.l1, bad.terms.tv))
    after, memory = algorithm.step(memory, bad, torch.tensor([1]))
    assert torch.equal(memory[3], start)
    assert memory[6].tolist() == [0.5]
    assert float((after - start).abs().max()) <= 0.5
    _, memory = algorithm.step(memory, point(after, objective), torch.tensor([2]))
    assert torch.equal(memory[3], after)
    assert memory[6].tolist() == [1.0]


def test_near_and_recent_looks_count_most():
    algorithm = Bundle(looks=3, memory=0.5, nearness=0.1)
    here = torch.zeros(1, 4, dtype=torch.float64)
    places = torch.stack([here, here + 0.1, here], dim=1)
    weights = algorithm._weights(places, here, torch.tensor([9]))[0]
    expected = torch.tensor([0.25, 0.5 / torch.e, 1.0], dtype=torch.float64)
    assert torch.allclose(weights, expected / expected.sum())
    young = algorithm._weights(places, here, torch.tensor([0]))[0]
    assert young.tolist() == [0, 0, 1]


def test_an_image_settles_when_a_window_is_no_better_than_the_one_before():
    algorithm = Bundle(window=2, gain=0.01, shrink=0.5, iterations=50)
    flat, falling = torch.ones(50, 3), torch.ones(50, 3)
    falling[:, 0] = torch.linspace(50, 1, 50)
    history = torch.stack([flat, falling])
    assert algorithm.settled(history, torch.tensor([20, 20])).tolist() == [True, False]
    assert algorithm.settled(history, torch.tensor([2, 2])).tolist() == [False, False]
    assert algorithm.settled(history, torch.tensor([49, 49])).tolist() == [True, True]


def reached(settings, seed: int = 0, ranks=((0,), (1,), (2,), (0, 1))) -> tuple[float, float]:
    """Mean objective and evaluations of some small photos, in float64."""
    learned = learn(*learner_input(settings, seed, ranks))
    return (
        sum(float(one.terms.sum()) for one in learned) / len(learned),
        sum(one.evaluations for one in learned) / len(learned),
    )


def learner_input(settings, seed, ranks):
    made = bench(settings, (64, 64), ranks, seed=seed)
    return made.classifier, made.arrivals, settings


@pytest.mark.parametrize("name", ["paper", "preservation", "top5", "artifact-constant"])
def test_it_reaches_what_three_hundred_iterations_of_the_paper_reach(name):
    slow = PRESETS[name]
    fast = replace(slow, start=FAST.start, algorithm=FAST.algorithm)
    for seed in (0, 1):
        paper, bundled = reached(slow, seed), reached(fast, seed)
        assert bundled[1] <= 60
        assert bundled[0] <= paper[0] + 0.02 * abs(paper[0])


def unlinked(given: Point) -> tuple[Tensor, Tensor]:
    value, slopes = given.terms.score, given.slopes
    return value, -slopes


@pytest.mark.parametrize(
    ("place", "part", "mistake"),
    [
        (bundle, "_linked", unlinked),
        (Objective, "penalty_slopes", lambda self, masks: torch.zeros_like(masks)),
        (Objective, "penalty_slopes", lambda self, masks: torch.full_like(masks, 1e-3)),
        (Bundle, "reach", lambda self, iteration: torch.full(iteration.shape, 0.001).double()),
    ],
)
def test_mistakes_in_it_are_noticed(place, part, mistake, monkeypatch):
    paper = reached(PRESETS["paper"])
    monkeypatch.setattr(place, part, mistake)
    assert reached(FAST)[0] > 1.02 * paper[0]


class Saturated(nn.Module):
    """Sure of class 0 while a twentieth of the picture's contrast is left, as large networks are."""

    def forward(self, x: Tensor) -> Tensor:
        detail = (x - x.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(1, 2, 3))
        return torch.stack([40 * (detail / 0.004).clamp(max=1) - 3, torch.zeros_like(detail)], dim=1)


def test_a_score_that_stays_saturated_at_the_probe_does_not_trap_it():
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    model = Classifier(Saturated(), size=(64, 64), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    cheap = replace(FAST, objective=Objective(l1=L1(1e-4), tv=TotalVariation(1e-2)))
    found = explain(model, picture, 0, preset=cheap)
    assert found.scores.original > 0.99
    assert found.run.history["score"][1] > 0.99  # the probe
    assert found.scores.perturbed < 0.2
    paper = explain(model, picture, 0, preset=replace(cheap, start=PRESETS["paper"].start, algorithm=Adam()))
    assert found.objective <= 1.1 * paper.objective
