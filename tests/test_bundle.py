"""The bundle method: its model, its steps, and the objective it reaches compared with Adam."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from nets import bench, learn_masks
from unsee.classifier import Classifier
from unsee.masks import PRESETS, explain, loop
from unsee.masks.game import DELETION, PRESERVATION
from unsee.masks.objective import Objective
from unsee.masks.optimisers import bundle
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle, BundleModel
from unsee.masks.optimisers.protocol import Evaluation, Linear
from unsee.masks.penalties import L1, MeanL1, TotalVariation
from unsee.target_scores import logit_score, softmax_score

FAST = PRESETS["fast"]
GAMES = [DELETION, PRESERVATION]
READINGS = {"softmax": softmax_score, "logit": logit_score}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step_of(count: int, images: int) -> Tensor:
    return torch.full((images,), count)


def linear_at(masks: Tensor, objective: Objective) -> Linear:
    """A made-up network whose score, or its log-odds where it is a probability, is linear in the mask."""
    planes = draw(*masks.shape, seed=5) - 0.25
    value = (planes * masks).sum(dim=(1, 2)) - 2
    return Linear(value[:, None], planes[:, None], objective.score is softmax_score)


def score_at(masks: Tensor, objective: Objective, edits: int) -> Tensor:
    """What the same network scores masks over all edits, with its gradient."""
    value = linear_at(masks, objective).value[:, 0]
    return edits * (value.sigmoid() if objective.score is softmax_score else value)


def gradient_at(masks: Tensor, objective: Objective, edits: int) -> Tensor:
    """The gradient of the score's term, by autograd."""
    free = masks.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score_at(free, objective, edits).sum(), free)
    return objective.game.sign * gradient


def evaluation(masks: Tensor, objective: Objective, edits: int = 1) -> Evaluation:
    """An evaluation of the made-up network."""
    terms = objective.terms(masks, score_at(masks, objective, edits), step_of(0, len(masks)))
    columns = {name: values[:, None] for name, values in terms.items()}
    return Evaluation(masks[:, None], columns, linear_at(masks, objective), objective, edits)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("edits", [1, 3])
@pytest.mark.parametrize("reading", ["softmax", "logit"])
def test_one_evaluation_of_a_score_with_linear_logit_models_it_exactly(game, edits, reading, monkeypatch):
    """The model's gradient is the objective's, at the evaluated mask and far from it."""
    objective = Objective(game=game, score=READINGS[reading])
    masks, step, gradients = draw(2, 4, 5), step_of(0, 2), []
    monkeypatch.setattr(bundle, "minimised", lambda gradient, *_: gradients.append(gradient) or masks)
    optimiser = Bundle()
    optimiser.tell(optimiser.begin(masks, step), evaluation(masks, objective, edits), step)
    (gradient,) = gradients
    assert isinstance(gradient.__self__, BundleModel)
    for place in (masks, draw(2, 4, 5, seed=9)):
        expected = gradient_at(place, objective, edits) + objective.penalty_gradient(place, step)
        assert torch.allclose(gradient(place), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("edits", [1, 3])
@pytest.mark.parametrize("reading", ["softmax", "logit"])
def test_the_gradient_that_optimisers_are_given_is_the_scores_by_autograd(game, edits, reading):
    objective = Objective(game=game, score=READINGS[reading])
    masks = draw(2, 4, 5)
    found = evaluation(masks, objective, edits)
    expected = gradient_at(masks, objective, edits)
    assert torch.allclose(found.gradient[:, 0], expected, rtol=1e-12, atol=0)
    mean = expected * game.sign / edits
    assert torch.allclose(found.linear.score_gradient()[:, 0], mean, rtol=1e-12, atol=0)
    assert replace(found, linear=None).gradient is None


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("penalty", [L1(0.1), *(TotalVariation(0.2, beta) for beta in (1.0, 2.0, 3.0, 3.5))])
def test_closed_gradients_are_those_of_autograd_and_zero_where_flat(game, penalty):
    masks = draw(3, 4, 5)
    masks[1] = 0.5
    masks[2, :, 2:] = 1.0
    free = masks.clone().requires_grad_()
    (expected,) = torch.autograd.grad(penalty.value(free, game, step_of(0, 3)).sum(), free)
    found = penalty.gradient(masks, game, step_of(0, 3))
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_the_ports_gradient_is_autograds():
    masks = draw(2, 4, 5)
    found = Objective(penalties=(MeanL1(0.1),)).penalty_gradient(masks, step_of(0, 2))
    assert torch.allclose(found, torch.full_like(masks, -0.1 / 20))


def test_the_trust_region_bounds_each_move_and_shrinks():
    optimiser, objective = Bundle(), Objective()
    masks = torch.zeros(3, 4, 5, dtype=torch.float64)
    memory, moves = optimiser.begin(masks, step_of(0, 3)), []
    for count in range(30):
        after, memory = optimiser.tell(memory, evaluation(masks, objective), step_of(count, 3))
        moves.append(float((after - memory[3]).abs().max()))
        masks = after
    limits = optimiser.reach(torch.arange(30))
    assert moves[0] == pytest.approx(optimiser.probe)
    assert all(move <= limit + 1e-12 for move, limit in zip(moves[1:], limits.tolist()[1:], strict=True))
    assert limits[1] == 1
    assert limits[2] == optimiser.radius
    assert limits[29] == pytest.approx(0.4 * 0.9**27)
    assert optimiser.reach(torch.tensor([39])) == optimiser.least_radius
    assert all(0 <= float(mask) <= 1 for mask in masks.flatten())


def test_after_a_far_worse_mask_it_goes_back_and_steps_less_far():
    optimiser, objective = Bundle(), Objective()
    start = torch.zeros(1, 4, 5, dtype=torch.float64)
    good = evaluation(start, objective)
    probe, memory = optimiser.tell(optimiser.begin(start, step_of(0, 1)), good, step_of(0, 1))
    bad = evaluation(probe, objective)
    bad = replace(bad, terms=bad.terms | {"score": bad.terms["score"] + 10})
    after, memory = optimiser.tell(memory, bad, step_of(1, 1))
    assert torch.equal(memory[3], start)
    assert memory[6].tolist() == [0.5]
    assert float((after - start).abs().max()) <= 0.5
    _, memory = optimiser.tell(memory, evaluation(after, objective), step_of(2, 1))
    assert torch.equal(memory[3], after)
    assert memory[6].tolist() == [1.0]


@pytest.mark.parametrize("game", GAMES)
def test_a_saturated_score_on_the_wrong_side_is_left_again(game):
    """Where no cell's score pulls harder than the penalties, although the objective is lower than before."""
    optimiser, objective = Bundle(), Objective(game=game, penalties=(L1(5.0, cells=None),)).on("softmax")
    start = torch.full((1, 4, 5), 1 - game.ideal, dtype=torch.float64)
    first = evaluation(start, objective)
    good = replace(first, linear=replace(first.linear, value=torch.full((1, 1), -3.0 * game.sign)))
    probe, memory = optimiser.tell(optimiser.begin(start, step_of(0, 1)), good, step_of(0, 1))
    for value, kept in ((20.0, start), (-20.0, probe)):
        told = evaluation(probe, objective)
        far = replace(told.linear, value=torch.full((1, 1), value * game.sign))
        score = game.sign * torch.sigmoid(far.value)
        _, after = optimiser.tell(
            memory, replace(told, linear=far, terms=told.terms | {"score": score}), step_of(1, 1)
        )
        assert torch.equal(after[3], kept)


@pytest.mark.parametrize(("reading", "step"), [("softmax", 0), ("logit", 1)])
def test_the_slack_is_known_after_the_first_evaluation_of_a_probability_and_the_second_of_another(
    reading, step
):
    objective = Objective().on(reading)
    optimiser, masks = Bundle(), draw(1, 4, 5)
    memory = optimiser.begin(masks, step_of(0, 1))
    told = [evaluation(masks, objective, 3), evaluation(0.5 * masks, objective, 3)]
    for count, one in enumerate(told):
        _, memory = optimiser.tell(memory, one, step_of(count, 1))
        assert bool(memory[5].isfinite()) == (count >= step)
    first, second = (one.terms for one in told)
    penalties = first["l1"] + first["tv"]
    expected = {
        "softmax": 0.2 * (3 * penalties).sqrt(),
        "logit": 0.1 * (second["score"] - first["score"]).abs(),
    }
    assert torch.allclose(memory[5], expected[reading][:, 0])


def test_near_and_recent_evaluations_count_most():
    optimiser = Bundle(remembered=3, memory=0.5, nearness=0.1)
    here = torch.zeros(1, 4, dtype=torch.float64)
    places = torch.stack([here, here + 0.1, here], dim=1)
    weights = optimiser._weights(places, here, torch.tensor([9]))[0]
    expected = torch.tensor([0.25, 0.5 / torch.e, 1.0], dtype=torch.float64)
    assert torch.allclose(weights, expected / expected.sum())
    young = optimiser._weights(places, here, torch.tensor([0]))[0]
    assert young.tolist() == [0, 0, 1]


def test_an_image_settles_when_a_window_is_no_better_than_the_one_before():
    optimiser = Bundle(window=2, gain=0.01, shrink=0.5, iterations=50)
    flat, falling = torch.ones(50, 3), torch.ones(50, 3)
    falling[:, 0] = torch.linspace(50, 1, 50)
    history = torch.stack([flat, falling])
    assert optimiser.settled(history, torch.tensor([20, 20])).tolist() == [True, False]
    assert optimiser.settled(history, torch.tensor([2, 2])).tolist() == [False, False]
    assert optimiser.settled(history, torch.tensor([49, 49])).tolist() == [True, True]


RANKS = ((0,), (1,), (2,), (0, 1))


@cache
def published(name: str, seed: int = 0) -> tuple[float, float]:
    """What a published preset reaches; learned once for all tests."""
    return reached(PRESETS[name], seed)


def reached(settings, seed: int = 0, ranks=RANKS) -> tuple[float, float]:
    """Mean objective and evaluations of some small photos, in float64."""
    learned = learn_masks(*learner_input(settings, seed, ranks))
    return (
        sum(sum(one.terms.values()) for one in learned) / len(learned),
        sum(one.evaluations for one in learned) / len(learned),
    )


def learner_input(settings, seed, ranks):
    made = bench(settings, (64, 64), ranks, seed=seed)
    return made.classifier, made.requests, settings


@pytest.mark.parametrize("name", ["paper", "preservation", "top5", "artifact-constant"])
def test_it_reaches_what_three_hundred_iterations_of_the_paper_reach(name):
    slow = PRESETS[name]
    fast = replace(slow, start=FAST.start, optimiser=FAST.optimiser)
    for seed in (0, 1):
        paper, bundled = published(name, seed), reached(fast, seed)
        assert bundled[1] <= 60
        assert bundled[0] <= paper[0] + 0.02 * abs(paper[0])


linear = loop._linear


def upside_down(*given) -> Linear:
    right = linear(*given)
    return replace(right, gradient=-right.gradient)


@pytest.mark.parametrize(
    ("place", "part", "mistake"),
    [
        (loop, "_linear", upside_down),
        (Objective, "penalty_gradient", lambda self, masks, iteration: torch.zeros_like(masks)),
        (Objective, "penalty_gradient", lambda self, masks, iteration: torch.full_like(masks, 1e-3)),
        (Bundle, "reach", lambda self, iteration: torch.full(iteration.shape, 0.001).double()),
    ],
)
def test_mistakes_in_it_are_noticed(place, part, mistake, monkeypatch):
    paper = published("paper")
    monkeypatch.setattr(place, part, mistake)
    assert reached(replace(FAST, retries=()))[0] > 1.02 * paper[0]


class Saturated(nn.Module):
    """Sure of class 0 while a twentieth of the picture's contrast is left, as large networks are."""

    def forward(self, x: Tensor) -> Tensor:
        detail = (x - x.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(1, 2, 3))
        return torch.stack([40 * (detail / 0.004).clamp(max=1) - 3, torch.zeros_like(detail)], dim=1)


def test_a_score_that_stays_saturated_at_the_probe_does_not_trap_it():
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    model = Classifier(Saturated(), size=(64, 64), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    cheap = replace(FAST, objective=Objective(penalties=(L1(1e-4), TotalVariation(1e-2))), retries=())
    found = explain(model, picture, 0, preset=cheap)
    assert found.scores.original > 0.99
    assert found.run.history["score"][1] > 0.99  # the probe
    assert found.run.history["score"][-1] < 0.2
    assert found.scores.perturbed < 0.2
    paper = explain(model, picture, 0, preset=replace(cheap, start=PRESETS["paper"].start, optimiser=Adam()))
    assert found.objective <= 1.1 * paper.objective
