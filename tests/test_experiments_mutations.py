"""Deliberate mistakes in the experiments, one at a time: the tests must fail at each."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from sklearn import model_selection

import test_adversarial as adversary
import test_experiments as paper
import test_experiments_staged as staged
from test_experiments import world
from unsee.experiments import (
    adversarial,
    animal_parts,
    games,
    insertion_deletion,
    interrogation,
    localisation,
    maps,
    minimality,
    pointing,
    representativeness,
    sensitivity,
)
from unsee.masks import PRESETS
from unsee.masks.grid import Grid
from unsee.masks.penalties import L1
from unsee.metrics import binarised, mean_of

__all__ = ["world"]

# The right functions, before any is replaced.
entropy, heat, around, chosen = (
    F.cross_entropy,
    adversarial.heat_of,
    interrogation._around,
    localisation._best,
)
ratio, submission, clamp = animal_parts._ratio, localisation._submission, torch.Tensor.clamp
five, against_mask = maps.five_best, localisation._against_mask
scores, around_points = interrogation.scores_under, animal_parts.around_keypoints


class Pairless(model_selection.KFold):
    """Folds that ignore pairs."""

    def split(self, X, y=None, groups=None):  # noqa: N803
        return super().split(X, y)


def nothing_left(*given):
    """The fully blurred image has score 0."""
    found = scores(*given)
    found[-1] = 0
    return found


def turned(places):
    return [(y, x) for x, y in places]


def towards_the_class(*given, reduction="mean"):
    return -entropy(*given, reduction=reduction)


def unbounded(tensor, *ends, **named):
    return tensor if ends and isinstance(ends[0], torch.Tensor) else clamp(tensor, *ends, **named)


def pooled(records):
    """A group's ratio over its images, not its classes."""
    found = {}
    for group, own in animal_parts.by(records, "group").items():
        classes = animal_parts.Estimate.exactly(len({record["class"] for record in own}))
        found[group] = {animal_parts.RATIO: ratio(own), "classes": classes}
    rows = {group: row for group, row in found.items() if group}
    yield animal_parts.Table("mask at feet over eyes, by group of classes", rows, {"dog": {}})


def last_threshold(tried):
    columns = [sum(column) for column in zip(*tried, strict=True)]
    return len(columns) - 1 - columns[::-1].index(max(columns))


def on_all(records):
    return [chosen([record["found"] for record in records])] * len(records)


def hits_for_misses(misses):
    return {
        m: {rule: [not one for one in missed] for rule, missed in own.items()} for m, own in misses.items()
    }


def in_order(misses):
    return {m: {rule: sorted(missed) for rule, missed in own.items()} for m, own in misses.items()}


def first_box_alone(case):
    sample = replace(case.sample, instances=case.sample.instances[:1])
    return around(replace(case, sample=sample))


def ends_left_out(records, chosen):
    return submission(
        [{**r, "boxes": [[a, b, c + 1, d + 1] for a, b, c, d in r["boxes"]]} for r in records], chosen
    )


def unscaled_l1(settings, times):
    return replace(settings, objective=settings.objective.with_penalty(L1(1e-3 * times)))


def with_jitter(settings, cell):
    return replace(settings, grid=Grid(cell=cell), jitter=0)


def changes(name, change):
    return sensitivity.CHANGES | {name: (change, *sensitivity.CHANGES[name][1:])}


attacks, defence, one_box = adversary.TestAttack(), adversary.TestAdversarial(), staged.TestInterrogation()
parts, places, points = paper.TestAnimalParts(), paper.TestLocalisation(), paper.TestPointing()
simpler, smallest, settings = paper.TestRepresentativeness(), paper.TestMinimality(), staged.TestSensitivity()

GAMES_SWAPPED = {
    "deletion": insertion_deletion.insertion,
    "insertion": insertion_deletion.deletion,
}

MISTAKES = {
    "attack towards the class": (
        *(F, "cross_entropy", towards_the_class),
        lambda world, patch: attacks.test_it_stays_within_epsilon_and_changes_the_answer(),
    ),
    "attack without a bound": (
        *(torch.Tensor, "clamp", unbounded),
        lambda world, patch: attacks.test_it_stays_within_epsilon_and_changes_the_answer(),
    ),
    "pairs on both sides": (
        *(model_selection, "GroupKFold", lambda n: Pairless(n, shuffle=True, random_state=0)),
        lambda world, patch: adversary.TestDetector().test_a_pair_is_always_in_one_fold(),
    ),
    "the rest is blurred": (
        *(adversarial, "heat_of", lambda method, saliency: 1 - heat(method, saliency)),
        lambda world, patch: defence.test_a_mask_that_removes_the_attack_restores_the_label(patch),
    ),
    "masks stretched": (
        *(adversarial, "heat_of", lambda method, saliency: heat("gradient", saliency)),
        lambda world, patch: defence.test_a_mask_that_removes_the_attack_restores_the_label(patch),
    ),
    "other maps as they are": (
        *(animal_parts, "heat_of", lambda method, saliency: saliency),
        lambda world, patch: parts.test_images_without_eyes_or_feet_do_not_count_and_masks_stay_as_they_are(
            world
        ),
    ),
    "box of the first object alone": (
        *(interrogation, "_around", first_box_alone),
        lambda world, patch: one_box.test_boxes_and_scores(),
    ),
    "three quarters for four fifths": (
        *(interrogation, "_MUCH", 0.75),
        lambda world, patch: one_box.test_four_fifths_are_counted_over_images_that_fall(),
    ),
    "all but the box is blurred": (
        *(interrogation, "scores_under", lambda *given: scores(*given[:3], 1 - given[3], given[4])),
        lambda world, patch: one_box.test_what_is_lost_is_of_the_blurred_box(),
    ),
    "lost of the score itself": (
        *(interrogation, "scores_under", nothing_left),
        lambda world, patch: one_box.test_what_is_lost_is_of_the_blurred_box(),
    ),
    "missing boxes as 0": (
        *(minimality, "mean_of", lambda values: mean_of([*values, 0])),
        lambda world, patch: smallest.test_images_without_a_box_are_left_out_and_counted(),
    ),
    "pairs by picture, whatever was asked": (
        *(minimality, "_areas", lambda records: {r["id"]: r["area"] for r in records if r["area"]}),
        lambda world, patch: smallest.test_methods_are_compared_with_the_mask_image_by_image(),
    ),
    "tenths that are hundredths": (
        *(minimality, "COARSE", 100),
        lambda world, patch: smallest.test_boxes_grow_with_the_share(world),
    ),
    "saliency for mask": (
        *(representativeness, "binarised", lambda mask, alphas: binarised(1 - mask, alphas)),
        lambda world, patch: simpler.test_a_mask_of_the_whole_image_removes_the_whole_score(world),
    ),
    "eyes over feet": (
        *(animal_parts, "_ratio", lambda records: ratio([swapped(record) for record in records])),
        lambda world, patch: parts.test_the_ratio_is_of_the_mask(),
    ),
    "groups over pictures": (
        *(animal_parts, "_by_group", pooled),
        lambda world, patch: parts.test_a_group_s_number_is_the_mean_over_its_classes(),
    ),
    "rows for columns": (
        *(animal_parts, "around_keypoints", lambda m, places, *rest: around_points(m, turned(places), *rest)),
        lambda world, patch: parts.test_eyes_and_feet(world),
    ),
    "worst threshold": (
        *(localisation, "_best", lambda tried: chosen([[not hit for hit in found] for found in tried])),
        lambda world, patch: places.test_the_threshold_is_chosen_on_other_images(),
    ),
    "last of several thresholds": (
        *(localisation, "_best", last_threshold),
        lambda world, patch: first_of_several(),
    ),
    "found at any overlap": (
        *(localisation, "localised", lambda boxes, truths: torch.ones(len(boxes), dtype=torch.bool)),
        lambda world, patch: places.test_the_truth_is_found_and_noise_is_not(world),
    ),
    "thresholds chosen on what is counted": (
        *(localisation.Localisation, "_chosen", lambda self, records, fold: on_all(records)),
        lambda world, patch: places.test_the_threshold_is_chosen_on_other_images(),
    ),
    "the mask's error more than others'": (
        *(localisation, "_against_mask", lambda misses: against_mask(hits_for_misses(misses))),
        lambda world, patch: places.test_methods_are_compared_with_the_mask_image_by_image(),
    ),
    "differences that are not in pairs": (
        *(localisation, "_against_mask", lambda misses: against_mask(in_order(misses))),
        lambda world, patch: places.test_methods_are_compared_with_the_mask_image_by_image(),
    ),
    "differences at thresholds chosen on all": (
        *(localisation.Localisation, "_chosen", lambda self, records, fold: on_all(records)),
        lambda world, patch: places.test_differences_are_at_the_thresholds_of_other_images(),
    ),
    "submission with ends left out": (
        *(localisation, "_submission", ends_left_out),
        lambda world, patch: staged.TestSubmission().test_a_line_for_each_picture(),
    ),
    "pixels of the picture": (
        *(pointing, "_resized", lambda instances, old, new: instances),
        lambda world, patch: points.test_fifteen_pixels_are_of_the_network_s_input((200, 200), 63, True),
    ),
    "all pictures difficult": (
        *(pointing, "difficult", lambda sample, label: False),
        lambda world, patch: points.test_the_ground_truth_is_always_hit(world),
    ),
    "games swapped": (
        *(insertion_deletion, "_GAMES", GAMES_SWAPPED),
        lambda world, patch: staged.TestCurves().test_the_more_salient_first(),
    ),
    "five classes by the preset fast alone": (
        *(maps, "five_best", lambda preset: five("fast")),
        lambda world, patch: staged.TestMapSources().test_the_best_five_have_the_published_objective(),
    ),
    "default objective for five classes": (
        *(maps, "five_best", lambda preset: PRESETS[preset]),
        lambda world, patch: staged.TestMapSources().test_the_best_five_have_the_published_objective(),
    ),
    "the same game twice": (
        *(games, "adjusted", lambda base, game: base),
        lambda world, patch: staged.TestGames().test_map_sources(),
    ),
    "ten times the weight": (
        *(sensitivity, "CHANGES", changes("λ1", unscaled_l1)),
        lambda world, patch: settings.test_each_source_changes_one_setting(),
    ),
    "two settings at once": (
        *(sensitivity, "CHANGES", changes("cell", with_jitter)),
        lambda world, patch: settings.test_each_source_changes_one_setting(),
    ),
    "found where it is not": (
        *(sensitivity, "_CUT", 0.0),
        lambda world, patch: settings.test_numbers_hits_and_lines(),
    ),
}  # fmt: skip


def swapped(record):
    return record | {"eye": record["foot"], "foot": record["eye"]}


def first_of_several():
    assert localisation._best([[False, True, True], [True, True, True]]) == 1


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch, world):
    place, part, mistake, compare = MISTAKES[name]
    with monkeypatch.context() as patch:
        compare(world, patch)
    with monkeypatch.context() as patch:
        patch.setattr(place, part, mistake)
        with pytest.raises(AssertionError):
            compare(world, patch)
