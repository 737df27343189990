"""Feedback against the literal version, on networks whose answer is known, and where it is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from torch import nn

import literal_saliency as literal
from test_saliency import SIZE, WIDE, normalised, over_std, pictures, plain_net, wrapped
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.methods import METHODS

feedback = METHODS["feedback"].call


def deep_net():
    """Three convolutions with ReLUs, so that closing gates above changes what units below do to the score."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)),
        )
    return net.double().eval()


def layers_of_deep(net):
    arrays = {
        i: (m.weight.detach().numpy(), m.bias.detach().numpy())
        for i, m in enumerate(net)
        if i in (0, 3, 5, 9)
    }
    return [
        *(("conv", *arrays[0], 1, 1), ("relu",), ("max", 2)),
        *(("conv", *arrays[3], 1, 1), ("relu",), ("conv", *arrays[5], 2, 1), ("relu",)),
        *(("avg",), ("linear", *arrays[9])),
    ]


@pytest.mark.parametrize("size", [SIZE, WIDE])
def test_feedback_is_the_literal_ascent(size):
    net, images = deep_net(), pictures(size=size)
    found = feedback(wrapped(net, size), images, [2, {0, 5}])
    for row, targets in enumerate(([2], [0, 5])):
        gradient, scores = literal.feedback(layers_of_deep(net), normalised(images)[row].numpy(), targets)
        assert_allclose(found[row], np.abs(over_std(gradient)).max(0), rtol=1e-9, atol=1e-15)
        assert len(scores) > 3
        assert scores[-1] > scores[0]
    assert (found > 0).any()


def test_the_first_pass_alone_is_the_gradient():
    net, images = wrapped(plain_net()), pictures()
    expected = METHODS["gradient"](net, images, [2, 5])
    assert_allclose(feedback(net, images, [2, 5], passes=1), expected, rtol=1e-12)
    assert not np.allclose(feedback(net, images, [2, 5]), expected, rtol=0.1)


def one_layer(weights, shares):
    """A logit Σ_i shares_i·ReLU(weights_i · image), and another that is 0."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(weights[0].numel(), len(weights), bias=False), nn.ReLU())
    net.append(nn.Linear(len(weights), 2, bias=False)).double().requires_grad_(False)
    net[1].weight.copy_(weights.flatten(1))
    net[3].weight.zero_()
    net[3].weight[1] = torch.tensor(shares)
    return Classifier(net, size=(4, 5), mean=(0.0,) * 3, std=(1.0,) * 3)


def test_of_one_layer_the_active_units_that_raise_the_score_are_left():
    weights = pictures(4, seed=2, size=(4, 5)) * torch.tensor([1.0, 1, -1, 1])[:, None, None, None]
    images = pictures(2, size=(4, 5))
    kept = 2.0 * weights[0] + 0.5 * weights[3]
    found = feedback(one_layer(weights, [2.0, -3.0, 5.0, 0.5]), images, [1, 1])
    assert_allclose(found, kept.abs().amax(0).expand(2, -1, -1), rtol=1e-12)


def test_nothing_is_salient_where_every_unit_lowers_the_score():
    weights = pictures(2, seed=2, size=(4, 5))
    assert (feedback(one_layer(weights, [-2.0, -3.0]), pictures(1, size=(4, 5)), [1]) == 0).all()


class Saturated(nn.Module):
    """ReLU(min(8·Σx, 6) + Σx − 5.5): of the two terms, the first is clipped; the unit needs both."""

    def forward(self, x):
        total = x.sum((1, 2, 3))
        clipped = F.relu6(8 * total)
        return F.relu(clipped + total - 5.5)[:, None] * torch.tensor([1.0, 0.0], dtype=x.dtype)


def test_a_unit_that_relu6_clips_stays_on_without_passing_a_gradient():
    net = Classifier(Saturated().eval(), size=(2, 2), mean=(0.0,) * 3, std=(1.0,) * 3)
    images = torch.full((1, 3, 2, 2), 0.1, dtype=torch.float64)
    assert_allclose(feedback(net, images, [0]), torch.ones(1, 2, 2), rtol=1e-12)


class InPlace(nn.Module):
    """ReLUs that write into a part of a tensor, and one whose answer is changed in place."""

    def __init__(self, inner, careful):
        super().__init__()
        self.first, self.second, self.last = inner[0], inner[3], inner[7]
        self.careful = careful

    def forward(self, x):
        x = self.first(x)
        if self.careful:
            x = torch.cat([F.relu(x[:, :2]), x[:, 2:]], 1)
        else:
            F.relu_(x[:, :2])
        x = self.second(x)
        if self.careful:
            x = F.relu(x) * 2
        else:
            F.relu(x, inplace=True)
            x.mul_(2)
        return self.last(x.mean((2, 3)))


def test_what_a_network_writes_in_place_changes_nothing():
    images = pictures()
    expected = feedback(wrapped(InPlace(plain_net(), careful=True)), images, [2, 5])
    assert (expected > 0).any()
    assert_allclose(
        feedback(wrapped(InPlace(plain_net(), careful=False)), images, [2, 5]), expected, rtol=1e-9
    )


class Unsteady(nn.Module):
    """Calls as many ReLUs of as many numbers as `ways` says of each pass, the last way from then on."""

    def __init__(self, ways):
        super().__init__()
        self.ways, self.watched, self.passes = ways, False, 0

    def forward(self, x):
        calls, width = self.ways[min(self.passes, len(self.ways) - 1)]
        self.passes += self.watched
        x = x.mean((2, 3))[:, :width]
        for _ in range(calls):
            x = F.relu(x)
        return x[:, :2] - 0.1


@pytest.mark.parametrize("ways", [((1, 2), (2, 2)), ((2, 2), (1, 2)), ((2, 3), (2, 2))])
def test_a_network_that_calls_other_relus_each_time_is_refused(ways):
    net = Unsteady(ways).eval()
    classifier = Classifier(net, size=(4, 4), mean=(0.0,) * 3, std=(1.0,) * 3)
    images = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert feedback(classifier, images, [1]).shape == (1, 4, 4)
    net.watched = True
    with pytest.raises(UnseeError, match="feedback needs a network that calls the same ReLUs each time"):
        feedback(classifier, images, [1])


def test_no_pass_is_refused():
    with pytest.raises(UnseeError, match="at least one pass, not 0"):
        feedback(wrapped(plain_net()), pictures(), [2, 5], passes=0)
