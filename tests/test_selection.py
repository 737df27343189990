"""The mask that is returned: the best, over fixed jitters, of the last, the start, the best and both ends."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import against_literal as against
import literal
import test_literal_trajectories as trajectories
from nets import bench
from test_seams import RandomSearch
from unsee.masks.convergence import CONVERGED, EDITED, IDEAL, LEARNED, START, verdict
from unsee.masks.game import DELETION, PRESERVATION
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.starts import CircularStart, ConstantStart, EditedStart, RandomStart

UNTOUCHED, PERTURBED = "the untouched image", "the fully perturbed image"
STARTS = (CircularStart(), EditedStart(), ConstantStart(0.5), ConstantStart(1.0), RandomStart())


def compare_choice(game="deletion", rate=1.0, seed=0, expected=("the start", PERTURBED, UNTOUCHED)):
    """Three steps of three photos: what the literal version chooses is returned, and said in the verdict."""
    name, options = trajectories.PLAYED[game]
    options = trajectories.per_cells({**options, "lr": rate}, 36)
    setting = trajectories.shortened(name, optimiser=Adam(rate=rate, iterations=3))
    made = bench(setting, ranks=trajectories.BATCH, seed=seed)
    learned = against.compare_learning(made, setting, options, full=True)
    for one, what in zip(learned, expected, strict=True):
        sentence = f"no gain: no mask was better than {what}"
        assert (one.verdict == sentence) if what else not one.verdict.startswith("no gain")


@pytest.mark.parametrize(
    ("game", "rate", "seed", "expected"),
    [
        ("deletion", 1.0, 0, ("the start", PERTURBED, UNTOUCHED)),
        ("deletion", 1.0, 1, (None, None, None)),  # the best that was evaluated
        ("deletion", 0.01, 0, (None, PERTURBED, UNTOUCHED)),
        ("preservation", 1.0, 0, (None, None, PERTURBED)),
        ("preservation", 0.01, 0, (None, UNTOUCHED, PERTURBED)),
    ],
)
def test_each_candidate_is_returned_where_the_literal_version_chooses_it(game, rate, seed, expected):
    compare_choice(game, rate, seed, expected)


@pytest.mark.parametrize(("game", "ideal"), [(DELETION, UNTOUCHED), (PRESERVATION, PERTURBED)])
def test_the_verdict_names_what_no_mask_was_better_than(game, ideal):
    edited = PERTURBED if ideal == UNTOUCHED else UNTOUCHED
    flat, scores = torch.ones(20), torch.tensor([0.9, 0.1, 0.0])
    named = {what: verdict(flat, -1, 1.0, scores, what, game) for what in (LEARNED, START, IDEAL, EDITED)}
    told = {START: "the start", IDEAL: ideal, EDITED: edited}
    assert named == {LEARNED: CONVERGED} | {
        what: f"no gain: no mask was better than {words}" for what, words in told.items()
    }


@pytest.mark.parametrize(
    ("scores", "game", "expected"),
    [
        ((0.9, 0.81, 0.1), DELETION, CONVERGED),
        ((0.9, 0.83, 0.1), DELETION, "no gain"),
        ((0.9, 0.99, 0.1), DELETION, "no gain"),
        ((0.1, 0.02, 0.5), DELETION, CONVERGED),
        ((0.9, 0.17, 0.1), PRESERVATION, "no gain"),
        ((0.9, 0.19, 0.1), PRESERVATION, CONVERGED),
        ((0.1, 0.13, 0.5), DELETION, "no gain"),
        ((0.5, 0.1, 0.1), PRESERVATION, "no gain"),
        ((0.5, 0.5, 0.5), DELETION, CONVERGED),
    ],
)
def test_a_mask_that_hardly_changes_the_score_is_no_gain(scores, game, expected):
    found = verdict(torch.ones(20), -1, 1.0, torch.tensor(scores, dtype=torch.float64), LEARNED, game)
    assert found.startswith(expected)


def check_no_known_mask_is_better(optimiser, game, score, margin, start, weight, seed):
    """Compare the returned mask with every mask whose objective is known, by the literal version."""
    options = {**literal.PAPER, "game": game, "score": score, "margin": margin, "l1": weight}
    setting = replace(against.settings_like(options), optimiser=optimiser, start=start)
    made = bench(setting, (32, 32), seed=seed)
    (learned,), (last,) = against.learned_with_last(made, setting)
    scoring = made.scoring(setting)
    (begun,) = setting.start(scoring, setting.objective.game, (4, 4)).masks.numpy()
    references = made.references(setting.perturbations, 0, 1)
    given = (made.inputs[0].canvas.numpy(), references, made.net, made.targets[0], options)
    cost, _ = literal.over_windows(learned.grid.numpy(), *given)
    assert sum(learned.terms.values()) == pytest.approx(cost, abs=1e-9)
    for known in (last.numpy(), begun, np.zeros((4, 4)), np.ones((4, 4))):
        assert cost <= literal.over_windows(known, *given)[0] + 1e-9
    if margin == 0:
        assert cost <= min(sum(values) for values in zip(*learned.history.values(), strict=True)) + 1e-9


@pytest.mark.parametrize(
    "optimiser",
    [Adam(rate=1.0, iterations=6), Bundle(iterations=10), RandomSearch(iterations=4, several=3)],
    ids=["adam", "bundle", "random search"],
)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    game=st.sampled_from(["deletion", "preservation"]),
    score=st.sampled_from(["softmax", "logits"]),
    margin=st.sampled_from([0, 4]),
    start=st.sampled_from(STARTS),
    weight=st.sampled_from([1e-4, 5e-3, 5e-2]),
    seed=st.integers(0, 40),
)
def test_no_known_mask_is_better_than_the_one_that_is_returned(optimiser, **drawn):
    check_no_known_mask_is_better(optimiser, **drawn)
