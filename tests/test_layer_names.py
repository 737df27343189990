"""The names of layers, the paper's among them, and how activations lie."""

import json

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from lent_nets import small
from unsee.activation import MAPS, MAPS_LAST, TOKENS, VECTOR, ActivationForm, form_of
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.layer_names import ALEXNET, VGG16, layer_called, layers_of, paper_names, paper_network

IN_ALEXNET = {"pool1": 2, "pool2": 5, "conv3": 6, "relu3": 7, "relu4": 9, "conv5": 10, "pool5": 12}
IN_VGG_16 = {"relu1_2": 3, "pool1": 4, "pool2": 9, "conv3_3": 14, "pool3": 16, "pool4": 23, "pool5": 30}


@pytest.fixture(scope="module")
def alexnet():
    return Classifier(get_model("alexnet", weights=None).eval(), name="alexnet")


class TestPaperNames:
    def test_alexnet(self, alexnet):
        found = paper_names(alexnet)
        assert {name: found[name] for name in IN_ALEXNET} == {
            name: f"features.{place}" for name, place in IN_ALEXNET.items()
        }
        assert [found[f"fc{number}"] for number in (6, 7, 8)] == [f"classifier.{n}" for n in (1, 4, 6)]
        assert paper_network(alexnet) == ALEXNET
        sides = {one.paper: one.shape for one in layers_of(alexnet)}
        assert sides["pool1"] == (64, 27, 27)
        assert sides["pool2"] == (192, 13, 13)
        assert sides["relu3"] == (384, 13, 13)
        assert sides["relu4"] == (256, 13, 13)
        assert sides["pool5"] == (256, 6, 6)

    @pytest.mark.parametrize(("name", "paper"), [("vgg16", VGG16), ("vgg16_bn", VGG16), ("vgg11", None)])
    def test_vgg(self, name, paper):
        with torch.device("meta"):
            net = get_model(name, weights=None)
        classifier = Classifier(net)
        assert paper_network(classifier) == paper
        found = paper_names(classifier)
        if name == "vgg16":
            assert {name: found[name] for name in IN_VGG_16} == {
                name: f"features.{place}" for name, place in IN_VGG_16.items()
            }
        pools = [found[f"pool{number}"] for number in range(1, 6)]
        assert [type(net.get_submodule(pool)).__name__ for pool in pools] == ["MaxPool2d"] * 5
        if name == "vgg16_bn":
            assert isinstance(net.get_submodule(found["bn3_2"]), nn.BatchNorm2d)

    def test_they_are_found_inside_another_network(self, alexnet):
        inside = nn.Sequential(nn.Identity(), alexnet.net)
        assert paper_names(Classifier(inside))["pool5"] == "1.features.12"

    def test_other_networks_have_none(self):
        assert paper_names(Classifier(small(), size=(32, 32))) == {}
        assert paper_network(Classifier(small(), size=(32, 32))) is None

    def test_a_layer_is_called_by_either_name(self, alexnet):
        assert layer_called(alexnet, "pool5") == "features.12"
        assert layer_called(alexnet, "features.12") == "features.12"
        with pytest.raises(UnseeError, match=r"no layer called 'pool3'.*pool5.*`unsee layers` lists all"):
            layer_called(alexnet, "pool3")


class TestLayers:
    def test_a_layer_that_does_not_run_once_is_left_out(self):
        shared = nn.ReLU()
        net = nn.Sequential(nn.Conv2d(3, 4, 1), shared, nn.Conv2d(4, 4, 1), shared, nn.AdaptiveAvgPool2d(1))
        net.append(nn.Flatten())
        net.register_module("spare", nn.Module())
        net.forward = nn.Sequential(*list(net)[:6]).forward
        found = layers_of(Classifier(net, size=(8, 6)))
        assert [(one.name, one.kind, one.shape) for one in found] == [
            ("0", "Conv2d", (4, 8, 6)),
            ("2", "Conv2d", (4, 8, 6)),
            ("4", "AdaptiveAvgPool2d", (4, 1, 1)),
            ("5", "Flatten", (4,)),
        ]

    def test_the_network_comes_back(self):
        net = small().train()
        layers_of(Classifier(net, size=(32, 32)))
        assert all(part.training and not part._forward_hooks for part in net.modules())

    def test_the_command_lists_them(self, run):
        listed = run("layers", "unsee:menagerie", "--json")
        rows = json.loads(listed.out)
        assert listed.code == 0
        assert rows[0].keys() == {"name", "type", "shape", "paper"}
        assert any(row["type"] == "Conv2d" and len(row["shape"]) == 3 for row in rows)
        table = run("layers", "unsee:menagerie")
        assert table.code == 0
        assert all(row["name"] in table.out for row in rows)
        assert "paper's name" in table.out


class Swapped(nn.Module):
    """Maps with their channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1)


class Tokens(nn.Module):
    """The places of a map as tokens, behind a class token."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)


FORMS = {
    "maps": (nn.Identity(), ActivationForm(MAPS, 6, 4, 3)),
    "last": (Swapped(), ActivationForm(MAPS_LAST, 6, 4, 3)),
    "tokens": (Tokens(), ActivationForm(TOKENS, 6, 4, 3, prefix=1)),
    "vector": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), ActivationForm(VECTOR, 6, 1, 1)),
}


class TestForms:
    @pytest.mark.parametrize("name", FORMS)
    def test_what_a_layer_returns_is_understood(self, name):
        layer, form = FORMS[name]
        head = nn.Flatten() if name != "vector" else nn.Identity()
        net = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), layer, head, nn.LazyLinear(3))
        net(torch.zeros(1, 3, 16, 12))
        classifier = Classifier(net, size=(16, 12))
        assert form_of(classifier, "1") == form
        with torch.no_grad():
            activation = net[:2](torch.rand(2, 3, 16, 12))
        assert activation.shape[1:] == form.shape
        assert form.maps(activation).shape == (2, 6, form.rows, form.columns)

    @pytest.mark.parametrize("name", FORMS)
    def test_factors_are_laid_as_the_activation_lies(self, name):
        """A product with laid factors is the product of the maps; class tokens have a factor of their own."""
        _, form = FORMS[name]
        activation = torch.rand(2, *form.shape)
        sizes = [
            (form.channels, form.rows, form.columns),
            (form.channels, 1, 1),
            (1, form.rows, form.columns),
        ]
        for size in sizes:
            factors = torch.rand(2, *size)
            product = activation * form.laid(factors, 1.0)
            assert torch.equal(form.maps(product), form.maps(activation) * factors)
            if form.prefix:
                assert torch.equal(product[:, 0], activation[:, 0])

    def test_what_is_not_understood_is_refused(self):
        class Deep(nn.Module):
            def forward(self, x):
                return x[:, :, None, :, :]

        net = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), Deep(), nn.Flatten(), nn.Linear(48, 3))
        classifier = Classifier(net, size=(16, 12))
        with pytest.raises(UnseeError, match="neither maps, nor tokens on a known grid, nor a vector"):
            form_of(classifier, "1")
        with pytest.raises(UnseeError, match="does not run once for an image"):
            form_of(classifier, "nothing")
