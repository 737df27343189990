"""`unsee.reproduce` and its command: the page, resuming, and data that do not suit an experiment."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import unsee
from experiment_data import drawn, small_network
from unsee.cli import experiment as command
from unsee.experiments import reproduction, sensitivity
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.experiment import Line, Plot, Summary, Table
from unsee.experiments.progress import ExperimentStarted
from unsee.experiments.reproduction_page import Chapter, lines_of, reproduction_page
from unsee.experiments.result_folder import FolderTakenError
from unsee.masks import PRESETS, adjusted, outcome
from unsee.metrics import Estimate, proportion
from unsee.verdicts import CONVERGED

BRIEF = ("--limit", 2, "--few", 2, "--methods", "mask,gradient,center")
NETWORKS = (small_network("unsee:menagerie"), small_network("unsee:menagerie-shortcut"))


@pytest.fixture
def small(monkeypatch):
    """The command loads small networks and a small data set."""
    monkeypatch.setattr(command, "load_models", lambda models, weights, device, network: NETWORKS)
    monkeypatch.setattr(unsee, "open_dataset", lambda name, split, classes: drawn())


@pytest.fixture
def some(monkeypatch):
    """Leaves only some experiments."""

    def call(*names):
        chosen = {name: EXPERIMENTS[name] for name in names}
        monkeypatch.setattr(reproduction, "EXPERIMENTS", chosen)

    return call


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Masks converge in few iterations; only one hyper-parameter is changed, and the perturbation."""
    monkeypatch.setattr(outcome, "verdict", lambda *_: CONVERGED)
    monkeypatch.setitem(PRESETS, "fast", adjusted(PRESETS["fast"], iterations=3))
    change, values, usual, axis = sensitivity.CHANGES["λ1"]
    monkeypatch.setattr(sensitivity, "CHANGES", {"λ1": (change, values[:1], usual, axis)})
    monkeypatch.setattr(sensitivity, "OTHERS", ("constant",))


def reproduced(out, dataset=None, methods=("mask", "gradient", "center"), progress=None):
    data = drawn() if dataset is None else dataset
    return unsee.reproduce(NETWORKS, data, methods=methods, limit=2, few=2, out=out, progress=progress)


def parts_of(folder):
    """When each part of the stores below a folder was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def command_of(text, name):
    """The command that runs one experiment alone, as the page gives it."""
    return text[text.index(f"unsee experiment {name} ") :].partition("<")[0]


def test_the_command_writes_one_page_that_loads_nothing_and_has_every_experiment(run, small, tmp_path):
    found = run("reproduce", *BRIEF, "--out", "out")
    assert found.code == 0, found.err
    assert f"{len(EXPERIMENTS)} of {len(EXPERIMENTS)}: " in found.err
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    addresses = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', text) + re.findall(r"url\(([^)]*)\)", text)
    assert len(addresses) > len(EXPERIMENTS)
    assert all(address.startswith("data:image/") for address in addresses)
    assert "<script" not in text
    for name, experiment in EXPERIMENTS.items():
        assert experiment.about.title in text
        assert f"unsee experiment {name} --data menagerie" in text
        assert ("mask_top5" in command_of(text, name)) == (name in ("localisation", "pointing"))
        assert command_of(text, name).count("--model") == (2 if name == "architectures" else 1)
        rows = json.loads((tmp_path / "out" / name / "table.json").read_text(encoding="utf-8"))["tables"]
        assert rows
        with Image.open(tmp_path / "out" / name / "figure.png") as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 8
    assert "not done" not in text
    for name in ("interrogation", "animal-parts", "adversarial", "architectures", "games"):
        assert (tmp_path / "out" / name / "pictures.png").is_file()


def test_costly_experiments_get_few_images(some, tmp_path):
    some("pointing", "adversarial")
    found = unsee.reproduce(NETWORKS, drawn(), methods=["center"], limit=3, few=2, out=tmp_path / "out")
    text = found.page.read_text(encoding="utf-8")
    assert "--limit 3" in command_of(text, "pointing")
    assert "--limit 2" in command_of(text, "adversarial")
    assert set(found.summaries) == {"pointing", "adversarial"}


def test_a_stopped_run_ends_as_an_undisturbed_one_and_does_nothing_twice(some, tmp_path):
    some("minimality", "adversarial", "pointing", "games")
    whole = reproduced(tmp_path / "whole")

    def stop(event):
        if isinstance(event, ExperimentStarted) and event.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduced(tmp_path / "cut", progress=stop)
    assert not (tmp_path / "cut" / "index.html").exists()
    before = parts_of(tmp_path / "cut")
    assert before
    again = reproduced(tmp_path / "cut")
    after = parts_of(tmp_path / "cut")
    assert len(after) > len(before)
    assert {path: after[path] for path in before} == before
    assert whole.page.read_bytes() == again.page.read_bytes()


def test_a_stopped_command_ends_with_130(run, small, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduction, "run_experiment", stopped)
    assert run("reproduce", *BRIEF, "--out", "out").code == 130


def test_another_reproduction_is_not_overwritten(some, tmp_path):
    some("minimality", "games")
    page = reproduced(tmp_path / "out").page
    before = page.read_bytes()
    with pytest.raises(FolderTakenError, match="other maps of center"):
        reproduced(tmp_path / "out", methods=("mask", "gradient"))
    assert page.read_bytes() == before


def test_experiments_that_the_data_do_not_suit_are_named(run, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "load_models", lambda models, weights, device, network: NETWORKS)
    (tmp_path / "photos").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    found = run("reproduce", "--data", "folder:photos", *BRIEF, "--out", "out")
    assert found.code == 0, found.err
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    for name in ("localisation", "pointing", "animal-parts"):
        assert f"{name} was left out" in found.err
    for name in ("representativeness", "games", "adversarial"):
        assert f"{name} was left out" not in found.err
    assert text.count("not done") == found.err.count("was left out")


def test_bad_options_are_refused_in_one_line(run):
    for options in (
        ("--methods", "mask,gradent"),
        ("--preset", "fats"),
        ("--data", "folder:nowhere"),
        ("--weights", "a.safetensors"),
    ):
        found = run("reproduce", *options, "--out", "out")
        assert found.code == 2, options
        assert "Traceback" not in found.err


class TestPage:
    @staticmethod
    def table(value, error):
        cell = Estimate(value, error, value - 2 * error, value + 2 * error, 9)
        rows = {"mask": {"80 %": cell, "90 %": cell}, "center": {"80 %": cell}}
        return Table("areas", rows, {"mask": {"80 %": 100}}, "low")

    @pytest.mark.parametrize(
        ("value", "says"),
        [(100.0, "100 (+0.0 s.e.)"), (129.0, "100 (+2.9 s.e.)"), (69.0, "100 (-3.1 s.e., differs)")],
    )
    def test_the_distance_to_the_paper_is_in_standard_errors(self, value, says):
        lines = lines_of(self.table(value, 10.0))
        assert lines.columns == ["", "80 %", "paper", "90 %"]
        assert lines.rows[0][2] == says
        assert lines.rows[1] == ["center", f"{value:.3g} [{value - 20:.3g}, {value + 20:.3g}]", "", "–"]
        assert lines_of(self.table(value, 10.0), compared=False).rows[0][2] == "100"
        assert lines.title == "areas (lower is better)"

    @pytest.mark.parametrize(("known", "says"), [(1.5, "1.5"), (40.64, "40.64 (outside, differs)")])
    def test_without_a_standard_error_the_interval_decides(self, known, says):
        rows = {"mask": {"recovered, %": proportion([False] * 200, 100)}}
        assert lines_of(Table("labels", rows, {"mask": {"recovered, %": known}})).rows[0][2] == says

    def test_text_is_escaped_and_problems_are_given(self):
        curve = Line((0.0, 1.0), (Estimate.exactly(1), Estimate.exactly(2)))
        summary = Summary((self.table(1.0, 0.1),), (Plot("p", "x", "y", {"<b>": curve}),), {"a < b": 3})
        chapters = [
            Chapter("<Heading>", "text", "unsee experiment one", summary),
            Chapter("Second", "text", "unsee experiment two", None, "no <boxes>"),
        ]
        text = reproduction_page(chapters, "title", "lead", "footer")
        assert "<Heading>" not in text
        assert "&lt;Heading&gt;" in text
        assert "a &lt; b" in text
        assert "no &lt;boxes&gt;" in text
