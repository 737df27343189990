"""`plan_for`: the arguments of `explain` as one value, which the functions that learn masks take."""

from dataclasses import replace

import pytest

import unsee
from unsee.defaults import (
    AREA_PRESET,
    DEFAULT_PRESET,
    METHODS_REPRODUCED,
    METHODS_SHOWN,
    PERTURBATION_NAMES,
)
from unsee.errors import UnseeError
from unsee.experiments.catalogue import experiment_named
from unsee.experiments.layers import Layers
from unsee.masks.area_arguments import LADDER
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.settings import adjusted
from unsee.runs.learn import LearnSettings, check_for_mask


def test_without_arguments_it_is_the_default_preset():
    assert unsee.plan_for() == unsee.Plan(unsee.PRESETS["fast"], "fast")


def test_an_area_brings_its_own_preset():
    single, several, smallest = (unsee.plan_for(area=area) for area in (0.1, (0.1, 0.2), "smallest"))
    assert {plan.preset for plan in (single, several, smallest)} == {"extremal-fast"}
    assert single.settings == unsee.PRESETS["extremal-fast"].with_area(0.1)
    assert (single.areas, several.areas, smallest.areas) == ((), (0.1, 0.2), LADDER)
    assert (several.share, smallest.share) == (None, 0.9)
    assert unsee.plan_for("extremal", area=0.1).preset == "extremal"


def test_options_change_the_preset():
    plan = unsee.plan_for("paper", game="preservation", perturbation="noise", iterations=7, seed=3)
    changed = adjusted(unsee.PRESETS["paper"], "preservation", "noise", 7)
    assert plan == unsee.Plan(changed, "paper", seed=3, iterations=7)


def test_settings_of_ones_own_are_custom():
    own = replace(unsee.PRESETS["fast"], jitter=0)
    assert unsee.plan_for(own) == unsee.Plan(own, "custom")


def test_what_is_to_suffice_chooses_the_game():
    plan = unsee.plan_for(keep=0.9, another=2)
    assert plan.settings.objective.game.name == "preservation"
    assert plan.sufficient.another == 2


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"preset": "fats"}, "did you mean fast"),
        ({"share": 0.5}, 'ask for area="smallest"'),
        ({"suppress": 0.9, "keep": 0.9}, "give one of them"),
        ({"suppress": 0.9, "game": "preservation"}, "leave game"),
        ({"suppress": 0.9, "area": 0.1}, "leave area"),
        ({"suppress": 0.9, "layer": "layer1"}, "leave the layer out"),
        ({"layer": "layer1", "area": 0.1}, "a given area is for masks on pixels"),
        ({"layer": "layer1", "perturbation": "blur"}, "leave perturbation"),
        ({"precision": "float8"}, "float8"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_arguments_are_refused_without_a_network(options, line):
    with pytest.raises(UnseeError, match=line) as error:
        unsee.plan_for(**options)
    assert "\n" not in str(error.value)


def test_a_layer_waits_for_the_network():
    plan = unsee.plan_for(layer="layer")
    assert plan.layer == unsee.OnLayer("layer")
    assert plan.settings == unsee.PRESETS["fast"]


def test_the_names_in_the_help_are_those_of_the_table():
    assert set(PERTURBATION_NAMES) == set(PERTURBATIONS)
    assert {DEFAULT_PRESET, AREA_PRESET} < set(unsee.PRESETS)
    assert set(METHODS_SHOWN) < set(METHODS_REPRODUCED) < set(unsee.METHODS)


def test_options_of_the_mask_are_refused_for_other_methods():
    check_for_mask("mask", {"area": 0.1})
    check_for_mask("grad-cam", {"area": None})
    with pytest.raises(UnseeError, match="area is for the learned mask, and grad-cam does not take it"):
        check_for_mask("grad_cam", {"game": None, "area": 0.1})


def test_a_run_learns_by_the_default_plan():
    assert LearnSettings().plan == unsee.plan_for()


def test_an_experiment_on_layers_declares_that_it_is():
    assert experiment_named("layers", ["pool1"]) == Layers(("pool1",))
    assert experiment_named("layers") == Layers()
    with pytest.raises(UnseeError, match="is for the experiment layers: leave it out of minimality"):
        experiment_named("minimality", ["pool1"])
