"""What methods need of a network, and which are named where one cannot be used."""

import pytest
import torch
from torch import nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.methods import METHODS, usable
from unsee.network_wrappers import ClosedNetwork
from unsee.words import spelled

ONLY_SCORES = "mask, occlusion, blur-occlusion, variable-occlusion, lime and rise"
GRADIENT = "mask, gradient, gradient-x-input, linear, occlusion, blur-occlusion, variable-occlusion, lime, "
GRADIENT += "integrated-gradients, smooth-grad and rise"


class Closed(ClosedNetwork):
    """Runs a network that shows no layers."""

    def __init__(self, net, gradient):
        super().__init__()
        self.call, self.gradient = net.forward, gradient

    def forward(self, images):
        return self.call(images) if self.gradient else self.call(images.detach()).detach()


class Detached(nn.Module):
    """A network with layers to read and no gradient."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net(images).detach()


def of(net):
    return Classifier(net.eval(), size=(32, 32))


def test_every_method_says_what_it_needs():
    assert [name for name, each in METHODS.items() if each.reads_layer and not each.needs.maps] == []


def test_every_method_is_a_function():
    assert [each.call.__name__ for each in METHODS.values()] == ["learned_mask", *list(METHODS)[1:]]


def test_what_is_named_serves_the_network(make_net):
    net = make_net()
    assert usable(of(Closed(net, gradient=False))) == ONLY_SCORES
    assert usable(of(Closed(net, gradient=True))) == GRADIENT
    assert usable(of(net)) == GRADIENT.replace("occlusion, blur", "grad-cam, occlusion, blur", 1)
    assert usable(of(net), maps=False) == GRADIENT
    assert usable(of(Detached(net))) == ONLY_SCORES


@pytest.mark.parametrize("gradient", [True, False])
def test_no_advice_names_a_method_that_needs_what_is_missing(make_net, gradient):
    classifier = of(Closed(make_net(), gradient))
    images = torch.rand(1, 3, *classifier.size)
    for method in METHODS.values():
        if not method.needs_hooks and (gradient or not method.needs_gradient):
            continue
        with pytest.raises(UnseeError) as error:
            method(classifier, images, [1])
        advised = {
            part.strip() for part in str(error.value).rpartition(":")[2].replace(" and ", ", ").split(",")
        }
        assert not advised & {spelled(other) for other, each in METHODS.items() if each.needs_hooks}
        if not gradient:
            assert not advised & {spelled(other) for other, each in METHODS.items() if each.needs_gradient}
