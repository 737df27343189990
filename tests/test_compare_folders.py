"""`compare_to_folders` and `unsee compare`: maps that are there are kept, missing ones are computed."""

import json

import numpy as np
import pytest

from command_line import strict
from unsee.errors import UnseeError
from unsee.experiments.comparison_folders import compare_to_folders
from unsee.experiments.photo_comparison import ComparisonSettings, PhotoComparer
from unsee.methods import METHODS


@pytest.fixture
def to_folders(classifier, make_photo, tmp_path):
    """Compares methods on a photo with a small network."""
    photo = make_photo()

    def to_folders(*methods, photos=(photo,), seed=0, **options):
        settings = ComparisonSettings(methods, seed=seed)
        return compare_to_folders(classifier, photos, settings, out=tmp_path / "out", **options)

    to_folders.out = tmp_path / "out"
    return to_folders


@pytest.fixture
def computed(monkeypatch):
    """The methods whose maps are computed, in order; the one named by `stop_at` is interrupted."""
    run = PhotoComparer.run

    class Computed(list):
        stop_at = None

    noted = Computed()

    def noting(self, method):
        if method == noted.stop_at:
            raise KeyboardInterrupt
        noted.append(method)
        run(self, method)

    monkeypatch.setattr(PhotoComparer, "run", noting)
    return noted


def boxes(report):
    """The smallest box of each method."""
    return [
        {name: row["smallest_box"] for name, row in manifest["methods"].items()}
        for manifest in report.manifests
    ]


class TestFolders:
    def test_numbers_and_maps_are_written(self, to_folders):
        report = to_folders("mask", "gradient", "occlusion")
        (manifest,) = report.manifests
        assert strict((to_folders.out / "compare.json").read_text()) == [manifest]
        assert list(manifest["methods"]) == ["mask", "gradient", "occlusion"]
        saved = np.load(to_folders.out / "photo" / "occlusion.npy")
        assert list(saved.shape) == manifest["methods"]["occlusion"]["shape"]
        record = strict((to_folders.out / "photo" / "comparison.json").read_text())
        assert record["methods"] == manifest["methods"]
        assert (record["settings"]["seed"], record["settings"]["target"]) == (0, "predicted")

    def test_what_is_there_is_not_computed_again(self, to_folders, computed):
        first = to_folders("gradient", "mask")
        computed.clear()
        assert to_folders("gradient", "mask").manifests == first.manifests
        assert computed == []
        to_folders("center", "gradient")
        assert computed == ["center"]
        assert to_folders("gradient", "mask").manifests == first.manifests
        assert computed == ["center"]
        to_folders("gradient", force=True)
        assert computed == ["center", "gradient"]

    def test_a_stopped_call_goes_on_where_it_was(self, to_folders, computed):
        methods = ("gradient", "center", "occlusion")
        whole = boxes(to_folders(*methods))
        (to_folders.out / "photo" / "comparison.json").unlink()
        computed.stop_at = "occlusion"
        with pytest.raises(KeyboardInterrupt):
            to_folders(*methods)
        computed.stop_at = None
        computed.clear()
        again = to_folders(*methods)
        assert computed == ["occlusion"]
        assert boxes(again) == whole

    def test_another_setting_is_refused_with_what_differs(self, to_folders):
        to_folders("center")
        report = to_folders("center", seed=3, target="dog")
        assert report.comparisons == ()
        (line,) = report.problems
        assert "another comparison (seed: 0 → 3; target: predicted → dog): force=True" in line
        assert to_folders("center", seed=3, force=True).problems == ()

    @pytest.mark.parametrize("text", ["{", "[]", '{"settings": {}}'])
    def test_a_damaged_record_is_named(self, to_folders, text):
        to_folders("center")
        (to_folders.out / "photo" / "comparison.json").write_text(text)
        (line,) = to_folders("center").problems
        assert "--force" in line
        assert str(to_folders.out / "photo") in line

    def test_a_photo_that_cannot_be_read_does_not_stop_the_others(self, to_folders, make_photo, tmp_path):
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no picture")
        report = to_folders("center", photos=(broken, make_photo("other.png")))
        assert len(report.comparisons) == 1
        (line,) = report.problems
        assert "broken.png" in line
        assert len(strict((to_folders.out / "compare.json").read_text())) == 1

    def test_a_method_that_cannot_serve_is_left_out(self, to_folders):
        report = to_folders("cam", "center")
        (reason,) = report.left_out
        assert reason.startswith("cam: CAM needs")
        assert (to_folders.out / "photo" / "center.npy").exists()

    def test_progress_counts_every_map(self, to_folders, make_photo, tmp_path):
        to_folders("center")
        steps = []
        photos = (tmp_path / "photo.png", tmp_path / "missing.png", make_photo("b.png"))
        to_folders("center", "gradient", photos=photos, progress=steps.append)
        assert [(step.photo, step.method, step.done) for step in steps] == [
            ("photo.png", "gradient", 1),
            ("photo.png", None, 2),
            ("missing.png", None, 4),
            ("b.png", "center", 4),
            ("b.png", "gradient", 5),
            ("b.png", None, 6),
        ]
        assert {step.total for step in steps} == {6}

    def test_out_must_be_a_folder(self, to_folders):
        to_folders.out.write_text("a file")
        with pytest.raises(UnseeError, match=r"out is a file: out=… \(--out\)"):
            to_folders("center")


class TestCommand:
    @pytest.fixture
    def compare(self, run, use, classifier, make_photo, tmp_path):
        """Runs `unsee compare` on a photo with a small network and cheap figures."""
        use(lambda *_: classifier)
        photo = make_photo()

        def compare(*options, photos=(photo,)):
            return run("compare", *photos, "--out", tmp_path / "out", *options)

        compare.out = tmp_path / "out"
        return compare

    def test_it_writes_figure_numbers_and_maps(self, compare, to_folders):
        result = compare("--methods", "center,gradient", "--json")
        assert result.code == 0
        (printed,) = strict(result.out)
        assert (compare.out / "compare.png").exists()
        assert json.loads((compare.out / "compare.json").read_text()) == [printed]
        assert (compare.out / "photo" / "center.npy").exists()
        assert to_folders("center", "gradient").manifests == [printed]

    def test_people_read_a_table(self, compare):
        result = compare("--methods", "center,smooth-grad")
        assert (result.code, result.out) == (0, "")
        for text in ("photo.png", "smooth-grad", "compare.png"):
            assert text in result.err

    def test_ctrl_c_says_how_to_go_on(self, compare, computed):
        computed.stop_at = "occlusion"
        result = compare("--methods", "center,occlusion")
        assert result.code == 130
        assert "without --force, continues from here" in result.err

    def test_another_setting_is_refused(self, compare):
        compare("--methods", "center")
        result = compare("--methods", "center", "--seed", "3")
        assert result.code == 2
        assert "(seed: 0 → 3): force=True (--force)" in result.err
        assert compare("--methods", "center", "--seed", "3", "--force").code == 0

    def test_a_method_asked_for_by_name_that_cannot_serve_ends_with_2(self, compare):
        result = compare("--methods", "cam,center")
        assert result.code == 2
        assert "CAM needs" in result.err
        assert (compare.out / "photo" / "center.npy").exists()

    def test_a_photo_that_cannot_be_read_ends_with_2(self, compare, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"no picture")
        result = compare("--methods", "center", photos=(tmp_path / "broken.png", tmp_path / "photo.png"))
        assert result.code == 2
        assert "broken.png" in result.err
        assert len(json.loads((compare.out / "compare.json").read_text())) == 1

    @pytest.mark.parametrize("methods", [",", "gradcam"])
    def test_methods_that_do_not_exist(self, compare, methods):
        result = compare("--methods", methods)
        assert result.code == 2
        assert "grad" in result.err

    def test_methods_are_listed(self, run):
        listed = strict(run("methods", "--json").out)
        assert list(listed) == [name.replace("_", "-") for name in METHODS]
        assert all(listed.values())
        assert "grad-cam" in run("methods").out
