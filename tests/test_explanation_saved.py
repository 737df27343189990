"""Explanations that are saved and loaded again."""

import dataclasses
import json
import math
import os
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from checks import one_line, strict
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.explanation import Explanation, Scores
from unsee.masks import explain

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
    *("photo", "photo_sha256", "model", "target", "scores", "suppression", "area", "objective", "iterations"),
    *("evaluations", "seed", "preset", "settings", "converged", "seconds", "history", "versions"),
    "weights_sha256",
}


@pytest.fixture(scope="session")
def saved_once(explanation, tmp_path_factory):
    return explanation.save(tmp_path_factory.mktemp("saved") / "whole")


@pytest.fixture
def saved(saved_once, tmp_path):
    """A folder of an explanation that a test may spoil."""
    return shutil.copytree(saved_once, tmp_path / "saved")


class Spoils(nn.Module):
    """NaN logits for every picture that is not the photo itself."""

    def __init__(self, net, photo):
        super().__init__()
        self.net, self.photo = net, photo

    def forward(self, x):
        apart = (x - self.photo).abs().amax(dim=(1, 2, 3)) > 1e-4
        return self.net(x) + torch.where(apart, math.nan, 0.0)[:, None]


class TestSave:
    def test_it_writes_exactly_the_documented_files(self, saved):
        assert {path.name for path in saved.iterdir()} == FILES

    def test_arrays(self, saved, explanation):
        mask, grid = np.load(saved / "mask.npy"), np.load(saved / "mask_grid.npy")
        assert (mask.shape, mask.dtype) == ((40, 56), np.float32)
        assert (grid.shape, grid.dtype) == ((4, 4), np.float32)
        assert np.array_equal(mask, explanation.mask.numpy())
        assert np.array_equal(grid, explanation.mask_grid.numpy())

    def test_the_manifest(self, saved, explanation):
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

    def test_several_classes_are_lists_in_the_manifest(self, classifier, make_pixels):
        record = explain(classifier, make_pixels(), (3, "dog"), iterations=1).manifest()
        assert record["target"] == {"index": [3, 4], "name": ["tiger cat", "dog"], "asked": "3+dog"}

    def test_a_run_that_was_not_finite_is_still_strict_json(self, make_net, make_pixels, tmp_path):
        pixels = make_pixels(32, 32)
        photo = torch.from_numpy(pixels).permute(2, 0, 1) / 255
        model = Classifier(Spoils(make_net(), photo), size=(32, 32), mean=0.0, std=1.0)
        done = explain(model, pixels, preset="pytorch-port", iterations=2)
        assert not done.converged
        assert "not finite" in done.run.verdict
        record = strict((done.save(tmp_path / "nan") / "explanation.json").read_text())
        assert record["scores"]["reference"] is None
        assert record["suppression"] is None
        assert record["history"]["score"] == [None]
        assert np.isfinite(np.load(tmp_path / "nan" / "mask.npy")).all()

    def test_saving_twice_is_refused(self, saved, explanation):
        before = {path.name: path.read_bytes() for path in saved.iterdir()}
        with pytest.raises(UnseeError, match="already") as error:
            explanation.save(saved)
        one_line(error)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before

    def test_overwriting_keeps_other_files(self, saved, explanation):
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

    def test_a_full_disk_is_reported_in_one_line(self, tmp_path, explanation, monkeypatch):
        self.break_drawing(monkeypatch, OSError(28, "No space left on device"))
        with pytest.raises(UnseeError, match="No space left") as error:
            explanation.save(tmp_path / "new")
        one_line(error)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_a_folder_that_cannot_be_written_to(self, tmp_path, explanation):
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

    def test_saving_again_gives_the_same_files(self, saved, tmp_path):
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
    def test_a_damaged_manifest(self, saved, text):
        (saved / "explanation.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(UnseeError, match="saved") as error:
            Explanation.load(saved)
        one_line(error)

    def test_a_manifest_without_one_of_its_keys(self, saved):
        record = strict((saved / "explanation.json").read_text())
        derived = {
            "format",
            "objective",
            "converged",
            "suppression",
            "normalized_score",
            "photo_size",
            "photo_notes",
        }
        # not in older manifests
        derived |= {
            "asked_area",
            "asked_share",
            "attempts",
            "token_check",
            "head",
            "channels",
            "value_range",
            "network",
        }
        for key in record.keys() - derived:
            rest = {name: value for name, value in record.items() if name != key}
            (saved / "explanation.json").write_text(json.dumps(rest))
            with pytest.raises(UnseeError, match=key) as error:
                Explanation.load(saved)
            one_line(error)

    @pytest.mark.parametrize("key", ["target", "scores", "objective_terms", "history"])
    @pytest.mark.parametrize("value", [[], 7, None])
    def test_a_manifest_with_values_of_another_type(self, saved, key, value):
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
