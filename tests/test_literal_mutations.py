"""Deliberate mistakes in the implementation, one at a time: the comparisons must notice each."""

from functools import partial

import numpy as np
import pytest

import against_literal as against
import literal
import mistakes as wrong
import test_literal_terms as terms
import test_literal_trajectories as trajectories
import test_selection as chosen
from unsee.masks import convergence, grid, learner, objective, requests, selection, starts
from unsee.masks import outcome as outcome_file
from unsee.masks.edits import linear_blend, perturbation
from unsee.masks.edits.linear_blend import LinearBlend
from unsee.masks.grid import Upsampler
from unsee.masks.objective import Objective
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.protocol import Evaluation, Linear
from unsee.masks.penalties import L1, MeanAxisVariation, MeanL1, TotalVariation
from unsee.masks.scoring import Scored, Scoring
from unsee.masks.starts import CircularStart

FEW = 6
paper = partial(trajectories.compare_preset, iterations=FEW)
outcome = partial(paper, full=True)
preservation = partial(paper, "preservation", trajectories.PRESERVATION)
joint = partial(paper, perturbations=perturbation.PERTURBATIONS["joint"])
authors = partial(paper, "authors", literal.AUTHORS)
batch = partial(paper, ranks=trajectories.BATCH)
port = partial(trajectories.compare_port, iterations=FEW)
discs = trajectories.compare_discs
keeping_discs = partial(discs, "preservation")
odd_discs = partial(
    trajectories.test_circular_start_on_odd_sides_where_pixels_lie_on_the_circles, "deletion", 5
)
code_start = CircularStart(step=2, stretch=True, first_target=True)
code_discs = partial(discs, start=code_start, ranks=((3, 0),))
no_disc = partial(trajectories.test_everything_is_perturbed_if_no_disc_is_enough, "deletion", False)
same_score = partial(
    trajectories.test_everything_is_perturbed_if_photo_and_perturbed_photo_have_the_same_score,
    "deletion",
    False,
)
start_on_grid = trajectories.test_a_start_is_the_mean_over_each_cell_even_if_cells_are_not_whole_pixels
offsets = trajectories.test_jitter_is_uniform_and_depends_only_on_the_seed
window = partial(terms.compare_case, edits="joint")
classes = partial(window, ranks=terms.SEVERAL)
port_window = partial(window, regularisers="mean")
keeping_window = partial(window, game="preservation")
noisy_window = terms.test_noise_on_the_input_is_added_after_the_blend
code_window = terms.test_authors_objective_and_gradient
upsampling = terms.compare_upsampling
flat = partial(terms.test_variation_of_a_flat_mask_has_gradient_zero, 1.5)
blurred = partial(terms.test_blur_equals_scipys_and_the_literal_version, 10.0)
median = partial(terms.test_median_equals_scipys_and_the_literal_version, 11)
median_gaussian = terms.test_median_gaussian_is_the_average_over_one_window
native = terms.test_native_blur_is_blurred_and_rounded_before_it_is_resized
colour = terms.test_constant_is_the_mean_colour_or_a_given_colour
noise = partial(
    terms.test_noise_has_its_statistics_and_depends_only_on_the_seed, perturbation.GaussianNoise()
)
input_noise = terms.compare_input_noise


choice = chosen.compare_choice
best_choice = partial(choice, seed=1, expected=(None, None, None))
keeping_choice = partial(choice, "preservation", 0.01, expected=(None, chosen.UNTOUCHED, chosen.PERTURBED))
evaluations = partial(
    trajectories.test_evaluations_count_both_ends_each_disc_and_each_step, "deletion", "blur"
)


def differences():
    """Compare the gradient of a rough mask's objective with its finite differences."""
    made, settings, _, mask = terms.case(beta=1.5)
    against.compare_differences(made, settings, mask)


MISTAKES = {
    "TV with exponent beta": (
        TotalVariation,
        "value",
        wrong.variation(wrong.forward, lambda b: b),
        window,
    ),
    "TV over periodic borders": (TotalVariation, "value", wrong.variation(wrong.periodic), window),
    "TV of backward differences": (TotalVariation, "value", wrong.variation(wrong.backward), window),
    "TV of each axis by itself": (TotalVariation, "value", wrong.per_axis, window),
    "TV with NaN where flat": (TotalVariation, "value", wrong.nan_where_flat, flat),
    "port's TV without a gradient": (MeanAxisVariation, "value", wrong.detached_tv, port),
    "port's TV without a gradient, one mask": (MeanAxisVariation, "value", wrong.detached_tv, port_window),
    "port's L1 as a sum": (MeanL1, "value", wrong.unscaled_l1, port_window),
    "L1 as a mean": (L1, "value", wrong.mean_l1, window),
    "L1 not scaled to the cells": (L1, "value", wrong.unscaled_l1, paper),
    "L1 of the other side": (Objective, "terms", wrong.wrong_side, window),
    "sign of deletion": (Objective, "terms", wrong.wrong_sign, preservation),
    "sign of deletion, one mask": (Objective, "terms", wrong.wrong_sign, keeping_window),
    "gradient of half the score": (Objective, "terms", wrong.half_detached, window),
    "gradient of half the score, differences": (Objective, "terms", wrong.half_detached, differences),
    "logits for softmax": (Scoring, "_scored", wrong.logits, paper),
    "logits for softmax, one mask": (Scoring, "_scored", wrong.logits, window),
    "only the first class": (Scoring, "_scored", wrong.first_class_alone, classes),
    "joint averaged": (Scoring, "jittered_scores", wrong.scored(divide=True), joint),
    "joint averaged, one mask": (Scoring, "jittered_scores", wrong.scored(divide=True), window),
    "photo and edit swapped": (linear_blend, "blend", wrong.swapped, outcome),
    "photo and edit swapped, one mask": (LinearBlend, "apply", wrong.mask_swapped, window),
    "one colour's gradient": (
        linear_blend._Blended,
        "backward",
        staticmethod(wrong.red_gradient_alone),
        differences,
    ),
    "upsampling off by one cell": (grid, "upsampling_matrix", wrong.one_cell_off, paper),
    "upsampling off by one cell, one mask": (grid, "upsampling_matrix", wrong.one_cell_off, upsampling),
    "mask blur of 4": (grid, "gaussian_matrix", wrong.sigma_4, paper),
    "mask blur of 4, one mask": (grid, "gaussian_matrix", wrong.sigma_4, upsampling),
    "jitter ignored": (requests, "jitter_offsets", wrong.no_jitter, paper),
    "jitter's rows and columns swapped": (requests, "jitter_offsets", wrong.turned_jitter, paper),
    "jitter of the first photo for all": (requests, "jitter_offsets", wrong.common_jitter, batch),
    "jitter of fewer places": (trajectories, "jitter_offsets", wrong.fewer_places, offsets),
    "mask moved with the jitter": (Scoring, "jittered_scores", wrong.scored(move=True), paper),
    "edit not moved": (Scoring, "jittered_scores", wrong.scored(still_edits=True), paper),
    "Adam's second beta": (learner, "optimise", wrong.adam(betas=(0.9, 0.9)), paper),
    "Adam's first beta": (learner, "optimise", wrong.adam(betas=(0.0, 0.999)), paper),
    "Adam's epsilon": (learner, "optimise", wrong.adam(epsilon=1e-6), paper),
    "learning rate": (learner, "optimise", wrong.adam(rate=0.11), paper),
    "steps of the gradient's sign": (Adam, "tell", wrong.sign_descent, paper),
    "no clipping": (Adam, "tell", wrong.unclipped, paper),
    "second to last mask": (Adam, "tell", wrong.one_step_short, paper),
    "loss averaged over the batch": (Adam, "tell", wrong.averaged_over_the_batch, batch),
    "bias corrected for another iteration": (Adam, "tell", wrong.common_iteration, paper),
    "terms of one window": (selection, "fixed_terms", wrong.first_window_alone, outcome),
    "scores in another order": (outcome_file, "_final_scores", wrong.fully_perturbed_first, outcome),
    "gradient of one edit's score": (Evaluation, "gradient", property(wrong.gradient_of_one_edit), joint),
    "gradient of one edit's score, one mask": (
        Evaluation,
        "gradient",
        property(wrong.gradient_of_one_edit),
        window,
    ),
    "gradient of the log-odds": (Linear, "score_gradient", wrong.gradient_of_the_log_odds, paper),
    "log-odds without the other classes": (
        objective,
        "_LOG_ODDS",
        objective._LOG_ODDS | {objective.softmax_score: wrong.odds_of_the_targets_alone},
        window,
    ),
    "mean of the log-odds": (Scored, "summed", staticmethod(wrong.mean_of_log_odds), window),
    "last mask whatever it costs": (selection, "_can_win", wrong.last_alone, choice),
    "start left out": (outcome_file, "selected", wrong.without_the_start, choice),
    "best mask left out": (outcome_file, "selected", wrong.without_the_best, best_choice),
    "least score of preservation": (Objective, "least_score", property(lambda _: 0.0), keeping_choice),
    "candidates left out too soon": (selection, "penalty_total", wrong.dearer_penalties, choice),
    "verdict in deletion's words": (convergence, "_in_words", wrong.deletion_s_words, keeping_choice),
    "5 %": (CircularStart, "_search", wrong.looser, discs),
    "95 %": (CircularStart, "_search", wrong.looser, keeping_discs),
    "one disc further": (CircularStart, "_search", wrong.one_disc_on, discs),
    "one disc further, counted": (CircularStart, "_search", wrong.one_disc_on, evaluations),
    "last disc if none is enough": (CircularStart, "_search", wrong.last_disc_where_none, no_disc),
    "division by equal scores": (starts, "_SAME_SCORE", -1.0, same_score),
    "discs with their rim": (CircularStart, "discs", wrong.drawn(lambda d, r: d <= r**2), odd_discs),
    "diameter for radius": (CircularStart, "discs", wrong.drawn(lambda d, r: 4 * d < r**2), discs),
    "hard discs": (CircularStart, "discs", wrong.drawn(lambda d, r: d < r**2, 0.0), discs),
    "start not stretched": (starts, "_stretched", wrong.no_stretch, code_discs),
    "start scored for every target": (CircularStart, "__call__", wrong.every_target, code_discs),
    "start sampled": (starts, "to_cells", wrong.sampled, discs),
    "start sampled, uneven cells": (trajectories, "to_cells", wrong.sampled, start_on_grid),
    "blur kept in the gradient": (Upsampler, "__call__", wrong.exact_gradient, authors),
    "blur kept in the gradient, one mask": (Upsampler, "__call__", wrong.exact_gradient, code_window),
    "no 8-bit mask": (Upsampler, "__call__", wrong.no_rounding, authors),
    "8-bit mask cut off": (Upsampler, "__call__", wrong.floored, authors),
    "noise drawn once": (Scoring, "noise_at", wrong.noise_drawn_once, port),
    "noise not in the network's units": (Scoring, "noise_at", wrong.noise_not_in_units_of_std, input_noise),
    "noise left out": (Scoring, "jittered_scores", wrong.scored(silent=True), port),
    "noise left out, one mask": (Scoring, "jittered_scores", wrong.scored(silent=True), noisy_window),
    "weaker blur": (perturbation, "smooth", wrong.weaker, blurred),
    "wider window": (perturbation, "smooth", wrong.longer_reach, median_gaussian),
    "median over a mirrored border": (perturbation, "_median", wrong.mirrored, median),
    "native blur after resizing": (perturbation.NativeBlur, "references", wrong.resized_first, native),
    "native blur not rounded": (perturbation.NativeBlur, "references", wrong.not_rounded, native),
    "black for a colour": (perturbation.Constant, "references", wrong.black, colour),
    "noise without colour": (perturbation.GaussianNoise, "references", wrong.grey_noise, noise),
    "noise of one seed": (perturbation.GaussianNoise, "references", wrong.noise_of_one_seed, noise),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch):
    place, part, mistake, compare = MISTAKES[name]
    monkeypatch.setattr(place, part, mistake)
    with np.errstate(all="ignore"), pytest.raises(AssertionError):
        compare()


@pytest.mark.parametrize(
    "compare",
    [
        paper,
        preservation,
        joint,
        authors,
        batch,
        port,
        code_discs,
        differences,
        choice,
        best_choice,
        keeping_choice,
    ],
)
def test_without_a_mistake_the_comparisons_pass(compare):
    compare()
