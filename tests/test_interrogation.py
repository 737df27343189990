"""`interrogate` from Python: what it takes, what it gives, and its files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unsee.classifier import Classifier
from unsee.drawing.side_by_side import side_by_side
from unsee.errors import UnseeError
from unsee.experiments.photo_interrogation import interrogate, interrogate_explanation
from unsee.explanation import Target
from unsee.fits import CentreCrop, Squash
from unsee.images import read_photo
from unsee.masks.edits.perturbation import Blur
from unsee.tensors import fitted_box

BOX = (10, 5, 30, 25)


@pytest.fixture
def result(classifier, make_photo):
    photo = read_photo(make_photo())
    return interrogate(classifier, photo, BOX, Target((1,), ("bee",)), Blur(), Squash())


def opened(path):
    with Image.open(path) as picture:
        picture.load()
        return picture


class TestInterrogate:
    def test_a_path_and_names_do_as_well_as_objects(self, result, classifier, make_photo):
        named = interrogate(classifier, make_photo(), BOX, "bee", "blur")
        assert {**named.manifest(), "target": None} == {**result.manifest(), "target": None}
        assert named.target == Target((1,), ("bee",), "bee")
        assert torch.equal(named.perturbed, result.perturbed)

    def test_an_image_in_memory_has_a_name_in_the_manifest(self, classifier, make_pixels):
        manifest = interrogate(classifier, make_pixels(), BOX, "bee").manifest()
        assert manifest["photo"] not in ("None", "")

    def test_the_predicted_class_by_default(self, classifier, make_photo):
        photo = read_photo(make_photo())
        scores = classifier.probabilities(Squash().apply(photo.pixels, (32, 32))[None])[0]
        assert interrogate(classifier, photo, BOX).target.indices == (int(scores.argmax()),)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (((0, 0, 57, 40),), "leaves the photo"),
            ((BOX, "walrus"), "walrus"),
            ((BOX, Target((7,), ("x",))), "classes 0 to 4"),
            ((BOX, "bee", "blurr"), "blur"),
            ((BOX, "bee", "joint"), "stands for 3"),
        ],
    )
    def test_what_the_caller_can_fix(self, classifier, make_photo, arguments, message):
        with pytest.raises(UnseeError, match=message):
            interrogate(classifier, make_photo(), *arguments)


class TestInterrogateExplanation:
    def test_the_box_is_fitted_to_the_mask(self, classifier, explanation):
        result = interrogate_explanation(classifier, explanation, threshold=0.7)
        assert result.box == fitted_box(explanation.saliency, 0.7)
        assert result.target == explanation.target
        assert torch.equal(result.saliency, explanation.saliency)
        assert result.fit == explanation.provenance.fit

    def test_everything_can_be_given(self, classifier, explanation):
        result = interrogate_explanation(classifier, explanation, BOX, "dog", "constant", CentreCrop(), 3)
        direct = interrogate(classifier, explanation.photo, BOX, "dog", "constant", CentreCrop(), 3)
        assert result.manifest() == direct.manifest()

    @pytest.mark.parametrize("options", [{"name": "other"}, {"weights_sha256": "0" * 64}])
    def test_another_network_is_refused(self, explanation, make_net, options):
        other = Classifier(make_net(), size=(32, 32), **{"name": "tiny", **options})
        with pytest.raises(UnseeError, match="learned on tiny with other weights"):
            interrogate_explanation(other, explanation)


class TestFiles:
    @pytest.mark.parametrize("with_saliency", [False, True])
    def test_files(self, result, tmp_path, with_saliency):
        shown = replace(result, saliency=torch.rand(40, 56)) if with_saliency else result
        out = shown.save(tmp_path / "new" / "out")
        assert {path.name for path in out.iterdir()} == {"interrogation.json", "perturbed.png", "figure.png"}
        assert json.loads((out / "interrogation.json").read_text()) == result.manifest()
        assert opened(out / "perturbed.png").size == (56, 40)
        width, height = opened(out / "figure.png").size
        assert width > height > 200

    def test_only_the_box_is_edited(self, result, tmp_path):
        result.save(tmp_path)
        edited = np.asarray(opened(tmp_path / "perturbed.png")).astype(int)
        photo = (result.photo.pixels.numpy() * 255).round().transpose(1, 2, 0).astype(int)
        changed = (edited != photo).any(axis=-1)
        assert changed[5:25, 10:30].mean() > 0.5
        changed[5:25, 10:30] = False
        assert not changed.any()

    def test_the_box_is_drawn_where_it_is(self, result):
        figure = side_by_side([(result.photo.pixels, "before"), (result.perturbed, "after")], result.box)
        for axes, title in zip(figure.axes, ("before", "after"), strict=True):
            (box,) = axes.patches
            assert box.get_bbox().extents == pytest.approx((9.5, 4.5, 29.5, 24.5))
            assert axes.get_title() == title

    def test_the_titles_are_the_scores(self, result, tmp_path, monkeypatch):
        drawn = []
        monkeypatch.setattr("unsee.drawing.panels.save", lambda figure, path: drawn.append(figure))
        result.save(tmp_path)
        titles = [axes.get_title() for axes in drawn[0].axes]
        assert titles == [f"bee: {score:.4f}" for score in (result.scores.original, result.scores.perturbed)]

    def test_nothing_is_replaced_unasked(self, result, tmp_path):
        result.save(tmp_path)
        before = (tmp_path / "interrogation.json").read_bytes()
        with pytest.raises(UnseeError, match=r"already holds an interrogation: overwrite=True \(--force\)"):
            replace(result, seed=1).save(tmp_path)
        assert (tmp_path / "interrogation.json").read_bytes() == before
        replace(result, seed=1).save(tmp_path, overwrite=True)
        assert json.loads((tmp_path / "interrogation.json").read_text())["seed"] == 1

    def test_a_file_is_not_a_folder(self, result, tmp_path):
        (tmp_path / "taken").write_text("a file")
        with pytest.raises(UnseeError, match="taken is a file"):
            result.save(tmp_path / "taken")
