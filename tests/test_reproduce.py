"""`unsee reproduce`: its page, what it takes up again, and what data cannot serve."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from pictures import network
from unsee.classifier import Classifier
from unsee.cli.experimenting import Trial
from unsee.datasets.menagerie import CLASSES
from unsee.experiments import sensitivity
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.experiment import Line, Plot, Summary, Table
from unsee.figures.reproduction import Part, lines_of, reproduction_page
from unsee.metrics import Estimate, proportion

BRIEF = ("--limit", 2, "--few", 2, "--methods", "mask,gradient,center")


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    """The command line asks a small network that has the menagerie's classes."""
    net = network(len(CLASSES)).net

    def load(name, weights=None, device="auto"):
        return Classifier(net, size=(32, 32), class_names=tuple(CLASSES), name=name)

    monkeypatch.setattr("unsee.cli.parsing.load", load)


@pytest.fixture(autouse=True)
def few_changes(monkeypatch):
    """Of the hyper-parameters one is changed, and the perturbation."""
    change, values, usual, axis = sensitivity.CHANGES["λ1"]
    monkeypatch.setattr(sensitivity, "CHANGES", {"λ1": (change, values[:1], usual, axis)})
    monkeypatch.setattr(sensitivity, "OTHERS", ("constant",))


def parts_of(folder):
    """When each part of the stores below a folder was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def commands_of(text, name):
    """What does one experiment alone, as the page has it."""
    return text[text.index(f"unsee experiment {name} ") :].partition("<")[0]


class TestCommand:
    def test_one_page_that_fetches_nothing_and_has_every_experiment(self, run, tmp_path):
        found = run("reproduce", *BRIEF, "--out", "out")
        assert found.code == 0, found.err
        text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        addresses = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', text) + re.findall(r"url\(([^)]*)\)", text)
        assert len(addresses) > len(EXPERIMENTS)
        assert all(address.startswith("data:image/") for address in addresses)
        assert "<script" not in text
        for name, experiment in EXPERIMENTS.items():
            assert experiment.title in text
            assert f"unsee experiment {name} --data menagerie" in text
            assert ("mask_top5" in commands_of(text, name)) == (name in ("localisation", "pointing"))
            rows = json.loads((tmp_path / "out" / name / "table.json").read_text(encoding="utf-8"))["tables"]
            assert rows
            with Image.open(tmp_path / "out" / name / "figure.png") as picture:
                assert len(np.unique(np.asarray(picture.convert("L")))) > 8
        assert "not done" not in text
        for name in ("interrogation", "animal-parts", "adversarial", "architectures", "games"):
            assert (tmp_path / "out" / name / "pictures.png").is_file()

    def test_a_stopped_run_ends_as_an_undisturbed_one_and_does_nothing_twice(
        self, run, tmp_path, monkeypatch
    ):
        some = {name: EXPERIMENTS[name] for name in ("minimality", "adversarial", "pointing", "games")}
        monkeypatch.setattr("unsee.cli.reproducing.EXPERIMENTS", some)
        assert run("reproduce", *BRIEF, "--out", "whole").code == 0
        done = []
        whole = Trial.run

        def stopped(trial, check):
            if len(done) == 2:
                raise KeyboardInterrupt
            done.append(whole(trial, check))
            return done[-1]

        with monkeypatch.context() as patch:
            patch.setattr(Trial, "run", stopped)
            assert run("reproduce", *BRIEF, "--out", "cut").code == 130
        assert not (tmp_path / "cut" / "index.html").exists()
        before = parts_of(tmp_path / "cut")
        assert before
        assert run("reproduce", *BRIEF, "--out", "cut").code == 0
        after = parts_of(tmp_path / "cut")
        assert len(after) > len(before)
        assert {path: after[path] for path in before} == before
        pages = [(tmp_path / name / "index.html").read_bytes() for name in ("whole", "cut")]
        assert pages[0] == pages[1]

    def test_another_reproduction_is_not_written_over(self, run, tmp_path, monkeypatch):
        some = {name: EXPERIMENTS[name] for name in ("minimality", "games")}
        monkeypatch.setattr("unsee.cli.reproducing.EXPERIMENTS", some)
        assert run("reproduce", *BRIEF, "--out", "out").code == 0
        page = (tmp_path / "out" / "index.html").read_bytes()
        found = run("reproduce", *BRIEF[:-1], "mask,gradient", "--out", "out")
        assert (found.code, "other maps of center" in found.err) == (2, True)
        assert (tmp_path / "out" / "index.html").read_bytes() == page

    def test_what_the_data_cannot_serve_is_named(self, run, tmp_path):
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

    def test_bad_input_is_one_line(self, run):
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
    def test_where_all_are_alike_the_interval_is_asked(self, known, says):
        rows = {"mask": {"recovered, %": proportion([False] * 200, 100)}}
        assert lines_of(Table("labels", rows, {"mask": {"recovered, %": known}})).rows[0][2] == says

    def test_words_are_escaped_and_problems_are_told(self):
        curve = Line((0.0, 1.0), (Estimate.exactly(1), Estimate.exactly(2)))
        summary = Summary((self.table(1.0, 0.1),), (Plot("p", "x", "y", {"<b>": curve}),), {"a < b": 3})
        parts = [
            Part("<Heading>", "text", "unsee experiment one", summary),
            Part("Second", "text", "unsee experiment two", None, "no <boxes>"),
        ]
        text = reproduction_page(parts, "title", "lead", "footer")
        assert "<Heading>" not in text
        assert "&lt;Heading&gt;" in text
        assert "a &lt; b" in text
        assert "no &lt;boxes&gt;" in text
