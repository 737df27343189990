"""Photos and targets that `explain` takes."""

import numpy as np
import pytest
import torch
from PIL import Image

from checks import one_line
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.explanation import Explanation, Target
from unsee.fits import CentreCrop, Squash
from unsee.images import read_photo
from unsee.masks import explain


class TestPhotos:
    def test_one_photo_gives_one_result_and_several_give_a_list(self, classifier, make_photo, make_pixels):
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

    def test_lists_arrays_and_tensors_give_the_same_results(self, classifier, make_pixels):
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
    def test_any_input_size(self, make_net, make_pixels, size):
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
        with pytest.raises(UnseeError, match=f"2 photos and {len(targets)} targets?: give") as error:
            explain(classifier, [make_pixels(), make_pixels()], targets, iterations=1)
        one_line(error)

    @pytest.mark.parametrize("target", ["walrus", 5, -1, "a", (), (0, 9), ("dog", "walrus"), ""])
    def test_no_such_class(self, classifier, make_pixels, target):
        with pytest.raises(UnseeError) as error:
            explain(classifier, make_pixels(), target, iterations=1)
        one_line(error)
