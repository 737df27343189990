import dataclasses
import html.parser
import json
import math
import os
import shutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.explanation import Explanation, Scores, Target
from unsee.fits import CentreCrop, Squash
from unsee.images import read_photo
from unsee.masks import PRESETS, explain
from unsee.masks.edits.perturbation import Constant
from unsee.masks.objective import PRESERVATION

FILES = {
    "explanation.json",
    "mask.npy",
    "mask_grid.npy",
    "mask.png",
    "heatmap.png",
    "overlay.png",
    "perturbed.png",
    "figure.png",
}
KEYS = {
    "photo",
    "photo_sha256",
    "model",
    "target",
    "scores",
    "suppression",
    "area",
    "objective",
    "iterations",
    "evaluations",
    "seed",
    "preset",
    "settings",
    "converged",
    "seconds",
    "history",
    "versions",
    "weights_sha256",
}


def one_line(error: pytest.ExceptionInfo) -> str:
    """The message, once it is known to be one line."""
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


def strict(text: str):
    """Parse JSON as other languages do: no NaN, no Infinity."""

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="session")
def saved_once(explanation, tmp_path_factory):
    return explanation.save(tmp_path_factory.mktemp("saved") / "whole")


@pytest.fixture
def saved(saved_once, tmp_path):
    """A folder of an explanation that a test may spoil."""
    return shutil.copytree(saved_once, tmp_path / "saved")


class TestScores:
    def test_by_hand(self):
        scores = Scores(original=0.9, perturbed=0.3, reference=0.1)
        assert scores.normalized == pytest.approx(0.25)
        assert scores.suppression == pytest.approx(0.75)

    def test_beyond_the_reference_and_above_the_photo(self):
        assert Scores(0.8, 0.0, 0.3).suppression == pytest.approx(1.6)
        assert Scores(0.8, 1.0, 0.3).suppression == pytest.approx(-0.4)

    @pytest.mark.parametrize("reference", [0.5, 0.5 + 9e-7, 0.5 - 9e-7, 0.6])
    def test_without_a_span_there_is_no_answer(self, reference):
        scores = Scores(0.5, 0.2, reference)
        assert math.isnan(scores.normalized)
        assert math.isnan(scores.suppression)

    def test_a_small_span_has_one(self):
        assert Scores(0.5, 0.5, 0.5 - 2e-6).normalized == pytest.approx(1)


class TestResult:
    def test_it_is_frozen(self, explanation):
        for part in (explanation, explanation.run, explanation.target, explanation.provenance):
            for field in dataclasses.fields(part):
                with pytest.raises(dataclasses.FrozenInstanceError):
                    setattr(part, field.name, None)

    def test_shapes_and_ranges(self, explanation):
        assert explanation.mask.shape == (40, 56)
        assert explanation.mask_grid.shape == (4, 4)
        assert explanation.perturbed.shape == (3, 40, 56)
        for values in (explanation.mask, explanation.mask_grid, explanation.perturbed):
            assert values.dtype == torch.float32
            assert values.min() >= 0
            assert values.max() <= 1
        assert 0 < explanation.area < 1

    def test_one_keeps(self, classifier, make_pixels):
        """By hand: photo where the mask is 1, the average colour where it is 0, and between them linearly."""
        done = explain(classifier, make_pixels(), iterations=4, perturbation="constant")
        paint = torch.tensor(classifier.color)[:, None, None]
        expected = done.mask * done.photo.pixels + (1 - done.mask) * paint
        assert torch.allclose(done.perturbed, expected, atol=1e-6)
        assert torch.equal(done.saliency, 1 - done.mask)
        assert done.mask.max() - done.mask.min() > 0.1

    def test_saliency_of_preservation_is_its_mask(self, classifier, make_pixels):
        done = explain(classifier, make_pixels(), game="preservation", iterations=2)
        assert done.run.game == "preservation"
        assert torch.equal(done.saliency, done.mask)
        assert done.area == pytest.approx(float(done.mask.mean()), abs=0.05)

    def test_the_record_adds_up(self, explanation):
        run = explanation.run
        assert explanation.objective == pytest.approx(sum(run.objective.values()))
        assert set(run.objective) == set(run.history) == {"score", "l1", "tv"}
        assert all(len(values) == run.iterations == 6 for values in run.history.values())
        assert run.evaluations > run.iterations
        assert (run.preset, run.seed, run.game) == ("paper", 0, "deletion")
        assert run.seconds > 0
        assert explanation.converged == (run.verdict == "converged")
        assert run.objective["score"] == pytest.approx(explanation.scores.perturbed, abs=0.1)

    @pytest.mark.parametrize("iterations", [1, 7])
    def test_history_has_one_entry_an_iteration(self, classifier, make_pixels, iterations):
        steps = []
        done = explain(classifier, make_pixels(), iterations=iterations, progress=steps.append)
        assert [step.iteration for step in steps] == list(range(1, iterations + 1))
        assert {step.iterations for step in steps} == {iterations}
        assert {len(values) for values in done.run.history.values()} == {iterations}
        totals = [sum(terms) for terms in zip(*done.run.history.values(), strict=True)]
        assert [step.objective for step in steps] == pytest.approx(totals, abs=1e-6)
        assert [step.score for step in steps] == pytest.approx(done.run.history["score"], abs=1e-6)

    def test_evaluations_are_counted(self, classifier, make_pixels):
        """The port starts from a constant, so it searches nothing; joint takes three evaluations a step."""
        port = explain(classifier, make_pixels(), preset="pytorch-port", iterations=4)
        assert port.run.evaluations == 4
        joint = explain(classifier, make_pixels(), preset="pytorch-port", perturbation="joint", iterations=4)
        assert joint.run.evaluations == 12

    def test_settings_are_recorded(self, explanation):
        settings = explanation.run.settings
        assert settings["algorithm"]["iterations"] == 6
        assert settings["algorithm"]["rate"] == 0.1
        assert settings["objective"]["l1"] == {"type": "L1", "weight": 1e-4, "cells": 784}
        assert settings["objective"]["tv"]["beta"] == 3.0
        assert settings["objective"]["score"] == "softmax_score"
        assert settings["perturbations"] == [{"type": "Blur", "sigma": 10.0, "name": "blur"}]
        assert settings["jitter"] == 4
        assert settings["source"].startswith("Fong & Vedaldi 2017")

    def test_where_it_comes_from_is_recorded(self, explanation):
        origin = explanation.provenance
        for name in ("torch", "torchvision", "numpy", "pillow", "unsee"):
            assert origin.versions[name] == version(name)
        assert origin.versions["python"] == ".".join(map(str, sys.version_info[:3]))
        assert (origin.model, origin.input_size, origin.fit) == ("tiny", (32, 32), "squash")

    def test_no_span_is_null_in_the_record(self, explanation):
        flat = dataclasses.replace(explanation, scores=Scores(0.5, 0.2, 0.5))
        assert math.isnan(flat.suppression)
        record = strict(json.dumps(flat.manifest(), allow_nan=False))
        assert (record["suppression"], record["normalized_score"]) == (None, None)
        assert record["scores"] == {"original": 0.5, "perturbed": 0.2, "reference": 0.5}


class Spoils(nn.Module):
    """NaN logits for every picture that is not the photo itself."""

    def __init__(self, net):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x):
        self.calls += 1
        return self.net(x) if self.calls == 1 else self.net(x) * math.nan


class TestSave:
    def test_exactly_the_promised_files(self, saved):
        assert {path.name for path in saved.iterdir()} == FILES

    def test_arrays(self, saved, explanation):
        mask, grid = np.load(saved / "mask.npy"), np.load(saved / "mask_grid.npy")
        assert (mask.shape, mask.dtype) == ((40, 56), np.float32)
        assert (grid.shape, grid.dtype) == ((4, 4), np.float32)
        assert np.array_equal(mask, explanation.mask.numpy())
        assert np.array_equal(grid, explanation.mask_grid.numpy())

    def test_the_record(self, saved, explanation):
        record = strict((saved / "explanation.json").read_text(encoding="utf-8"))
        assert set(record) >= KEYS
        assert record == json.loads(json.dumps(explanation.manifest()))
        assert record["photo"] == str(explanation.photo.path)
        assert record["photo_sha256"] == explanation.photo.sha256
        assert record["photo_size"] == [40, 56]
        assert record["target"] == {"index": 2, "name": "cat", "asked": "predicted"}
        assert set(record["scores"]) == {"original", "perturbed", "reference"}
        assert record["iterations"] == 6
        assert isinstance(record["converged"], bool)

    def test_several_classes_are_lists_in_the_record(self, classifier, make_pixels):
        record = explain(classifier, make_pixels(), (3, "dog"), iterations=1).manifest()
        assert record["target"] == {"index": [3, 4], "name": ["tiger cat", "dog"], "asked": "3+dog"}

    def test_a_run_that_was_not_finite_is_still_strict_json(self, make_net, make_pixels, tmp_path):
        model = Classifier(Spoils(make_net()), size=(32, 32))
        done = explain(model, make_pixels(), preset="pytorch-port", iterations=2)
        assert not done.converged
        assert "not finite" in done.run.verdict
        record = strict((done.save(tmp_path / "nan") / "explanation.json").read_text())
        assert record["scores"]["perturbed"] is None
        assert record["suppression"] is None
        assert record["history"]["score"] == [None]
        assert np.isfinite(np.load(tmp_path / "nan" / "mask.npy")).all()

    def test_twice_is_refused(self, saved, explanation):
        before = {path.name: path.read_bytes() for path in saved.iterdir()}
        with pytest.raises(UnseeError, match="already") as error:
            explanation.save(saved)
        one_line(error)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before

    def test_overwriting_leaves_foreign_files_alone(self, saved, explanation):
        (saved / "notes.txt").write_text("mine")
        (saved / "mask.npy").write_text("broken")
        (saved / "more").mkdir()
        changed = dataclasses.replace(explanation, area=0.123)
        assert changed.save(saved, overwrite=True) == saved
        assert {path.name for path in saved.iterdir()} == FILES | {"notes.txt", "more"}
        assert (saved / "notes.txt").read_text() == "mine"
        assert strict((saved / "explanation.json").read_text())["area"] == 0.123
        assert np.load(saved / "mask.npy").shape == (40, 56)

    def test_a_folder_without_an_explanation_may_be_used(self, tmp_path, explanation):
        (tmp_path / "notes.txt").write_text("mine")
        explanation.save(str(tmp_path))
        assert {path.name for path in tmp_path.iterdir()} == FILES | {"notes.txt"}

    @pytest.mark.parametrize(
        "failure", [RuntimeError("no ink"), KeyboardInterrupt()], ids=["fault", "ctrl-c"]
    )
    def test_a_failure_while_drawing_leaves_nothing(self, tmp_path, explanation, monkeypatch, failure):
        self.break_drawing(monkeypatch, failure)
        with pytest.raises(type(failure)):
            explanation.save(tmp_path / "deep" / "new")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert not list(tmp_path.rglob(".*"))

    def test_a_failure_while_drawing_leaves_what_was_there(self, saved, explanation, monkeypatch):
        before = {path.name: path.read_bytes() for path in saved.iterdir()}
        self.break_drawing(monkeypatch, RuntimeError("no ink"))
        with pytest.raises(RuntimeError, match="no ink"):
            dataclasses.replace(explanation, area=0.5).save(saved, overwrite=True)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before

    def break_drawing(self, monkeypatch, failure):
        def fail(figure, path):
            assert (path.parent / "mask.png").exists()
            raise failure

        monkeypatch.setattr("unsee.drawing.panels.save", fail)

    def test_a_full_disk_is_told_in_one_line(self, tmp_path, explanation, monkeypatch):
        self.break_drawing(monkeypatch, OSError(28, "No space left on device"))
        with pytest.raises(UnseeError, match="No space left") as error:
            explanation.save(tmp_path / "new")
        one_line(error)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_a_place_that_cannot_be_written_to(self, tmp_path, explanation):
        (tmp_path / "file").write_text("no folder")
        for place in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(UnseeError, match="cannot be written") as error:
                explanation.save(place)
            assert str(place) in one_line(error)
        assert (tmp_path / "file").read_text() == "no folder"

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_read_only_folder(self, tmp_path, explanation):
        tmp_path.chmod(0o555)
        try:
            with pytest.raises(UnseeError, match="cannot be written") as error:
                explanation.save(tmp_path / "new")
            one_line(error)
        finally:
            tmp_path.chmod(0o755)


class TestLoad:
    def test_gives_back_equal_values(self, saved, explanation):
        back = Explanation.load(saved)
        assert torch.equal(back.mask, explanation.mask)
        assert torch.equal(back.mask_grid, explanation.mask_grid)
        assert torch.equal(back.saliency, explanation.saliency)
        assert torch.equal(back.photo.pixels, explanation.photo.pixels)
        assert (back.perturbed - explanation.perturbed).abs().max() <= 0.5 / 255 + 1e-6
        for part in ("target", "scores", "area", "objective", "converged", "suppression"):
            assert getattr(back, part) == getattr(explanation, part), part
        assert back.provenance == explanation.provenance
        assert json.loads(json.dumps(back.manifest())) == json.loads(json.dumps(explanation.manifest()))
        assert dict(back.run.history) == dict(explanation.run.history)

    def test_several_classes(self, classifier, make_photo, tmp_path):
        done = explain(classifier, make_photo(), "top5", iterations=1)
        back = Explanation.load(done.save(tmp_path / "top5"))
        assert back.target == done.target
        assert len(back.target.indices) == 5

    def test_numbers_that_were_not_finite(self, explanation, tmp_path):
        flat = dataclasses.replace(explanation, scores=Scores(math.nan, 0.2, math.inf))
        back = Explanation.load(flat.save(tmp_path / "nan"))
        assert math.isnan(back.scores.original)
        assert back.scores.perturbed == 0.2
        assert not math.isfinite(back.scores.reference)

    def test_and_saved_again_the_arrays_are_the_same(self, saved, tmp_path):
        again = Explanation.load(saved).save(tmp_path / "again")
        for name in ("mask.npy", "mask_grid.npy", "mask.png", "perturbed.png", "explanation.json"):
            assert (again / name).read_bytes() == (saved / name).read_bytes(), name

    def test_a_photo_that_moved(self, saved, explanation, tmp_path):
        moved = tmp_path / "moved" / "other name.png"
        moved.parent.mkdir()
        shutil.copy(explanation.photo.path, moved)
        record = strict((saved / "explanation.json").read_text())
        (saved / "explanation.json").write_text(json.dumps({**record, "photo": str(tmp_path / "gone.png")}))
        with pytest.raises(UnseeError, match=r"gone\.png") as error:
            Explanation.load(saved)
        one_line(error)
        assert torch.equal(Explanation.load(saved, moved).mask, explanation.mask)
        assert Explanation.load(saved, str(moved)).photo.path == moved

    def test_a_photo_that_changed(self, saved, make_photo):
        with pytest.raises(UnseeError, match="not the photo") as error:
            Explanation.load(saved, make_photo(seed=5))
        one_line(error)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"photo"', "{}", "\x00\xff"])
    def test_a_broken_record(self, saved, text):
        (saved / "explanation.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(UnseeError, match="saved") as error:
            Explanation.load(saved)
        one_line(error)

    def test_a_record_that_lacks_something(self, saved):
        record = strict((saved / "explanation.json").read_text())
        derived = {"objective", "converged", "suppression", "normalized_score", "photo_size", "photo_notes"}
        for key in record.keys() - derived:
            rest = {name: value for name, value in record.items() if name != key}
            (saved / "explanation.json").write_text(json.dumps(rest))
            with pytest.raises(UnseeError, match=key) as error:
                Explanation.load(saved)
            one_line(error)

    @pytest.mark.parametrize("key", ["target", "scores", "objective_terms", "history"])
    @pytest.mark.parametrize("value", [[], 7, None])
    def test_a_record_of_other_shapes(self, saved, key, value):
        record = strict((saved / "explanation.json").read_text())
        (saved / "explanation.json").write_text(json.dumps({**record, key: value}))
        with pytest.raises(UnseeError) as error:
            Explanation.load(saved)
        one_line(error)

    @pytest.mark.parametrize("name", sorted(FILES - {"figure.png", "overlay.png", "heatmap.png", "mask.png"}))
    def test_a_missing_file(self, saved, name):
        (saved / name).unlink()
        with pytest.raises(UnseeError, match=name) as error:
            Explanation.load(saved)
        assert str(saved) in one_line(error)

    @pytest.mark.parametrize("name", ["mask.npy", "mask_grid.npy"])
    @pytest.mark.parametrize("length", [0, 1, 9, 100, 130])
    def test_a_truncated_array(self, saved, name, length):
        (saved / name).write_bytes((saved / name).read_bytes()[:length])
        with pytest.raises(UnseeError, match="saved") as error:
            Explanation.load(saved)
        one_line(error)

    def test_an_array_of_pickled_objects_is_not_unpickled(self, saved):
        exploded = saved / "exploded"

        class Grenade:
            def __reduce__(self):
                return os.mkdir, (str(exploded),)

        np.save(saved / "mask.npy", np.array([[Grenade()]], dtype=object), allow_pickle=True)
        with pytest.raises(UnseeError, match="saved") as error:
            Explanation.load(saved)
        one_line(error)
        assert not exploded.exists()
        np.load(saved / "mask.npy", allow_pickle=True)
        assert exploded.exists()

    @pytest.mark.parametrize(
        "array",
        [np.ones((40, 55)), np.ones((3, 40, 56)), np.ones(40), np.full((40, 56), np.nan), np.array("text")],
        ids=lambda array: f"{array.shape} {array.dtype}",
    )
    def test_a_mask_that_is_not_of_this_photo(self, saved, array):
        np.save(saved / "mask.npy", array.astype(np.float32) if array.dtype.kind == "f" else array)
        with pytest.raises(UnseeError, match="saved") as error:
            Explanation.load(saved)
        one_line(error)

    def test_no_folder(self, tmp_path):
        with pytest.raises(UnseeError, match="none") as error:
            Explanation.load(tmp_path / "none")
        one_line(error)


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


class TestNotebook:
    def page(self, explanation):
        tags = Tags()
        tags.feed(explanation._repr_html_())
        return tags

    def test_it_is_self_contained(self, explanation):
        page = self.page(explanation)
        assert set(page.tags) == {"div", "img", "table", "tr", "th", "td"}
        sources = [value for name, value in page.attributes if name in ("src", "href")]
        assert len(sources) == 1
        assert sources[0].startswith("data:image/png;base64,")
        assert "http" not in explanation._repr_html_().replace(sources[0], "")
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "cat" in page.text

    def test_names_are_escaped(self, explanation):
        name = "<script>alert('1')</script> & \"more\""
        spoiled = dataclasses.replace(
            explanation,
            target=Target((1,), (name,)),
            photo=dataclasses.replace(explanation.photo, name=f'"><b onload="x()">{name}'),
            provenance=dataclasses.replace(explanation.provenance, model="<i>model"),
        )
        page = self.page(spoiled)
        assert set(page.tags) == {"div", "img", "table", "tr", "th", "td"}
        assert {key for key, _ in page.attributes} <= {"style", "class", "alt", "src"}
        assert name in page.text
        assert "<i>model" in page.text

    def test_a_result_without_a_span(self, explanation):
        page = self.page(dataclasses.replace(explanation, scores=Scores(0.5, 0.2, 0.5)))
        assert any("0.5000" in text for text in page.text)


class TestProof:
    def score_of(self, classifier, pixels, target):
        images = Squash().apply(pixels, classifier.size)[None]
        return float(classifier.probabilities(images)[0, list(target.indices)].sum())

    @pytest.mark.parametrize("perturbation", ["blur", "constant", "noise", "median"])
    @pytest.mark.parametrize("game", ["deletion", "preservation"])
    def test_the_edited_picture_has_its_score(
        self, classifier, make_photo, tmp_path, monkeypatch, perturbation, game
    ):
        """A photo of the network's own size: squashing changes nothing, so only 8-bit rounding is between.

        Rounding moves each value by at most 0.5/255, and so the score, to first order, by at most that times
        the sum of the absolute gradient; twice that leaves room for its curvature.
        """
        monkeypatch.setattr("unsee.drawing.panels.save", lambda figure, path: None)
        path = make_photo(height=32, width=32, seed=1)
        done = explain(classifier, path, preset="paper", iterations=8, perturbation=perturbation, game=game)
        assert self.score_of(classifier, done.perturbed, done.target) == pytest.approx(
            done.scores.perturbed, abs=1e-5
        )
        image = done.perturbed[None].clone().requires_grad_()
        classifier.logits(image).softmax(dim=1)[0, list(done.target.indices)].sum().backward()
        tolerance = 2 * float(image.grad.abs().sum()) * 0.5 / 255
        again = read_photo(done.save(tmp_path / "out") / "perturbed.png").pixels
        assert self.score_of(classifier, again, done.target) == pytest.approx(
            done.scores.perturbed, abs=tolerance
        )
        assert self.score_of(classifier, done.photo.pixels, done.target) == pytest.approx(
            done.scores.original, abs=1e-5
        )
        assert abs(done.scores.original - done.scores.perturbed) > tolerance

    def test_the_score_is_of_all_the_classes_together(self, classifier, make_photo):
        done = explain(classifier, make_photo(height=32, width=32), (0, 3), iterations=3)
        assert self.score_of(classifier, done.perturbed, done.target) == pytest.approx(
            done.scores.perturbed, abs=1e-5
        )
        assert self.score_of(classifier, done.photo.pixels, done.target) == pytest.approx(
            done.scores.original, abs=1e-5
        )

    def test_the_fully_perturbed_score(self, classifier, make_photo):
        done = explain(classifier, make_photo(), iterations=1, perturbation="constant")
        paint = torch.tensor(classifier.color)[:, None, None].expand(3, 32, 32)
        assert self.score_of(classifier, paint, done.target) == pytest.approx(done.scores.reference, abs=1e-5)

    def test_a_larger_photo_comes_near(self, classifier, make_photo):
        """The mask is enlarged to the photo and shrunk again: close, not equal."""
        done = explain(classifier, make_photo(height=64, width=96, seed=1), iterations=8)
        got = self.score_of(classifier, done.perturbed, done.target)
        assert got == pytest.approx(done.scores.perturbed, abs=0.05)
        assert abs(got - done.scores.original) > 0.05


class TestPhotos:
    def test_one_gives_one_and_several_give_a_list(self, classifier, make_photo, make_pixels):
        path = make_photo()
        assert isinstance(explain(classifier, path, iterations=1), Explanation)
        assert isinstance(explain(classifier, str(path), iterations=1), Explanation)
        assert isinstance(explain(classifier, Image.open(path), iterations=1), Explanation)
        assert isinstance(explain(classifier, read_photo(path), iterations=1), Explanation)
        assert isinstance(explain(classifier, make_pixels(), iterations=1), Explanation)
        assert isinstance(explain(classifier, torch.rand(3, 9, 8), iterations=1), Explanation)
        for several in ([path], (path,), make_pixels()[None], torch.rand(1, 3, 9, 8)):
            done = explain(classifier, several, iterations=1)
            assert isinstance(done, list)
            assert len(done) == 1

    def test_every_way_to_give_several_is_the_same(self, classifier, make_pixels):
        arrays = np.stack([make_pixels(seed=seed) for seed in range(3)])
        tensors = torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255
        ways = [list(arrays), tuple(arrays), arrays, tensors, list(tensors), [read_photo(a) for a in arrays]]
        results = [explain(classifier, way, iterations=2) for way in ways]
        assert {len(done) for done in results} == {3}
        for done in results[1:]:
            for first, other in zip(results[0], done, strict=True):
                assert torch.allclose(first.mask, other.mask, atol=1e-6)
                assert first.photo.sha256 == other.photo.sha256
        assert len({done.photo.sha256 for done in results[0]}) == 3

    @pytest.mark.parametrize("batch_size", [1, 2, 5])
    def test_batches_keep_the_order(self, classifier, make_pixels, batch_size):
        arrays = [make_pixels(30 + seed, 20, seed) for seed in range(5)]
        done = explain(classifier, arrays, iterations=1, batch_size=batch_size)
        assert [one.mask.shape for one in done] == [(30 + seed, 20) for seed in range(5)]
        seen = torch.stack([Squash().apply(read_photo(array).pixels, (32, 32)) for array in arrays])
        predicted = classifier.probabilities(seen).argmax(dim=1).tolist()
        assert [one.target.indices[0] for one in done] == predicted

    @pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (31, 33), (32, 32), (7, 190)])
    @pytest.mark.parametrize("fit", [Squash(), CentreCrop()], ids=["squash", "crop"])
    def test_any_size(self, classifier, make_pixels, size, fit):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        done = explain(classifier, pixels, iterations=1, fit=fit)
        assert done.mask.shape == size
        assert done.perturbed.shape == (3, *size)
        assert torch.isfinite(done.mask).all()
        assert torch.isfinite(done.perturbed).all()

    @pytest.mark.parametrize("size", [(32, 48), (17, 9), (40, 40)])
    def test_any_input_of_the_network(self, make_net, make_pixels, size):
        done = explain(Classifier(make_net(), size=size), make_pixels(), iterations=2)
        assert done.mask_grid.shape == tuple(round(side / 8) for side in size)
        assert done.mask.shape == (40, 56)
        assert done.provenance.input_size == size

    def test_a_bad_photo_among_good_ones(self, classifier, make_photo, tmp_path):
        with pytest.raises(UnseeError, match=r"missing\.png") as error:
            explain(classifier, [make_photo(), tmp_path / "missing.png"], iterations=1)
        one_line(error)


class TestTargets:
    def test_none_is_the_predicted_class(self, classifier, make_pixels):
        done = explain(classifier, make_pixels(), iterations=1)
        scores = classifier.probabilities(Squash().apply(done.photo.pixels, (32, 32))[None])[0]
        assert done.target == Target((int(scores.argmax()),), (classifier.class_name(int(scores.argmax())),))
        assert done.target.asked == "predicted"

    def test_one_for_all(self, classifier, make_pixels):
        done = explain(classifier, [make_pixels(seed=seed) for seed in range(2)], "dog", iterations=1)
        assert [one.target for one in done] == [Target((4,), ("dog",), "dog")] * 2

    def test_one_for_each(self, classifier, make_pixels):
        photos = [make_pixels(seed=seed) for seed in range(4)]
        done = explain(classifier, photos, [1, "dog", None, (0, 2)], iterations=1)
        predicted = explain(classifier, photos[2], iterations=1).target
        assert [one.target.indices for one in done] == [(1,), (4,), predicted.indices, (0, 2)]
        assert [one.target.asked for one in done] == ["1", "dog", "predicted", "0+2"]

    def test_several_at_once(self, classifier, make_pixels):
        done = explain(classifier, make_pixels(), (3, "bee", 3), iterations=1)
        assert done.target == Target((3, 1), ("tiger cat", "bee"), "3+bee+3")
        scores = classifier.probabilities(Squash().apply(done.photo.pixels, (32, 32))[None])[0]
        assert done.scores.original == pytest.approx(float(scores[3] + scores[1]), abs=1e-6)

    def test_several_at_once_for_all(self, classifier, make_pixels):
        done = explain(classifier, [make_pixels(), make_pixels(seed=1)], (0, 1), iterations=1)
        assert [one.target.indices for one in done] == [(0, 1), (0, 1)]

    def test_top5_is_the_five_best_in_order(self, make_net, make_pixels):
        model = Classifier(make_net(9), size=(32, 32))
        done = explain(model, make_pixels(), "top5", iterations=1)
        scores = model.probabilities(Squash().apply(done.photo.pixels, (32, 32))[None])[0]
        assert done.target.indices == tuple(scores.argsort(descending=True)[:5].tolist())
        assert done.target.names == tuple(map(str, done.target.indices))
        assert done.target.asked == "top5"

    def test_top5_of_fewer_classes_is_all_of_them(self, make_net, make_pixels):
        done = explain(Classifier(make_net(3), size=(32, 32)), make_pixels(), "top5", iterations=1)
        assert sorted(done.target.indices) == [0, 1, 2]

    def test_a_preset_of_five_classes(self, make_net, make_pixels):
        model = Classifier(make_net(9), size=(32, 32))
        assert len(explain(model, make_pixels(), preset="top5", iterations=1).target.indices) == 5
        assert len(explain(model, make_pixels(), 2, preset="top5", iterations=1).target.indices) == 1

    @pytest.mark.parametrize("targets", [[], [1], [1, 2, 3]])
    def test_wrong_counts(self, classifier, make_pixels, targets):
        with pytest.raises(UnseeError, match=f"2 photos need 2 targets, not {len(targets)}") as error:
            explain(classifier, [make_pixels(), make_pixels()], targets, iterations=1)
        one_line(error)

    @pytest.mark.parametrize("target", ["walrus", 5, -1, "a", (), (0, 9), ("dog", "walrus"), ""])
    def test_no_such_class(self, classifier, make_pixels, target):
        with pytest.raises(UnseeError) as error:
            explain(classifier, make_pixels(), target, iterations=1)
        one_line(error)


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"preset": "papr"}, "paper"),
            ({"preset": ""}, "paper"),
            ({"game": "delete"}, "deletion"),
            ({"perturbation": "blurr"}, "blur"),
            ({"score": "probability"}, "softmax"),
            ({"iterations": 0}, "0"),
            ({"iterations": -3}, "-3"),
            ({"batch_size": 0}, "0"),
            ({"batch_size": -1}, "-1"),
        ],
    )
    def test_refused_in_one_line(self, classifier, make_pixels, options, told):
        with pytest.raises(UnseeError) as error:
            explain(classifier, make_pixels(), **options)
        assert told in one_line(error)

    def test_objects_in_place_of_names(self, classifier, make_pixels):
        done = explain(
            classifier,
            make_pixels(),
            preset=PRESETS["alexnet"],
            game=PRESERVATION,
            perturbation=Constant((1.0, 0.0, 0.0)),
            score=lambda logits, targets: (logits.sigmoid() * targets).sum(dim=1),
            fit=CentreCrop(),
            iterations=2,
        )
        assert (done.run.preset, done.run.game, done.provenance.fit) == ("custom", "preservation", "crop")
        assert done.run.settings["perturbations"][0]["color"] == [1.0, 0.0, 0.0]
        assert done.run.settings["objective"]["score"] == "<lambda>"
        strict(json.dumps(done.manifest(), allow_nan=False))

    @pytest.mark.parametrize("preset", sorted(PRESETS))
    def test_every_preset_runs(self, classifier, make_pixels, preset):
        done = explain(classifier, make_pixels(), preset=preset, iterations=2)
        assert done.run.preset == preset
        assert done.run.iterations == 2
        assert torch.isfinite(done.mask).all()
        strict(json.dumps(done.manifest(), allow_nan=False))

    def test_the_seed_is_recorded_and_decides(self, classifier, make_pixels):
        first, again, other = (
            explain(classifier, make_pixels(), iterations=4, seed=seed, perturbation="noise")
            for seed in (3, 3, 4)
        )
        assert [first.run.seed, other.run.seed] == [3, 4]
        assert torch.equal(first.mask, again.mask)
        assert not torch.equal(first.mask_grid, other.mask_grid)

    def test_wrong_types_are_told_too(self):
        """In a process of its own: here, types are checked before `explain` sees them."""
        script = """
import numpy as np, torch, unsee
net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
model = unsee.Classifier(net, size=(8, 8), class_names=("red", "green", "blue"))
pixels = np.zeros((8, 8, 3), dtype=np.uint8)
cases = [
    {"targets": 1.5}, {"targets": np.array([0, 1])}, {"targets": torch.tensor(1)}, {"preset": None},
    {"preset": 3}, {"game": 3}, {"perturbation": 3}, {"score": 3}, {"iterations": 1.5}, {"iterations": "3"},
    {"seed": 1.5}, {"seed": "a"}, {"seed": None}, {"batch_size": 1.5}, {"fit": "squash"}, {"fit": 3},
    {"photos": None}, {"photos": 5}, {"photos": {}}, {"photos": [None]}, {"model": net},
]
assert unsee.explain(model, pixels, np.int64(2), iterations=1).target.names == ("blue",)
assert unsee.explain(model, []) == []
for case in cases:
    try:
        unsee.explain(**{"model": model, "photos": pixels, "iterations": 1, **case})
        print("nothing raised by", case)
    except unsee.UnseeError as error:
        assert str(error) and chr(10) not in str(error), case
    except Exception as error:
        print(type(error).__name__, "by", case)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("", "")


class TestCentreCrop:
    @pytest.mark.parametrize("game", ["deletion", "preservation"])
    @pytest.mark.parametrize("size", [(40, 90), (90, 40), (60, 60), (20, 30)])
    def test_what_the_network_did_not_see_stays(self, classifier, make_pixels, game, size):
        fit = CentreCrop()
        done = explain(classifier, make_pixels(*size, seed=2), iterations=4, fit=fit, game=game)
        left, top, right, bottom = fit.window(size, classifier.size)
        unseen = torch.ones(size, dtype=torch.bool)
        unseen[math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)] = False
        assert unseen.any()
        assert (done.mask[unseen] == (1 if game == "deletion" else 0)).all()
        assert (done.saliency[unseen] == 0).all()
        assert torch.equal(done.perturbed[:, unseen], done.photo.pixels[:, unseen])
        assert done.saliency[~unseen].max() > 0
        assert (done.perturbed - done.photo.pixels)[:, ~unseen].abs().max() > 0.01

    def test_the_mask_lies_where_it_was_learned(self, make_net, make_pixels):
        """A photo whose middle is exactly the network's input: there, cropping changes nothing."""
        model = Classifier(make_net(), size=(32, 32))
        wide = make_pixels(32, 80, seed=3)
        crop = explain(model, wide, 1, iterations=4, fit=CentreCrop(resize=32))
        alone = explain(
            model, np.ascontiguousarray(wide[:, 24:56]), 1, iterations=4, preset="paper", fit=Squash()
        )
        assert CentreCrop(resize=32).window((32, 80), (32, 32)) == (24, 0, 56, 32)
        assert crop.scores.original == pytest.approx(alone.scores.original, abs=1e-6)
        assert torch.equal(crop.mask[:, :24], torch.ones(32, 24))
        assert torch.equal(crop.mask[:, 56:], torch.ones(32, 24))
        assert torch.equal(crop.perturbed[:, :, :24], crop.photo.pixels[:, :, :24])
        assert crop.area == pytest.approx(float((1 - crop.mask[:, 24:56]).mean()), abs=1e-5)
        middle = crop.perturbed[None, :, :, 24:56].contiguous()
        score = float(model.probabilities(middle)[0, 1])
        assert score == pytest.approx(crop.scores.perturbed, abs=1e-5)
