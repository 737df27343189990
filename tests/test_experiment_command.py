"""`unsee experiment` and `unsee experiments`."""

import csv
import json
from dataclasses import replace

import pytest
from PIL import Image

import unsee
from experiment_data import drawn
from pictures import network
from unsee.cli import experiment as command
from unsee.experiments.catalogue import EXPERIMENTS

SMALL = replace(network(), class_names=None)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The command loads a small network and a small data set."""
    monkeypatch.setattr(command, "load_models", lambda models, weights, device, network: (SMALL,))
    monkeypatch.setattr(unsee, "open_dataset", lambda name, split, classes: drawn())


def test_tables_figure_and_resuming(run, tmp_path):
    options = ("--target", "predicted", "--methods", "gradient,center", "--limit", 6, "--out", "out")
    first = run("experiment", "minimality", *options)
    assert first.code == 0, first.err
    assert "mean area of the smallest box" in first.err
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["row"] for row in rows} == {"gradient", "center"}
    with Image.open(tmp_path / "out" / "figure.png") as image:
        assert image.size[0] > 300
    again = run("experiment", "minimality", *options, "--json")
    printed = json.loads(again.out, parse_constant=pytest.fail)
    assert printed == json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))
    assert [row["value"] for row in printed["tables"]] == [
        float(row["value"]) if row["value"] else None for row in rows
    ]


def test_other_settings_are_refused(run):
    options = ("--target", "predicted", "--methods", "center", "--limit", 2, "--out", "out")
    assert run("experiment", "minimality", *options).code == 0
    found = run("experiment", "representativeness", *options)
    assert found.code == 2
    assert "out holds the experiment minimality, not representativeness" in found.err
    found = run("experiment", "minimality", *options, "--methods", "gradient")
    assert found.code == 2
    assert "other maps of center, gradient" in found.err
    assert run("experiment", "magic").code == 2


def test_masks_of_another_network_are_refused(run, monkeypatch, tmp_path):
    unsee.learn(SMALL, drawn(), tmp_path / "masks", method="gradient", limit=2)
    other = replace(SMALL, name="other")
    monkeypatch.setattr(command, "load_models", lambda models, weights, device, network: (other,))
    found = run("experiment", "minimality", "--masks", "masks", "--methods", "mask", "--out", "out")
    assert found.code == 2
    assert "cannot be used here" in found.err
    assert "other" in found.err


def test_they_are_listed(run):
    assert "minimality" in run("experiments").out
    assert set(json.loads(run("experiments", "--json").out)) == set(EXPERIMENTS)
