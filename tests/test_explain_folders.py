"""`explain_to_folders`: finished explanations are kept, missing ones are learned, others are refused."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import unsee
from command_line import CLASSES, FILES, contents
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.files import folder_names
from unsee.fits import CentreCrop
from unsee.masks import PRESETS, Plan, adjusted
from unsee.masks.folders import explain_to_folders

QUICK = Plan(adjusted(PRESETS["fast"], iterations=2), "fast")


def changed(**changes):
    """The plan with other settings."""
    return replace(QUICK, settings=adjusted(QUICK.settings, **changes))


@pytest.fixture
def to_folders(classifier, monkeypatch, tmp_path):
    """Explains photos with a small network, two iterations and cheap figures."""

    def save(figure, path):
        Image.new("RGB", (3, 1)).save(path, format="PNG")

    monkeypatch.setattr("unsee.drawing.panels.save", save)

    def to_folders(*photos, plan=QUICK, classifier=classifier, **options):
        return explain_to_folders(classifier, photos, plan, out=tmp_path / "explanations", **options)

    return to_folders


def problem_of(report):
    (line,) = report.problems
    return line


def differing(line):
    """The names of what a line says is different."""
    (inside,) = re.findall(r"another explanation \((.*)\): force=True", line)
    return [part.split(":")[0] for part in inside.split("; ")]


class TestFolders:
    def test_each_photo_gets_a_folder_and_comes_back_in_order(self, to_folders, make_photo, tmp_path):
        report = to_folders(make_photo("b.png"), make_photo("a.png", seed=1), target="dog")
        assert [saved.folder for saved in report.saved] == [
            tmp_path / "explanations" / name for name in ("b", "a")
        ]
        assert report.problems == ()
        for saved in report.saved:
            assert {path.name for path in saved.folder.iterdir()} == FILES
            assert saved.manifest == json.loads((saved.folder / "explanation.json").read_text())
            loaded = unsee.Explanation.load(saved.folder)
            assert (loaded.target.names, loaded.run.iterations) == (("dog",), 2)

    def test_the_explanation_is_the_one_that_explain_learns(self, to_folders, classifier, make_photo):
        (saved,) = to_folders(make_photo()).saved
        direct = unsee.explain(classifier, make_photo(), iterations=2)
        assert (unsee.Explanation.load(saved.folder).mask == direct.mask).all()

    def test_a_bad_photo_does_not_stop_the_others(self, to_folders, make_photo, tmp_path):
        (tmp_path / "text.png").write_text("no picture")
        report = to_folders(make_photo("a.png"), "missing.png", tmp_path / "text.png", make_photo("b.png"))
        assert [saved.folder.name for saved in report.saved] == ["a", "b"]
        first, second = report.problems
        assert "missing.png" in first
        assert "text.png" in second

    def test_progress_counts_photos_that_need_no_learning(self, to_folders, make_photo):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(3)]
        to_folders(photos[0])
        steps = []
        to_folders(*photos, progress=steps.append)
        assert steps[0].done > 1
        assert steps[-1].done == pytest.approx(3)

    def test_out_must_be_a_folder(self, to_folders, make_photo, tmp_path):
        (tmp_path / "explanations").write_text("a file")
        with pytest.raises(UnseeError, match=r"explanations is a file: out=… \(--out\)"):
            to_folders(make_photo())


class TestNames:
    @pytest.mark.parametrize(
        ("photos", "folders"),
        [
            (["x.png", "x.jpg", "x-2.png"], ["x", "x-2", "x-2-2"]),
            (["x-2.png", "x.png", "x.png"], ["x-2", "x", "x-3"]),
            (["noending", "a.b.c", ".hidden"], ["noending", "a.b", ".hidden"]),
        ],
    )
    def test_folder_names(self, photos, folders):
        assert folder_names(photos) == folders

    @pytest.mark.parametrize("photo", ["..png", "...png", "a/...jpg", ".png"])
    def test_a_folder_is_always_below_out(self, photo):
        (name,) = folder_names([photo])
        assert name not in ("", ".", "..")
        assert "/" not in name


class TestAgain:
    def test_what_is_there_is_not_learned_again(self, to_folders, batches, make_photo, tmp_path):
        photos = [make_photo("a.png"), make_photo("b.png", seed=1)]
        first = to_folders(*photos)
        before = contents(tmp_path / "explanations")
        batches.clear()
        assert to_folders(*photos) == first
        assert batches == []
        assert contents(tmp_path / "explanations") == before

    def test_only_what_is_missing_is_learned(self, to_folders, batches, make_photo, tmp_path):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(3)]
        to_folders(photos[0], photos[2])
        shutil.rmtree(tmp_path / "explanations" / "2")
        batches.clear()
        report = to_folders(*photos)
        assert batches == [2]
        assert [Path(saved.manifest["photo"]).stem for saved in report.saved] == ["0", "1", "2"]

    @pytest.mark.parametrize(
        ("options", "difference"),
        [
            ({"plan": replace(QUICK, seed=1)}, "seed"),
            ({"plan": changed(iterations=3)}, "settings"),
            ({"plan": Plan(adjusted(PRESETS["alexnet"], iterations=2), "alexnet")}, "settings"),
            ({"plan": changed(game="preservation")}, "settings"),
            ({"plan": changed(perturbation="constant")}, "settings"),
            ({"plan": changed(score="logit")}, "settings"),
            ({"target": 0}, "target"),
            ({"plan": replace(QUICK, fit=CentreCrop())}, "fit"),
        ],
    )
    def test_another_explanation_is_not_replaced(
        self, to_folders, batches, make_photo, tmp_path, options, difference
    ):
        photo = make_photo()
        to_folders(photo)
        before = contents(tmp_path / "explanations")
        batches.clear()
        report = to_folders(photo, **options)
        assert report.saved == ()
        names = differing(problem_of(report))
        assert names[0].split(".")[0] == difference
        assert {name.split(".")[0] for name in names if not name.startswith("and ")} <= {
            difference,
            "precision",
        }
        assert batches == []
        assert contents(tmp_path / "explanations") == before

    def test_the_line_gives_both_values(self, to_folders, make_photo):
        to_folders(make_photo())
        assert "(seed: 0 → 7)" in problem_of(to_folders(make_photo(), plan=replace(QUICK, seed=7)))

    def test_another_network_photo_or_weight_file_is_another_explanation(
        self, to_folders, make_photo, make_net
    ):
        photo = make_photo()
        to_folders(photo)
        make_photo(seed=9)
        assert differing(problem_of(to_folders(photo))) == ["photo_sha256"]
        make_photo()
        assert to_folders(photo).problems == ()
        for name, weights, difference in (("tiny", "0" * 64, "weights_sha256"), ("tiny3", None, "model")):
            other = Classifier(
                make_net(), size=(32, 32), class_names=CLASSES, name=name, weights_sha256=weights
            )
            assert differing(problem_of(to_folders(photo, classifier=other))) == [difference]

    def test_force_replaces(self, to_folders, batches, make_photo, tmp_path):
        photo, folder = make_photo(), tmp_path / "explanations" / "photo"
        to_folders(photo)
        (folder / "notes.txt").write_text("mine")
        before = contents(folder)
        (saved,) = to_folders(photo, plan=changed(game="preservation"), force=True).saved
        after = contents(folder)
        assert batches == [1, 1]
        assert saved.manifest["game"] == "preservation"
        assert after.keys() == before.keys()
        assert after[Path("mask.npy")] != before[Path("mask.npy")]
        assert after[Path("notes.txt")] == b"mine"

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"target": 3}', "\xff"])
    def test_a_damaged_record_is_not_replaced(self, to_folders, make_photo, tmp_path, text):
        photo, record = make_photo(), tmp_path / "explanations" / "photo" / "explanation.json"
        record.parent.mkdir(parents=True)
        record.write_bytes(text.encode("latin-1"))
        assert "is damaged: force=True (--force)" in problem_of(to_folders(photo))
        assert record.read_bytes() == text.encode("latin-1")
        assert to_folders(photo, force=True).problems == ()
        assert json.loads(record.read_text())["model"] == "tiny"


class TestStopped:
    def test_finished_photos_are_kept_and_the_same_call_goes_on(
        self, to_folders, batches, make_photo, tmp_path
    ):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(5)]
        plan = replace(changed(iterations=3, perturbation="noise"), batch_size=2)
        to_folders(*photos, plan=plan)
        (tmp_path / "explanations").rename(tmp_path / "whole")
        batches.clear()

        def stop(step):
            if len(batches) == 2 and step.iteration == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            to_folders(*photos, plan=plan, progress=stop)
        assert batches == [2, 2]
        assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"0", "1"}
        first = contents(tmp_path / "explanations")
        assert len(to_folders(*photos, plan=plan).saved) == 5
        assert batches == [2, 2, 2, 1]
        parts, whole = contents(tmp_path / "explanations"), contents(tmp_path / "whole")
        assert parts.keys() == whole.keys()
        for path, data in parts.items():
            if path.name in ("mask.npy", "mask_grid.npy", "mask.png", "perturbed.png"):
                assert data == whole[path], path
        assert {path: data for path, data in parts.items() if path in first} == first

    def test_a_second_batch_that_fails_leaves_the_first(self, to_folders, batches, make_photo, tmp_path):
        def failing():
            if batches:
                raise RuntimeError("out of reach")

        batches.before = failing
        photos = [make_photo(f"{i}.png", seed=i) for i in range(2)]
        with pytest.raises(RuntimeError, match="out of reach"):
            to_folders(*photos, plan=replace(QUICK, batch_size=1))
        assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"0"}
