"""What a network's answer means: the same network with other heads is explained alike, or refused."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.objective import log_odds_of
from unsee.models import load
from unsee.target_scores import SCORES, sigmoid_log_odds

ZEBRA = "zebra"


class Headed(nn.Module):
    """A network whose logits pass through a function."""

    def __init__(self, net, head):
        super().__init__()
        self.net, self.head = net, head

    def forward(self, images):
        return self.head(self.net(images))


@pytest.fixture(scope="module")
def menagerie():
    return load("unsee:menagerie")


@pytest.fixture(scope="module")
def zebra(menagerie):
    return menagerie.class_index(ZEBRA, len(menagerie.names))


def headed(menagerie, change, names=None, **options):
    return Classifier(
        Headed(menagerie.net, change), mean=menagerie.mean, std=menagerie.std, class_names=names, **options
    )


def own_odds(logits):
    """The log-odds of each class's softmax probability."""
    others = torch.stack(
        [
            torch.cat([logits[:, :c], logits[:, c + 1 :]], dim=1).logsumexp(dim=1)
            for c in range(logits.shape[1])
        ]
    )
    return logits - others.T


def odds_of(index):
    return lambda logits: own_odds(logits)[:, index : index + 1]


@pytest.mark.assets
class TestOnePhotoWithEveryHead:
    """Target zebra: 0.8797 → 0.003 with an area of 0.153, however the network says it."""

    @pytest.fixture
    def photo(self):
        return Path(os.environ["UNSEE_ASSETS"]) / "photos" / "zebra.jpg"

    def check(self, model, photo, target):
        done = unsee.explain(model, photo, target)
        assert done.scores.original == pytest.approx(0.8797, abs=0.02)
        assert done.scores.perturbed == pytest.approx(0.003, abs=0.02)
        assert done.area == pytest.approx(0.153, abs=0.02)
        return done

    def test_plain_logits(self, menagerie, photo):
        assert self.check(menagerie, photo, ZEBRA).provenance.head == "softmax"

    def test_one_logit(self, menagerie, zebra, photo):
        model = headed(menagerie, odds_of(zebra), head="sigmoid")
        assert self.check(model, photo, 0).provenance.head == "sigmoid"

    def test_one_logit_with_two_names(self, menagerie, zebra, photo):
        model = headed(menagerie, odds_of(zebra), ("other", ZEBRA), head="sigmoid")
        assert self.check(model, photo, ZEBRA).target.indices == (1,)

    def test_its_own_softmax(self, menagerie, photo):
        model = headed(menagerie, lambda y: y.softmax(dim=1), menagerie.names)
        assert self.check(model, photo, ZEBRA).provenance.head == "probabilities, softmax"

    def test_its_own_sigmoid(self, menagerie, photo):
        model = headed(menagerie, lambda y: own_odds(y).sigmoid(), menagerie.names)
        assert self.check(model, photo, ZEBRA).provenance.head == "probabilities, sigmoid"

    def test_logits_of_independent_classes(self, menagerie, photo):
        model = headed(menagerie, own_odds, menagerie.names, head="sigmoid")
        assert self.check(model, photo, ZEBRA).provenance.head == "sigmoid"


class TestFound:
    @pytest.mark.parametrize(
        ("change", "kind", "probabilities"),
        [
            (lambda y: y, "softmax", False),
            (
                lambda y: (0.001 * y).relu()[:, :, None, None].expand(-1, -1, 3, 3).mean(dim=(2, 3)),
                "softmax",
                False,
            ),
            (lambda y: torch.addmm(torch.full((5,), 0.5), 0.001 * y, torch.eye(5)), "softmax", False),
            (lambda y: y.softmax(dim=1), "softmax", True),
            (lambda y: y.log_softmax(dim=1), "softmax", False),
            (lambda y: y.sigmoid(), "sigmoid", True),
            (lambda y: y.sigmoid()[:, :1], "sigmoid", True),
            (lambda y: y.sigmoid()[:, 1:, None, None], "sigmoid", True),
            (lambda y: y.softmax(dim=1).detach(), "softmax", True),
            (lambda y: torch.cat([y.softmax(dim=1)[:, :2], y.softmax(dim=1)[:, 2:]], dim=1), "softmax", True),
            (lambda y: y.softmax(dim=1) @ torch.eye(5)[:, [0, 2, 1, 3, 4]], "softmax", True),
        ],
    )
    def test_from_the_answer(self, make_net, change, kind, probabilities):
        reading = Classifier(Headed(make_net(), change), size=(32, 32)).reading
        assert (reading.kind, reading.probabilities) == (kind, probabilities)
        assert reading.why

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            (lambda y: y[:, :1], "one number"),
            (lambda y: y.mean(dim=1), "one number"),
            (lambda y: y.detach().sigmoid(), "do not sum to 1"),
            (lambda y: y.sigmoid().clamp(0, 1), "do not sum to 1"),
            (lambda y: 1 / (1 + (-y).exp()), "do not sum to 1"),
            (lambda y: (y.sigmoid() + (2 * y).sigmoid()) / 2, "do not sum to 1"),
            (lambda y: torch.stack([y.sigmoid(), (2 * y).sigmoid()]).mean(dim=0), "do not sum to 1"),
            (nn.functional.hardsigmoid, "do not sum to 1"),
            (lambda y: y.sigmoid().nan_to_num(), "do not sum to 1"),
            (lambda y: y.softmax(dim=1)[:, :3], "do not sum to 1"),
            (lambda y: y.softmax(dim=0), "do not sum to 1"),
            (lambda y: torch.cat([y.softmax(dim=1), y.sigmoid()], dim=1), "do not sum to 1"),
            (lambda y: torch.cat([y[:, :2].softmax(dim=1), y[:, 2:]], dim=1).clamp(0, 1), "do not sum to 1"),
            (lambda y: 100 * y.softmax(dim=1), "always sum to 100"),
            (nn.functional.logsigmoid, "logarithm of a sigmoid"),
        ],
    )
    def test_or_refused_in_one_line(self, make_net, change, line):
        with pytest.raises(UnseeError, match=line) as error:
            _ = Classifier(Headed(make_net(), change), size=(32, 32)).reading
        assert "head=" in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("change", "head", "line"),
        [
            (lambda y: y[:, :1], "softmax", "always 1"),
            (lambda y: 9 * y, "probabilities", "gave values from"),
            (lambda y: y, "sofmax", "did you mean softmax"),
        ],
    )
    def test_a_head_that_does_not_fit_is_refused(self, make_net, change, head, line):
        with pytest.raises(UnseeError, match=line):
            _ = Classifier(Headed(make_net(), change), size=(32, 32), head=head).reading


class TestAnswers:
    @pytest.mark.parametrize(
        "change",
        [
            lambda y: (y, y[:, :2]),
            lambda y: (y[:, :, None, None].expand(-1, -1, 2, 2), y),
            lambda y: {"logits": y, "loss": None},
            lambda y: {"out": y, "aux": y[:, :2]},
            lambda y: [y],
            lambda y: {"features": y.repeat(1, 3), "scores": y},
            lambda y: (y.argmax(dim=1), y),
            lambda y: y[:, :, None, None],
        ],
    )
    def test_the_scores_are_found_in_what_it_returns(self, make_net, change):
        net, images = make_net(), torch.rand(2, 3, 32, 32)
        wrapped = Classifier(Headed(net, change), size=(32, 32))
        assert torch.equal(wrapped.logits(images), Classifier(net, size=(32, 32)).logits(images))

    def test_a_function_takes_the_scores_out(self, make_net):
        net, images = make_net(), torch.rand(2, 3, 32, 32)
        wrapped = Classifier(
            Headed(net, lambda y: {"a": None, "deep": {"z": 2 * y}}),
            size=(32, 32),
            head=lambda output: output["deep"]["z"],
        )
        assert wrapped.reading.kind == "logit"
        assert torch.equal(wrapped.logits(images), 2 * net(Classifier(net).normalised(images)))

    def test_regression_is_explained_by_its_value(self, make_net, make_pixels):
        model = Classifier(Headed(make_net(), lambda y: 3 * y[:, 0]), size=(32, 32), head="logit")
        done = unsee.explain(model, make_pixels(), 0, iterations=4)
        value = model.logits(done.photo.pixels[None].float())[0, 0]
        assert model.probabilities(done.photo.pixels[None])[0, 0] == value
        assert done.run.settings["objective"]["score"] == "logit_score"

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            (lambda y: y.argmax(dim=1), "not the number of the best class"),
            (lambda y: y > 0, "returned bool values"),
            (lambda y: y[:, :0], "needs scores of shape"),
            (lambda y: None, "NoneType for one image"),
        ],
    )
    def test_what_holds_no_scores_is_refused(self, make_net, change, line):
        with pytest.raises(UnseeError, match=line):
            _ = Classifier(Headed(make_net(), change), size=(32, 32)).reading

    def test_of_several_tensors_the_one_with_as_many_scores_as_names_is_taken(self, make_net):
        net, names = Headed(make_net(), lambda y: (y.repeat(1, 3), y)), ("a", "b", "c", "d", "e")
        named, bare = Classifier(net, size=(32, 32), class_names=names), Classifier(net, size=(32, 32))
        assert (named.reading.classes, bare.reading.classes) == (5, 15)
        assert bare.reading.summary == "softmax, the tensor of 15 scores among those of 15, 5"
        images = torch.rand(2, 3, 32, 32)
        assert torch.equal(named.logits(images), bare.logits(images)[:, :5])


class TestGradients:
    def test_a_network_that_breaks_the_graph_has_none(self, make_net):
        class Broken(nn.Module):
            def __init__(self):
                super().__init__()
                self.net, self.bias = make_net(), nn.Parameter(torch.zeros(5))

            def forward(self, x):
                return self.net(x).detach() + self.bias

        model = Classifier(Broken(), size=(32, 32))
        assert not model.reading.differentiable
        with pytest.raises(UnseeError, match="gives no gradient"):
            unsee.METHODS["gradient"](model, torch.rand(1, 3, 32, 32), [0])


class TestBatches:
    def test_an_answer_that_depends_on_the_batch_is_asked_alone(self, make_net):
        net = make_net()
        centred = Headed(net, lambda y: y - (y.mean(dim=0) if len(y) > 1 else 0))
        model, images = Classifier(centred, size=(32, 32)), torch.rand(3, 3, 32, 32)
        assert "depends on the others" in model.reading.alone
        assert torch.allclose(model.logits(images), net(model.normalised(images)), atol=1e-5)

    def test_a_network_for_one_image_is_asked_alone(self, make_net):
        net = make_net()

        def one(y):
            assert len(y) == 1, "batch of 1 only"
            return y

        model, images = Classifier(Headed(net, one), size=(32, 32)), torch.rand(3, 3, 32, 32)
        assert "one image" in model.reading.alone
        assert torch.allclose(model.logits(images), net(model.normalised(images)), atol=1e-5)

    def test_others_are_asked_together(self, make_net):
        assert Classifier(make_net(), size=(32, 32)).reading.alone == ""

    def test_a_network_that_fails_says_what_it_was_given(self, make_net):
        model = Classifier(nn.Linear(5, 2), size=(32, 32), name="home-made")
        with pytest.raises(
            UnseeError, match=r"home-made failed on an input of shape \(1, 3, 32, 32\).*size="
        ):
            model.probabilities(torch.rand(1, 3, 32, 32))


class TestSigmoidScores:
    LOGITS = torch.tensor([[-200.0, 0.3, 2.0, 90.0], [1.0, -12.0, -15.0, 0.0]], dtype=torch.float64)
    MARKS = torch.tensor([[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]], dtype=torch.float64)

    def test_are_the_probabilities_of_independent_events(self):
        p = self.LOGITS.sigmoid()
        at_least_one = 1 - (1 - p * self.MARKS).prod(dim=1)
        every = torch.where(self.MARKS > 0, p, torch.ones_like(p)).prod(dim=1)
        assert torch.allclose(SCORES["sigmoid"](self.LOGITS, self.MARKS), at_least_one, rtol=1e-4)
        assert torch.allclose(SCORES["sigmoid-all"](self.LOGITS, self.MARKS), every, rtol=1e-4)

    @pytest.mark.parametrize("value", [-300.0, -20.0, -9.2, 0.0, 30.0, 300.0])
    @pytest.mark.parametrize("name", ["sigmoid", "sigmoid-all"])
    def test_log_odds_of_one_class_are_its_logit_with_gradient_1(self, value, name):
        logits = torch.tensor([[value, 5.0]], requires_grad=True)
        odds = log_odds_of(SCORES[name])(logits, torch.tensor([[1.0, 0.0]]))
        (gradient,) = torch.autograd.grad(odds.sum(), logits)
        assert float(odds.detach()) == pytest.approx(value, abs=2e-4)
        assert gradient[0].tolist() == pytest.approx([1.0, 0.0], abs=2e-4)

    def test_log_odds_agree_with_the_probability(self):
        odds = sigmoid_log_odds(self.LOGITS, self.MARKS)
        assert torch.allclose(odds.sigmoid(), SCORES["sigmoid"](self.LOGITS, self.MARKS))
        gradcheck = torch.autograd.gradcheck
        assert gradcheck(lambda z: sigmoid_log_odds(z, self.MARKS), self.LOGITS.clone().requires_grad_())

    def test_several_targets_of_independent_classes(self, make_net, make_pixels):
        model = Classifier(make_net(), size=(32, 32), head="sigmoid")
        pixels = make_pixels(32, 32)
        for score, expected in (
            ("sigmoid", lambda p, q: 1 - (1 - p) * (1 - q)),
            ("sigmoid-all", lambda p, q: p * q),
        ):
            done = unsee.explain(model, pixels, (0, 2), score=score, iterations=2)
            p = model.probabilities(done.photo.pixels[None])[0]
            assert done.scores.original == pytest.approx(float(expected(p[0], p[2])), abs=1e-5)

    @pytest.mark.parametrize(
        "change",
        [
            lambda x: (x - x.mean(dim=(0, 2, 3), keepdim=True)) / x.std(dim=(0, 2, 3), keepdim=True),
            lambda x: x - x.mean(dim=(0, 2, 3), keepdim=True),
            lambda x: x / x.abs().max(),
        ],
    )
    def test_an_input_that_is_normalised_over_the_batch_is_noticed(self, make_net, change):
        class First(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = make_net()

            def forward(self, x):
                return self.net(change(x))

        assert "depends on the others" in Classifier(First(), size=(32, 32)).reading.alone

    def test_what_is_random_is_not_taken_for_the_batch(self, make_net):
        reading = Classifier(Headed(make_net(), lambda y: y + torch.randn_like(y)), size=(32, 32)).reading
        assert (reading.random, reading.alone) == (True, "")
        assert reading.summary == "softmax, different at each evaluation"
