"""`unsee check`: what is understood of a network, in Python and on the command line."""

import json
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.methods import METHODS
from unsee.network_check import WORKS, check

SMALL = (
    "timm:test_resnet",
    "timm:test_vit",
    "timm:test_efficientnet",
    "timm:test_mambaout",
    "timm:test_nfnet",
    "timm:test_byobnet",
    "timm:test_convnext",
    "torchvision:squeezenet1_1",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:mobilenet_v3_small",
)
"""Networks of ten kinds, made with random weights."""


class Noisy(nn.Module):
    """Gives another answer each time."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        logits = self.net(images)
        return logits + torch.randn_like(logits)


class TestFound:
    def test_input_head_classes_and_layers(self, classifier):
        found = check(classifier)
        assert found.input["size"] == [32, 32]
        assert found.head["is"] == "softmax"
        assert found.classes == {"count": 5, "names": ["ant", "bee", "cat", "tiger cat", "dog"]}
        assert (found.batches, found.differentiable) == ("several images at once", True)
        assert found.layers["last maps"] in dict(classifier.net.named_modules())
        assert set(found.milliseconds) == {"evaluation", "with gradient"}
        assert found.problems == ()
        assert (found.model, found.family) == ("tiny", "made in Python")
        assert json.loads(json.dumps(found.record()))["model"] == "tiny"

    @pytest.mark.parametrize(
        ("name", "family"),
        [
            ("unsee:menagerie", "unsee: the networks of this package"),
            ("unknown:net", "made in Python"),
            ("timm", "made in Python"),
        ],
    )
    def test_the_family_of_a_name(self, classifier, name, family):
        assert check(replace(classifier, name=name)).family.startswith(family)

    def test_every_method_is_there_and_those_that_fail_say_why(self, classifier):
        found = check(classifier)
        assert set(found.methods) == set(METHODS)
        assert found.methods["gradient"] == found.methods["mask"] == WORKS
        assert found.methods["occlusion"] == "should work (not run)"
        without_maps = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), size=(8, 8))
        assert "maps" in check(without_maps).methods["grad_cam"]

    def test_a_photo_is_scored(self, classifier, make_photo):
        found = check(classifier, make_photo())
        scores = unsee.explain(classifier, make_photo(), iterations=1).scores
        assert found.photo["best"][0]["score"] == pytest.approx(scores.original, abs=1e-6)
        assert len(found.photo["best"]) == 5

    def test_a_network_for_single_images(self, make_net):
        net = make_net()
        centred = nn.Sequential(net, nn.BatchNorm1d(5, track_running_stats=False, affine=False, eps=1.0))
        assert check(Classifier(net, size=(32, 32))).batches == "several images at once"
        with pytest.raises(UnseeError, match="Expected more than 1 value per channel"):
            check(Classifier(centred, size=(32, 32)))

    @pytest.mark.parametrize(
        ("wrong", "line"),
        [
            (Noisy, "other scores each time"),
            (lambda net: nn.Sequential(net, nn.Threshold(1e9, -1.0)), "the same scores"),
            (lambda net: nn.Sequential(net, nn.Threshold(1e9, torch.nan)), "not finite"),
        ],
    )
    def test_problems(self, make_net, wrong, line):
        (problem,) = check(Classifier(wrong(make_net()), size=(32, 32))).problems
        assert line in problem


class TestCommand:
    def test_prints_and_gives_json(self, run, use, classifier, make_photo):
        use(lambda *_, **__: classifier)
        done = run("check", "tiny", make_photo())
        assert done.code == 0
        for word in ("softmax", "ant, bee, cat", "guided-backprop", "best classes"):
            assert word in done.out
        found = json.loads(run("check", "tiny", "--json").out)
        assert found["classes"]["count"] == 5

    def test_something_wrong_exits_with_2(self, run, use, make_net):
        use(lambda *_, **__: Classifier(Noisy(make_net()), size=(32, 32)))
        done = run("check", "tiny")
        assert done.code == 2
        assert "other scores each time" in " ".join(done.out.split())

    def test_the_options_of_a_network_are_taken(self, run):
        found = json.loads(run("check", "unsee:menagerie", "--head", "sigmoid", "--json").out)
        assert (found["head"]["is"], found["head"]["why"]) == ("sigmoid", "given")
        assert run("check", "unsee:menagerie", "--size", "x").code == 2


def made(name):
    torch.manual_seed(0)
    family, _, network = name.partition(":")
    if family == "timm":
        return timm.create_model(network, pretrained=False)
    return torchvision.models.get_model(network, weights=None)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("name", SMALL)
def test_networks_of_many_kinds_are_understood(name):
    found = check(Classifier(made(name), size=(96, 96) if "torchvision" in name else (160, 160), name=name))
    assert found.head["is"] == "softmax"
    assert found.classes["count"] == 1000
    assert found.differentiable
    assert found.methods["gradient"] == found.methods["mask"] == WORKS
    failing = {method: why for method, why in found.methods.items() if why.startswith("fails")}
    assert failing == {}
