"""Areas in Python and on the command line: one, several, and the smallest."""

import json
from dataclasses import replace

import pytest
import torch

import unsee
from command_line import refused, strict
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.photo_comparison import compare
from unsee.explanation import Scores
from unsee.masks.area_arguments import LADDER, areas_asked
from unsee.masks.smallest_area import smallest_area


@pytest.fixture
def classifier(make_net):
    return Classifier(make_net(5), size=(32, 32))


def explained(classifier, photo, **options):
    return unsee.explain(classifier, photo, iterations=3, precision="float32", **options)


class TestInPython:
    def test_several_areas_are_what_single_ones_are(self, classifier, make_photo):
        photos = [make_photo("a.png", seed=1), make_photo("b.png", seed=2)]
        together = explained(classifier, photos, area=(0.1, 0.4))
        assert [(one.photo.name, one.run.asked_area) for one in together] == [
            ("a.png", 0.1),
            ("a.png", 0.4),
            ("b.png", 0.1),
            ("b.png", 0.4),
        ]
        for one in together:
            alone = explained(classifier, one.photo, area=one.run.asked_area)
            assert torch.allclose(one.mask, alone.mask, rtol=0, atol=1e-4)
            assert one.run.settings == alone.run.settings
            assert one.run.preset == "extremal-fast"

    def test_the_same_seed_gives_the_same_mask_and_the_model_comes_back(self, classifier, make_photo):
        before = {name: value.clone() for name, value in classifier.net.state_dict().items()}
        modes = [part.training for part in classifier.net.modules()]
        first, again = (explained(classifier, make_photo(), area=0.2, seed=4) for _ in range(2))
        assert torch.equal(first.mask, again.mask)
        after = classifier.net.state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items())
        assert modes == [part.training for part in classifier.net.modules()]
        assert all(value.requires_grad for value in classifier.net.parameters())

    def test_it_is_saved_with_what_was_asked(self, classifier, make_photo, tmp_path):
        one = explained(classifier, make_photo(), area=0.3)
        assert "(0.3 asked)" in one.panels()[-1][1]
        loaded = unsee.Explanation.load(one.save(tmp_path / "saved"))
        assert loaded.run.asked_area == 0.3
        assert loaded.run.asked_share is None

    def test_presets_without_an_area_refuse_one(self, classifier, make_photo):
        with pytest.raises(UnseeError, match="extremal-fast"):
            explained(classifier, make_photo(), preset="paper", area=0.1)

    @pytest.mark.parametrize("area", [0.0, 1.0, -0.1, "small", (), (0.1, 2.0), (0.1, 0.1), float("nan")])
    def test_what_is_no_area(self, classifier, make_photo, area):
        with pytest.raises(UnseeError, match="area"):
            explained(classifier, make_photo(), area=area)

    def test_a_share_needs_the_smallest(self):
        with pytest.raises(UnseeError, match="smallest"):
            areas_asked(0.1, 0.9)
        assert areas_asked("smallest").share == 0.9
        assert areas_asked("smallest", 0.5).several == LADDER


def with_score(explanation, area, score, game="preservation"):
    run = replace(explanation.run, game=game)
    return replace(explanation, area=area, scores=Scores(1.0, score, 0.0), run=run)


def test_the_smallest_area(explanation):
    kept = [with_score(explanation, area, score) for area, score in ((0.4, 0.95), (0.1, 0.5), (0.2, 0.9))]
    assert smallest_area(kept, 0.9).area == 0.2
    assert smallest_area(kept, 0.5).area == 0.1
    assert smallest_area(kept, 0.96) is None
    removed = [
        with_score(explanation, area, 1 - one.scores.perturbed, "deletion")
        for one, area in zip(kept, (0.4, 0.1, 0.2), strict=True)
    ]
    assert smallest_area(removed, 0.9).area == 0.2


def test_the_smallest_area_is_searched_for(classifier, make_photo):
    photos = [make_photo("a.png", seed=1), make_photo("b.png", seed=2)]
    for one in explained(classifier, photos, area="smallest", share=0.6):
        assert one.run.asked_share == 0.6
        several = explained(classifier, one.photo, area=LADDER)
        enough = [each for each in several if each.scores.normalized >= 0.6]
        if not enough:
            assert one.run.verdict.startswith("not enough")
            continue
        assert one.scores.normalized >= 0.6
        assert one.area <= min(each.area for each in enough) + 1e-6
        assert one.run.evaluations >= 3 * len(LADDER)


class TestOnTheCommandLine:
    def test_several_in_a_row(self, explain, make_photo, tmp_path):
        result = explain(make_photo(), "--area", "0.2,0.5", "--out", "out", "--json")
        assert result.code == 0
        assert [one["asked_area"] for one in strict(result.out)] == [0.2, 0.5]
        folder = tmp_path / "out" / "photo"
        assert {path.name for path in folder.iterdir()} == {"area-0.2", "area-0.5", "areas.png"}
        before = (folder / "areas.png").stat().st_mtime_ns
        assert explain(make_photo(), "--area", "0.2,0.5", "--out", "out").code == 0
        assert (folder / "areas.png").stat().st_mtime_ns == before

    def test_one_area_and_another(self, explain, make_photo, tmp_path):
        result = explain(make_photo(), "--area", "0.2", "--out", "out")
        assert "of 20.0%" in result.err
        refused(explain(make_photo(), "--area", "0.3", "--out", "out"), "area: 0.2 → 0.3", "--force")

    def test_the_smallest_again_does_nothing(self, explain, make_photo, tmp_path):
        options = ("--area", "smallest", "--share", "0.5", "--out", "out")
        assert explain(make_photo(), *options).code == 0
        file = tmp_path / "out" / "photo" / "explanation.json"
        before = file.stat().st_mtime_ns
        assert explain(make_photo(), *options).code == 0
        assert file.stat().st_mtime_ns == before
        refused(explain(make_photo(), "--area", "smallest", "--out", "out"), "asked_share: 0.5 → 0.9")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--area", "tenth"), "0.05,0.1,0.2"),
            (("--area", "10"), "above 0 and below 1"),
            (("--area", "0.1", "--share", "0.9"), "--area smallest"),
            (("--area", "smallest", "--share", "90"), "such as 0.9"),
            (("--area", "0.1", "--preset", "paper"), "extremal-fast"),
        ],
    )
    def test_what_the_user_can_fix(self, explain, make_photo, options, message):
        refused(explain(make_photo(), *options), message)


class TestComparedAndStored:
    def test_compare(self, run, tiny, make_photo, classifier, tmp_path):
        command = ("compare", make_photo(), "--model", "tiny", "--target", 1, "--methods", "mask")
        done = run(*command, "--area", 0.2)
        assert done.code == 0, done.err
        (kept,) = json.loads((tmp_path / "comparison" / "compare.json").read_text())
        assert (kept["area"], kept["preset"]) == (0.2, "extremal-fast")
        again = run(*command, "--area", 0.3)
        assert again.code == 2
        assert "area: 0.2 → 0.3" in again.err
        found = compare(classifier, make_photo(), ["mask"], targets=1, area=0.3)
        # 32 pixels have five cells of 7, whose last 3 pixels are beyond the photo
        assert float(found.results["mask"].saliency.mean()) == pytest.approx(0.3, abs=0.04)

    def test_learn(self, run, tiny, make_photo, classifier, tmp_path):
        photos = [make_photo(f"data/{number}.png", seed=number) for number in range(2)]
        options = ("--model", "tiny", "--target", "1", "--iterations", 5, "--precision", "float32")
        command = ("learn", f"folder:{tmp_path / 'data'}", *options, "--out", "masks")
        done = run(*command, "--area", 0.3)
        assert done.code == 0, done.err
        store = unsee.Store.open(tmp_path / "masks")
        for row, photo in zip(store.rows(), photos, strict=True):
            one = unsee.explain(classifier, photo, 1, area=0.3, iterations=5, precision="float32")
            assert row["area"] == pytest.approx(one.area, abs=1e-3)
            assert row["area"] == pytest.approx(0.3, abs=0.04)
            assert row["perturbed_score"] == pytest.approx(one.scores.perturbed, abs=1e-3)
        refused(run(*command, "--area", 0.4), "area: 0.3 → 0.4")
        assert run(*command, "--area", "0.1,0.2").code == 2
