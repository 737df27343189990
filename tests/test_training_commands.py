"""`unsee train-menagerie` and `unsee measure-menagerie`, and the Python calls below them."""

import pytest

import unsee
from command_line import strict
from unsee.datasets.menagerie import Menagerie
from unsee.errors import UnseeError
from unsee.models import load
from unsee.training import SHORTCUT, Recipe, measure_accuracy, measure_menagerie, train_to_file

SHORT = Recipe(images=24, steps=1, workers=0)


@pytest.fixture
def refused(run):
    """Runs a command that is to fail with exit code 2 and one line, which it gives."""

    def refused(*arguments):
        result = run(*arguments)
        assert result.code == 2
        assert result.out == ""
        (line,) = result.err.strip().splitlines()
        assert line.startswith("unsee: ")
        return line

    return refused


@pytest.fixture
def no_work(monkeypatch):
    """Training fails."""

    def work(*arguments, **options):
        pytest.fail("something was computed")

    monkeypatch.setattr("unsee.training.weight_file.train_menagerie", work)


class TestPython:
    def test_the_file_is_what_load_reads(self, tmp_path):
        steps = []
        file = train_to_file(tmp_path / "net.safetensors", SHORT, progress=steps.append)
        assert file == tmp_path / "net.safetensors"
        assert [step.stage for step in steps][-1] == "train"
        assert load("unsee:menagerie", file, "cpu").weights_sha256 is not None

    def test_a_file_that_exists_is_kept_unless_forced(self, tmp_path):
        file = tmp_path / "net.safetensors"
        file.write_text("mine")
        with pytest.raises(UnseeError, match=r"exists: force=True \(--force\)"):
            train_to_file(file, SHORT)
        assert file.read_text() == "mine"
        train_to_file(file, SHORT, force=True)
        load("unsee:menagerie", file, "cpu")

    def test_a_missing_folder_is_refused(self, no_work, tmp_path):
        with pytest.raises(UnseeError, match="missing is not a folder"):
            train_to_file(tmp_path / "missing" / "net.safetensors", SHORT)

    def test_measuring_counts_held_out_images(self):
        net = load("unsee:menagerie-shortcut", None, "cpu").net
        found = measure_menagerie(net, 12, shortcut=True)
        assert found.accuracy == measure_accuracy(net, Menagerie("test", 12, shortcuts=(SHORTCUT,)))
        assert found.lean.pictures >= 1
        assert list(found.manifest()) == [
            *("accuracy", "mean score of the tortoise, with and without its spoon"),
        ]


class TestCommands:
    def test_training_writes_what_load_reads(self, run, monkeypatch, tmp_path):
        monkeypatch.setattr("unsee.training.Recipe", lambda: Recipe(workers=0))
        result = run("train-menagerie", "--images", 24, "--steps", 2, "--out", "net.safetensors")
        assert result.code == 0
        assert "net.safetensors" in result.err
        trained = unsee.load("unsee:menagerie", tmp_path / "net.safetensors", "cpu")
        shipped = unsee.load("unsee:menagerie", device="cpu")
        assert trained.weights_sha256 != shipped.weights_sha256
        assert trained.class_names == shipped.class_names

    def test_a_file_that_is_there_is_kept(self, refused, no_work, tmp_path):
        (tmp_path / "net.safetensors").write_text("mine")
        line = refused("train-menagerie", "--out", "net.safetensors")
        assert "--force" in line
        assert "--out" in line
        assert (tmp_path / "net.safetensors").read_text() == "mine"

    def test_a_missing_folder_is_refused(self, refused, no_work, tmp_path):
        assert "missing is not a folder" in refused("train-menagerie", "--out", "missing/net.safetensors")
        assert not (tmp_path / "missing").exists()

    def test_measuring_prints_strict_json(self, run):
        result = run("measure-menagerie", "--pictures", 12)
        assert result.code == 0
        accuracy, lean = strict(result.out).values()
        assert accuracy["singles"] + accuracy["severals"] == 12
        assert accuracy["single"] > 0.8
        assert lean["pictures"] >= 1

    def test_fewer_pictures_than_classes_are_refused(self, run):
        assert run("measure-menagerie", "--pictures", 11).code == 2
