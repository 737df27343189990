"""Settings as JSON values: what differs between two of them."""

from dataclasses import replace

from unsee.masks import PRESETS, adjusted
from unsee.masks.penalties import L1
from unsee.records import described, differences


def test_nested_values_are_named_with_dots():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == ["a.c: 2 → 3"]
    assert differences({"a": 1}, {"b": 1}) == ["a: 1 → none", "b: none → 1"]
    assert differences({"a": [1, 2]}, {"a": [1, 2]}) == []


def test_items_of_a_list_are_matched_by_their_name():
    before = described(PRESETS["paper"])
    objective = PRESETS["paper"].objective.with_penalty(L1(1e-3))
    after = described(replace(PRESETS["paper"], objective=objective))
    assert differences(before, after) == ["objective.penalties.l1.weight: 0.0001 → 0.001"]


def test_a_list_without_names_is_one_value():
    assert differences({"size": [224, 224]}, {"size": [224, 299]}) == ["size: [224, 224] → [224, 299]"]
    same_name = [{"name": "a", "x": 1}, {"name": "a", "x": 2}]
    assert len(differences({"parts": same_name}, {"parts": same_name[:1]})) == 1


def test_records_without_names_are_matched_by_their_place():
    before = described(PRESETS["fast"])
    after = described(adjusted(PRESETS["fast"], iterations=9))
    assert differences(before["retries"], after["retries"], "retries") == [
        "retries.0.optimiser.iterations: 40 → 9",
        "retries.1.optimiser.iterations: 300 → 9",
    ]
    assert len(differences(before, described(replace(PRESETS["fast"], retries=())))) == 1
