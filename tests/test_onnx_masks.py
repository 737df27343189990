"""Masks of an ONNX file: in Python, in folders, and on the command line."""

import json

import pytest
import torch
from PIL import Image

import unsee
from command_line import contents, refused
from network_files import eager, sidecar, write_onnx
from unsee import tuning
from unsee.datasets.menagerie import compose, render
from unsee.datasets.opening import open_dataset
from unsee.experiments.photo_comparison import compare
from unsee.masks import explain, plan_for
from unsee.masks.folders import explain_to_folders
from unsee.masks.optimisers.surrogate import Surrogate
from unsee.models import load
from unsee.runs.learn import learn


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The menagerie's network at 64 x 64 pixels in ONNX."""
    file = write_onnx(tmp_path_factory.mktemp("exported") / "net.onnx")
    sidecar(file)
    return file


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "zebra.png"
    Image.fromarray(render(compose("zebra", seed=3)).image).save(path)
    return path


class TestOnnx:
    def test_the_mask_is_the_modules_own(self, exported, photo):
        """The networks differ by 1e-7 in rounding, which grows from step to step: masks are as good."""
        network = load(f"onnx:{exported}", device="cpu")
        found, again = (explain(network, photo, budget=200) for _ in range(2))
        own = explain(eager(), photo, optimiser="surrogate", budget=200, precision="float32")
        assert torch.equal(found.mask_grid, again.mask_grid)
        assert found.run.history == again.run.history
        first = slice(0, Surrogate().opening // Surrogate().probes)
        for name, values in found.run.history.items():
            assert values[first] == pytest.approx(own.run.history[name][first], abs=1e-4)
        assert found.objective == pytest.approx(own.objective, rel=0.15)
        assert found.scores.perturbed < 0.2 * found.scores.original
        assert own.run.settings == found.run.settings

    def test_folders_are_left_as_they_are_when_the_call_is_repeated(self, exported, photo, tmp_path):
        network = load(f"onnx:{exported}", device="cpu")
        plan = plan_for(budget=80)
        first = explain_to_folders(network, [photo], plan, out=tmp_path / "out")
        assert first.problems == ()
        before = contents(tmp_path / "out")
        times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
        again = explain_to_folders(network, [photo], plan, out=tmp_path / "out")
        assert again.problems == ()
        assert contents(tmp_path / "out") == before
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times
        (other,) = explain_to_folders(network, [photo], plan_for(budget=100), out=tmp_path / "out").problems
        assert "settings.optimiser.budget" in other

    def test_they_keep_their_precision(self, exported, photo, monkeypatch):
        """On a device that computes in bfloat16; a module's passes are then in that."""
        monkeypatch.setattr(tuning, "computes_in_bfloat16", lambda device: True)
        network = load(f"onnx:{exported}", device="cpu")
        assert not tuning.uses_bfloat16(network, "auto")
        assert tuning.uses_bfloat16(eager(), "auto")
        found = explain(network, photo, budget=80)
        assert found.provenance.precision == "float32"
        assert found.manifest()["precision"] == "float32"

    def test_learn_and_compare_take_a_budget(self, exported, photo, tmp_path):
        """Each gives the mask of `explain`."""
        network = load(f"onnx:{exported}", device="cpu")
        own = explain(network, photo, budget=80, seed=3)
        found = compare(network, photo, ["mask"], budget=80, seed=3).results["mask"].saliency
        grid = unsee.PRESETS["fast"].grid
        pixels = grid.upsampler(network.size, own.mask_grid)(own.mask_grid)
        assert torch.allclose(found, 1 - pixels, atol=1e-6)
        data = open_dataset("menagerie", limit=2)
        store = learn(network, data, tmp_path / "maps", budget=80, limit=2)
        assert store.table(["evaluations"])["evaluations"].to_pylist() == [80, 80]


class TestCommands:
    @pytest.fixture(autouse=True)
    def cheap_figures(self, monkeypatch):
        monkeypatch.setattr("unsee.drawing.panels.save", lambda figure, path: path.write_bytes(b""))

    def test_explain_says_how_many_evaluations_an_onnx_file_takes(self, run, exported, photo):
        done = run("explain", photo, "--model", f"onnx:{exported}", "--budget", 85)
        assert done.code == 0, done.err
        words = " ".join((done.out + done.err).split())
        assert f"onnx:{exported} gives no gradient: each mask takes 80 evaluations (--budget)" in words
        manifest = json.loads(next(photo.parent.rglob("explanation.json")).read_text())
        assert manifest["evaluations"] == 80

    def test_the_optimiser_can_be_chosen(self, run, photo):
        call = ("explain", photo, "--model", "unsee:menagerie", "--size", 64)
        done = run(*call, "--optimiser", "surrogate", "--budget", 80)
        assert done.code == 0, done.err
        assert "gives no gradient" not in done.out + done.err
        manifest = json.loads(next(photo.parent.rglob("explanation.json")).read_text())
        assert manifest["settings"]["optimiser"]["type"] == "Surrogate"
        refused(run(*call, "--optimiser", "nothing"), "optimiser")
        refused(run(*call, "--budget", 80, "--iterations", 3), "--budget")

    def test_learn_and_compare_take_them(self, run, photo, exported, tmp_path):
        model = ("--model", f"onnx:{exported}", "--budget", 80)
        done = run("learn", "menagerie", *model, "--limit", 2, "--target", "label", "--out", "maps")
        assert done.code == 0, done.err
        store = unsee.Store.open(tmp_path / "maps")
        assert store.table(["id", "score"]).num_rows == 2
        refused(run("learn", "menagerie", *model, "--method", "occlusion", "--out", "no"), "budget")
        options = ("--optimiser", "surrogate", "--budget", 80)
        size = ("--model", "unsee:menagerie", "--size", 64)
        done = run("compare", photo, *size, "--methods", "mask,center", *options, "--json")
        assert done.code == 0, done.err
        assert set(json.loads(done.out)[0]["methods"]) == {"mask", "center"}
        refused(run("compare", photo, *size, "--methods", "center", "--budget", 80), "budget")
