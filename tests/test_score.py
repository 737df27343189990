"""The score of several targets together is the same one everywhere, whatever asks for it."""

import json

import pytest
import torch
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.masked_scores import scores_under
from unsee.fits import Squash
from unsee.metrics.curves import deletion
from unsee.target_scores import SCORES

TARGETS = (0, 1)
HELD = {"any": "sigmoid", "all": "sigmoid-all"}


@pytest.fixture
def labels(make_net):
    return Classifier(make_net(), size=(32, 32), head="sigmoid", name="labels")


def together(model, image, way):
    """By hand: the chance of at least one, or of both."""
    first, second = model.probabilities(image[None])[0][list(TARGETS)].double()
    return float(1 - (1 - first) * (1 - second) if way == "any" else first * second)


@pytest.mark.parametrize("way", HELD)
class TestEveryCall:
    def test_explain(self, labels, make_pixels, way):
        done = unsee.explain(labels, make_pixels(), TARGETS, iterations=2, score=HELD[way])
        image = Squash().apply(done.photo.pixels, (32, 32))
        assert done.scores.original == pytest.approx(together(labels, image, way), abs=1e-5)
        assert ("score" in done.provenance.head) == (way == "all")

    def test_of_a_classifier_is_what_explain_uses(self, labels, make_pixels, way):
        photo = make_pixels()
        own = unsee.explain(labels, photo, TARGETS, iterations=3, score=HELD[way])
        scored = unsee.explain(labels.scored(HELD[way]), photo, TARGETS, iterations=3)
        assert own.scores == scored.scores
        assert torch.equal(own.mask, scored.mask)

    def test_compare_and_interrogate(self, labels, make_pixels, way):
        photo = make_pixels()
        explained = unsee.explain(labels, photo, TARGETS, iterations=2, score=HELD[way])
        compared = unsee.compare(labels, photo, ["gradient"], targets=TARGETS, score=HELD[way])
        asked = unsee.interrogate(labels, photo, (0, 0, 9, 9), TARGETS, score=HELD[way])
        saved = unsee.experiments.photo_interrogation.interrogate_explanation(labels, explained, (0, 0, 9, 9))
        for found in (compared.scores.original, asked.scores.original, saved.scores.original):
            assert found == pytest.approx(explained.scores.original, abs=1e-6)
        assert saved.scores.perturbed == asked.scores.perturbed

    def test_boxes_and_curves(self, labels, way):
        model, image = labels.scored(HELD[way]), torch.rand(3, 32, 32, generator=torch.manual_seed(2))
        expected = together(labels, image, way)
        curve = deletion(model, image[None], torch.rand(1, 32, 32), [TARGETS], steps=2)
        assert float(curve.scores[0, 0]) == pytest.approx(expected, abs=1e-6)
        (whole,) = scores_under(model, image, image, torch.ones(1, 32, 32), TARGETS)
        assert float(whole) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("method", ["mask", "gradient"])
    def test_learn(self, labels, make_photo, tmp_path, method, way):
        data = unsee.open_dataset(f"folder:{make_photo('in/a.png').parent}")
        store = unsee.learn(
            labels.scored(HELD[way]), data, tmp_path / "store", method=method, target="0+1", batch_size=1
        )
        (row,) = store.rows()
        explained = unsee.explain(labels, make_photo(), TARGETS, iterations=1, score=HELD[way])
        assert row["score"] == pytest.approx(explained.scores.original, abs=1e-5)
        other = labels.scored(HELD["all" if way == "any" else "any"])
        with pytest.raises(UnseeError, match="head"):
            unsee.learn(other, data, tmp_path / "store", method=method, target="0+1", batch_size=1)


def test_any_and_all_differ(labels, make_pixels):
    photo = make_pixels()
    both = [unsee.interrogate(labels, photo, (0, 0, 9, 9), TARGETS, score=s) for s in HELD.values()]
    assert both[0].scores.original > 2 * both[1].scores.original > 0


@pytest.mark.parametrize("way", HELD)
def test_the_gradient_is_that_of_the_product(way):
    logits = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    marks = torch.tensor([[1.0, 0, 1, 0], [0, 1, 1, 1]], dtype=torch.float64)
    given = logits.sigmoid()
    absent = (1 - given * marks).prod(dim=1)
    literal = 1 - absent if way == "any" else torch.where(marks > 0, given, 1.0).prod(dim=1)
    found = SCORES[HELD[way]](logits, marks)
    torch.testing.assert_close(found, literal)
    own, expected = (torch.autograd.grad(v.sum(), logits, retain_graph=True)[0] for v in (found, literal))
    torch.testing.assert_close(own, expected)


def test_a_score_that_is_not_the_heads_is_told(make_net):
    model = Classifier(make_net(), size=(32, 32), score="logit")
    assert model.reading.summary == "softmax, score logit"
    assert model.reading.doubts == ("reported is logit; the network's head is softmax",)
    assert Classifier(make_net(), size=(32, 32), score="softmax").reading.doubts == ()
    with pytest.raises(UnseeError, match="no score is called 'sigmoid-any'; did you mean sigmoid-all"):
        Classifier(nn.Identity(), score="sigmoid-any")


def test_commands_take_it(run, tmp_path, make_photo):
    photo, model = make_photo(), ("--model", "unsee:menagerie", "--head", "sigmoid", "--score", "sigmoid-all")
    done = run("explain", photo, *model, "-t", "0+1", "-n", 2, "--json", "--out", tmp_path / "out")
    (explained,) = json.loads(done.out)
    assert "reported is sigmoid-all" in done.err
    folder = tmp_path / "out" / photo.stem
    again = run(
        *("interrogate", photo, "--from", folder, "--model", "unsee:menagerie", "--head", "sigmoid"),
        *("--box", "0,0,9,9", "--json"),
    )
    asked = json.loads(again.out)
    (compared,) = json.loads(
        run("compare", photo, *model, "-t", "0+1", "--methods", "gradient", "--json").out
    )
    found = (asked["scores"]["original"], compared["score"])
    assert found == pytest.approx((explained["scores"]["original"],) * 2, abs=1e-5)
