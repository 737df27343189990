"""Options of `explain`, the score of the edited image, and centre crops."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from checks import one_line, strict
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.fits import CentreCrop, Squash
from unsee.images import read_photo
from unsee.masks import PRESETS, explain
from unsee.masks.edits.perturbation import Constant
from unsee.masks.game import PRESERVATION


class TestEditedImage:
    def score_of(self, classifier, pixels, target):
        images = Squash().apply(pixels, classifier.size)[None]
        return float(classifier.probabilities(images)[0, list(target.indices)].sum())

    @pytest.mark.parametrize("perturbation", ["blur", "constant", "noise", "median"])
    @pytest.mark.parametrize("game", ["deletion", "preservation"])
    def test_the_edited_image_has_the_recorded_score(
        self, classifier, make_photo, tmp_path, monkeypatch, perturbation, game
    ):
        """A photo of the network's own size: squashing changes nothing, so only 8-bit rounding is between.

        Rounding moves each value by at most 0.5/255, and so the score, to first order, by at most that times
        the sum of the absolute gradient; twice that leaves room for its curvature.
        """
        monkeypatch.setattr("unsee.drawing.panels.save", lambda figure, path: None)
        path = make_photo(height=32, width=32, seed={"deletion": 3, "preservation": 1}[game])
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

    def test_a_larger_photo_has_nearly_the_recorded_score(self, classifier, make_photo):
        """The mask is enlarged to the photo and shrunk again: close, not equal."""
        done = explain(classifier, make_photo(height=64, width=96, seed=1), iterations=8)
        got = self.score_of(classifier, done.perturbed, done.target)
        assert got == pytest.approx(done.scores.perturbed, abs=0.05)
        assert abs(got - done.scores.original) > 0.05


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "expected"),
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
    def test_refused_in_one_line(self, classifier, make_pixels, options, expected):
        with pytest.raises(UnseeError) as error:
            explain(classifier, make_pixels(), **options)
        assert expected in one_line(error)

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

    @pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"tokens"}))
    def test_every_preset_runs(self, classifier, make_pixels, preset):
        done = explain(classifier, make_pixels(), preset=preset, iterations=2)
        assert done.run.preset == preset
        assert done.run.iterations == 2
        assert torch.isfinite(done.mask).all()
        strict(json.dumps(done.manifest(), allow_nan=False))

    def test_the_seed_is_recorded_and_changes_the_result(self, classifier, make_pixels):
        first, again, other = (
            explain(classifier, make_pixels(), iterations=4, seed=seed, perturbation="noise")
            for seed in (3, 3, 4)
        )
        assert [first.run.seed, other.run.seed] == [3, 4]
        assert torch.equal(first.mask, again.mask)
        assert not torch.equal(first.mask_grid, other.mask_grid)

    def test_wrong_types_are_refused_in_one_line(self):
        """In a process of its own: here, types are checked before `explain` sees them."""
        script = """
import numpy as np, torch, unsee
net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
model = unsee.Classifier(net, size=(8, 8), class_names=("red", "green", "blue"))
pixels = np.zeros((8, 8, 3), dtype=np.uint8)
cases = [
    {"targets": 1.5}, {"targets": np.array([0, 1])}, {"targets": torch.tensor(1)},
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
    def test_what_the_network_does_not_see_is_not_edited(self, classifier, make_pixels, game, size):
        fit = CentreCrop()
        done = explain(classifier, make_pixels(*size, seed=5), iterations=4, fit=fit, game=game)
        assert "the untouched image" not in done.run.verdict
        left, top, right, bottom = fit.window(size, classifier.size)
        unseen = torch.ones(size, dtype=torch.bool)
        unseen[math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)] = False
        assert unseen.any()
        assert (done.mask[unseen] == (1 if game == "deletion" else 0)).all()
        assert (done.saliency[unseen] == 0).all()
        assert torch.equal(done.perturbed[:, unseen], done.photo.pixels[:, unseen])
        assert done.saliency[~unseen].max() > 0
        assert (done.perturbed - done.photo.pixels)[:, ~unseen].abs().max() > 0.01

    def test_the_mask_is_where_it_was_learned(self, make_net, make_pixels):
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
