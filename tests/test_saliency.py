"""Saliency methods against closed forms, slow literal versions, Captum and zennit."""

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import zennit.composites
from numpy.testing import assert_allclose
from torch import nn

import literal_saliency as literal
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.methods import METHODS
from unsee.saliency import lime, occluders, rise, variable_occlusion
from unsee.saliency.targets import classes_of
from unsee.tensors import generator

MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.25, 0.5)
SIZE, WIDE = (12, 12), (12, 18)


def plain_net(inplace=False, positive=False):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(inplace),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3, stride=2, padding=1),
            nn.ReLU(inplace),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 6),
        ).double()
        with torch.no_grad():
            for weight in net.parameters():
                weight.copy_(weight.abs() if positive else weight * 2)
    return net.eval()


class FunctionalNet(nn.Module):
    """The same with functions in place of modules."""

    def __init__(self, modules, in_place):
        super().__init__()
        self.first, self.second, self.last = modules[0], modules[3], modules[7]
        self.in_place = in_place

    def forward(self, x):
        x = self.first(x)
        x = x.relu_() if self.in_place else torch.relu(x)
        x = self.second(F.max_pool2d(x, 2))
        x = F.relu(x, inplace=self.in_place)
        return self.last(x.mean((2, 3)))


def wrapped(net, size=SIZE):
    return Classifier(net, size=size, mean=MEAN, std=STD, name="plain")


def layers_of(net):
    arrays = {
        index: (module.weight.detach().numpy(), module.bias.detach().numpy())
        for index, module in enumerate(net)
        if hasattr(module, "weight")
    }
    return [
        ("conv", *arrays[0], 1, 1),
        ("relu",),
        ("max", 2),
        ("conv", *arrays[3], 2, 1),
        ("relu",),
        ("avg",),
        ("linear", *arrays[7]),
    ]


def pictures(count=2, seed=0, size=SIZE):
    draws = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *size, generator=draws, dtype=torch.float64)


def normalised(images):
    mean, std = (torch.tensor(v, dtype=images.dtype)[:, None, None] for v in (MEAN, STD))
    return (images - mean) / std


def scores_of(net, target, probabilities=False):
    """The score of one class, or its probability, as a function of an image that is an array."""

    def score(picture):
        logits = net.logits(torch.from_numpy(picture)[None])[0].detach().numpy()
        return float((literal.softmax(logits) if probabilities else logits)[target])

    return score


def over_std(gradient):
    """A gradient as it is with respect to the image in [0,1]."""
    return gradient / np.array(STD)[:, None, None]


def same_draws(net):
    """A network of weights that are drawn from one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for module in net.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return net.double().eval()


def linear_net(weights, bias=0.3):
    """One logit that is linear in the normalised image, and another that is 0."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 2)).double()
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.zero_()
        net[1].weight[1] = weights.flatten()
        net[1].bias[1] = bias
    return wrapped(net, tuple(weights.shape[1:]))


WEIGHTS = pictures(1, seed=9)[0] - 0.5
OVER_STD = over_std(WEIGHTS.numpy())


@pytest.mark.parametrize(
    "name", ["gradient", "smooth_grad", "linear", "gradient_x_input", "integrated_gradients"]
)
def test_closed_forms_on_a_linear_network(name):
    images = pictures()
    expected = {
        "linear": (OVER_STD * images.numpy()).sum(1),
        "gradient_x_input": (WEIGHTS * normalised(images)).sum(1),
        "integrated_gradients": (WEIGHTS * normalised(images)).sum(1),
    }.get(name, np.stack([np.abs(OVER_STD).max(0)] * 2))
    assert_allclose(METHODS[name](linear_net(WEIGHTS), images, [1, 1]), expected, rtol=1e-8)


def test_smooth_grad_is_the_absolute_mean_of_the_gradients_at_the_pictures_it_draws():
    net, seen, images = plain_net(), [], 0.2 + 0.5 * pictures(1)
    classifier = wrapped(net)
    assert classifier.reading.differentiable
    net.register_forward_pre_hook(lambda _module, given: seen.append(given[0].detach()))
    found = METHODS["smooth_grad"].call(classifier, images, [2], samples=20, noise=0.3)
    inputs = torch.cat(seen)
    gradients = [literal.gradient(layers_of(net), x, 2) for x in inputs.numpy()]
    assert len(gradients) == 20
    assert_allclose(found[0], np.abs(over_std(np.mean(gradients, axis=0))).max(0), rtol=1e-9)
    noise = (inputs - normalised(images)) * torch.tensor(STD)[:, None, None]
    assert_allclose(noise.std(), 0.3 * (images.max() - images.min()), rtol=0.03)
    assert_allclose(noise.mean(), 0, atol=0.005)


def test_integrated_gradients_add_up_to_the_difference_from_the_mean_colour():
    images, net = pictures(), wrapped(plain_net())
    shares = METHODS["integrated_gradients"].call(net, images, [1, 4], steps=400).sum((1, 2))
    color = torch.tensor(MEAN, dtype=torch.float64)[:, None, None].expand_as(images)
    difference = (net.logits(images) - net.logits(color))[[0, 1], [1, 4]]
    assert_allclose(shares, difference.detach(), rtol=1e-2)


@pytest.mark.parametrize("name", literal.RELUS)
def test_gradients_and_relu_rules_are_the_literal_ones(name):
    net, images = plain_net(), pictures()
    found = METHODS[name](wrapped(net), images, [2, 5])
    for row, target in enumerate((2, 5)):
        gradient = literal.gradient(layers_of(net), normalised(images)[row].numpy(), target, name)
        assert_allclose(found[row], np.abs(over_std(gradient)).max(0), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("guided_backprop", captum.attr.GuidedBackprop), ("deconvnet", captum.attr.Deconvolution)],
)
@pytest.mark.filterwarnings("ignore:Setting backward hooks")
def test_relu_rules_are_captums_on_plain_modules(name, theirs):
    net, images = plain_net(), pictures()
    inputs = normalised(images).requires_grad_()
    gradients = theirs(net).attribute(inputs, torch.tensor([2, 5])).detach()
    expected = np.abs(over_std(gradients.numpy())).max(1)
    assert_allclose(METHODS[name](wrapped(net), images, [2, 5]), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet", "feedback", "excitation_backprop", "lrp"])
@pytest.mark.parametrize("way", ["module in place", "function", "function in place"])
def test_rules_hold_however_a_network_calls_its_functions(name, way):
    net, images = plain_net(), pictures()
    expected = METHODS[name](wrapped(net), images, [2, 5])
    other = plain_net(inplace=True) if way == "module in place" else FunctionalNet(net, "place" in way)
    near = {"rtol": 1e-3, "atol": 1e-6} if name == "lrp" else {"rtol": 1e-9}
    assert_allclose(METHODS[name](wrapped(other), images, [2, 5]), expected, **near)


def test_relu6_counts_as_closed_above_6():
    net = plain_net()
    net[1] = nn.ReLU6()
    with torch.no_grad():
        net[0].weight.mul_(8)
    images = pictures()
    assert (net[0](normalised(images)) > 6).any()
    found = METHODS["guided_backprop"](wrapped(net), images, [2, 5])
    layers = layers_of(net)
    for row, target in enumerate((2, 5)):
        given = literal.forward(layers, normalised(images)[row].numpy())
        cut = np.minimum(given[2], 6)
        gradient = literal.gradient(layers[2:], cut, target, "guided_backprop")
        gradient = np.maximum(gradient, 0) * ((given[1] > 0) & (given[1] < 6))
        gradient = literal.backward(layers[0], given[0], gradient)
        assert_allclose(found[row], np.abs(over_std(gradient)).max(0), rtol=1e-9)


def test_excitation_is_the_literal_propagation_of_probability():
    """Excitation read after the first convolution's ReLU and pooling, against the literal version."""
    net, images = plain_net(), pictures()
    found = METHODS["excitation_backprop"](wrapped(net), images, [2, {1, 5}], layer="2")
    for row, top in enumerate(([0, 0, 1, 0, 0, 0], [0, 0.5, 0, 0, 0, 0.5])):
        x = normalised(images)[row].numpy()
        signals = literal.excitation(layers_of(net), x, np.array(top, dtype=float), stop=3)
        assert_allclose(found[row], signals[-1].sum(0), rtol=1e-9, atol=1e-15)


def test_contrastive_excitation_is_the_difference_of_two_signals():
    net, images = plain_net(), pictures()
    found = METHODS["contrastive_excitation_backprop"](wrapped(net), images, [2, 5], layer="2")
    layers = layers_of(net)
    for row, target in enumerate((2, 5)):
        top, x = np.eye(6)[target], normalised(images)[row].numpy()
        speaking, against = (literal.excitation(layers, x, top, 6, sign)[-1] for sign in (1.0, -1.0))
        below = speaking - against
        for place in (5, 4, 3):
            below = literal.handed(layers[place], literal.forward(layers, x)[place], below, 1.0)
        assert_allclose(found[row], np.maximum(below.sum(0), 0), rtol=1e-9, atol=1e-15)
    assert (found > 0).any()


def test_no_signal_is_lost_layer_by_layer_where_all_weights_are_positive():
    """The conservation law, in the literal version and, through its layers, in ours."""
    net, images = plain_net(positive=True), pictures()
    x = normalised(images)[0].clamp(min=0).numpy()
    for signal in literal.excitation(layers_of(net), x, np.eye(6)[2], stop=0):
        assert_allclose(signal.sum(), 1, rtol=1e-12)
    bright = images.clamp(min=0.5)
    for layer in ("0", "1", "2", "3", "4"):
        maps = METHODS["excitation_backprop"](wrapped(net), bright, [2, 5], layer=layer)
        assert_allclose(maps.sum((1, 2)), 1, rtol=1e-9)


def test_excitation_is_zennits_on_plain_modules():
    net, images = plain_net(), pictures()
    composite = zennit.composites.ExcitationBackprop(stabilizer=1e-12, zero_params=["bias"])
    given = []
    with composite.context(net) as modified:
        handle = modified[2].register_forward_hook(lambda _m, _i, out: given.append(out))
        answer = modified(normalised(images).requires_grad_())
        (signal,) = torch.autograd.grad(answer, given[0], torch.eye(6, dtype=torch.float64)[[2, 5]])
        handle.remove()
    found = METHODS["excitation_backprop"](wrapped(net), images, [2, 5], layer="2")
    assert_allclose(found, signal.sum(1), rtol=1e-6, atol=1e-12)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.first(x))
        y = self.second(x)
        y += x
        return self.last(F.relu(y).mean((2, 3)))


def test_a_shortcut_shares_the_signal_in_proportion():
    net, images = same_draws(Residual()), pictures()
    found = METHODS["excitation_backprop"](wrapped(net), images, [0, 1], layer="first")
    assert found.sum((1, 2)).max() <= 1 + 1e-9
    x = F.relu(net.first(normalised(images)))
    y = net.second(x)
    above = F.relu(x + y)
    top = net.last.weight[[0, 1]].clamp(min=0) * above.mean((2, 3))
    top = top / top.sum(1, keepdim=True)
    total = above.sum((2, 3), keepdim=True)
    signal = above * torch.where(total > 0, top[:, :, None, None] / total, 0.0)
    both = x + y.clamp(min=0)
    share = torch.where(both > 0, signal / both, 0.0)
    straight, round_about = x * share, y.clamp(min=0) * share
    weight = net.second.weight.clamp(min=0)
    below = F.conv2d(x, weight, padding=1)
    ratio = torch.where(below > 0, round_about / below, 0.0)
    expected = straight + x * F.conv_transpose2d(ratio, weight, padding=1)
    assert_allclose(found, expected.sum(1).detach(), rtol=1e-8, atol=1e-14)


def test_lrp_is_zennits_on_plain_modules():
    net, images = plain_net(), pictures()
    inputs = normalised(images).requires_grad_()
    top = torch.eye(6, dtype=torch.float64)[[2, 5]] * net(inputs).detach()
    with zennit.composites.EpsilonPlusFlat().context(net) as modified:
        (relevance,) = torch.autograd.grad(modified(inputs), inputs, top)
    assert_allclose(METHODS["lrp"](wrapped(net), images, [2, 5]), relevance.sum(1), rtol=1e-6)


def test_lrp_shares_over_a_shortcut_in_proportion():
    """ε below the logit, in means and sums; z⁺ in the second convolution; the first shares equally (flat)."""
    net, images = same_draws(Residual()), pictures()
    found = METHODS["lrp"](wrapped(net), images, [0, 1])
    inputs = normalised(images)
    x = F.relu(net.first(inputs))
    y = net.second(x)
    above = F.relu(x + y)
    means = above.mean((2, 3))
    share = (net.last.weight[[0, 1]] * means / above.sum((2, 3)).clamp(min=1e-9))[:, :, None, None]
    share = share * (x + y > 0)
    weight, bias = net.second.weight.clamp(min=0), net.second.bias.clamp(min=0)
    ratio = y * share / (F.conv2d(x, weight, bias, padding=1) + 1e-6)
    signal = x * share + x * F.conv_transpose2d(ratio, weight, padding=1)
    ones = torch.ones_like(net.first.weight)
    signal = F.conv_transpose2d(signal / F.conv2d(torch.ones_like(inputs), ones, padding=1), ones, padding=1)
    assert_allclose(found, signal.sum(1).detach(), rtol=1e-3, atol=1e-6)


def test_lrp_keeps_its_sum_over_a_shortcut():
    net, bright = same_draws(Residual()), pictures().clamp(min=0.6)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(weight.abs() if name.endswith("weight") else torch.zeros_like(weight))
    relevance = METHODS["lrp"](wrapped(net), bright, [0, 1]).sum((1, 2))
    assert_allclose(relevance, net(normalised(bright))[[0, 1], [0, 1]].detach(), rtol=1e-3)


class Signed(nn.Module):
    def __init__(self, pooling):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)
        self.pool = pooling

    def forward(self, x):
        return self.last(self.pool(self.first(x)).flatten(1))


def test_lrp_pools_signed_maps_alike_by_module_and_by_function():
    module, function = (same_draws(Signed(pool)) for pool in (nn.AdaptiveAvgPool2d(1), None))
    function.pool = lambda x: x.mean((2, 3))
    images = pictures()
    expected = METHODS["lrp"](wrapped(module), images, [0, 1])
    assert_allclose(METHODS["lrp"](wrapped(function), images, [0, 1]), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU6(),
        nn.GELU(),
        nn.SiLU(),
        nn.SELU(),
        nn.Softplus(),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.Mish(),
        nn.Hardswish(),
    ],
)
def test_excitation_hands_its_signal_through_every_activation(activation):
    net = plain_net(positive=True)
    net[1] = net[4] = activation
    found = METHODS["excitation_backprop"](wrapped(net), pictures().clamp(min=0.5), [2, 5], layer="0")
    assert_allclose(found.sum((1, 2)), 1, rtol=1e-6)


@pytest.mark.parametrize("layer", [2, 4])
def test_grad_cam_is_captums(layer):
    """Below the second convolution the gradients differ from place to place."""
    net, images = plain_net(), pictures()
    theirs = captum.attr.LayerGradCam(net, net[layer]).attribute(
        normalised(images).requires_grad_(), torch.tensor([2, 5]), relu_attributions=True
    )
    found = METHODS["grad_cam"](wrapped(net), images, [2, 5], layer=str(layer))
    assert_allclose(found, theirs[:, 0].detach(), rtol=1e-9)


def test_grad_cam_reads_the_last_maps_by_itself():
    net, images = wrapped(plain_net()), pictures()
    named = METHODS["grad_cam"](net, images, [2, 5], layer="4")
    assert_allclose(METHODS["grad_cam"](net, images, [2, 5]), named, rtol=1e-12)


def test_cam_is_the_weighted_sum_of_the_last_maps_and_averages_to_the_logit_without_its_bias():
    net, images = plain_net(), pictures(size=WIDE)
    maps = METHODS["cam"](wrapped(net), images, [2, {0, 5}])
    for row, targets in enumerate(([2], [0, 5])):
        expected = literal.cam(layers_of(net), normalised(images)[row].numpy(), targets)
        assert_allclose(maps[row], expected, rtol=1e-9)
        logits = net(normalised(images))[row] - net[7].bias
        assert_allclose(maps[row].mean(), logits[targets].sum().detach(), rtol=1e-9)


def test_cam_of_a_network_whose_means_are_the_logits_is_the_targets_map():
    body = plain_net()[:5]
    maps = body(normalised(pictures())).detach()
    net = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert_allclose(METHODS["cam"](wrapped(net), pictures(), [3, 1]), maps[[0, 1], [3, 1]], rtol=1e-9)


def test_occlusion_is_a_double_loop_over_squares():
    net, images = wrapped(plain_net()), pictures(size=WIDE)
    unit = occluders.scale(WIDE)
    found = METHODS["occlusion"].call(net, images, [2, 5], side=5 / unit, stride=3 / unit)
    for row, target in enumerate((2, 5)):
        expected = literal.occlusion(scores_of(net, target), images[row].numpy(), np.array(MEAN), 5, 3)
        assert_allclose(found[row], expected, rtol=1e-9, atol=1e-12)


def test_the_papers_squares_stand_at_784_places():
    squares = torch.cat(list(occluders.squares((224, 224), 35.0, 8.0)))
    assert len(squares) == 784
    assert (squares[0, :35, :35] == 1).all()
    assert squares[0].sum() == 35**2
    assert squares[-1].sum() == 8**2
    assert squares[27].sum() == 35 * 8


def test_blur_occlusion_weighs_each_disc_as_far_as_it_covers():
    net, images = wrapped(plain_net()), pictures(1, size=WIDE)
    unit = occluders.scale(WIDE)
    found = METHODS["blur_occlusion"].call(
        net, images, [2], diameter=6 / unit, stride=4 / unit, blur=1 / unit
    )
    middle = (6 - unit) / 2
    expected = literal.blur_occlusion(scores_of(net, 2), images[0].numpy(), 6, 4, 1, middle)
    assert_allclose(found[0], expected, rtol=1e-4, atol=1e-7)


def test_variable_occlusion_takes_the_smallest_of_the_discs_that_matter_most():
    net, images = wrapped(plain_net()), pictures(size=WIDE)
    unit = occluders.scale(WIDE)
    found = METHODS["variable_occlusion"].call(net, images, [2, 5], draws=50, share=0.11, seed=1)
    centers, radii = (part.numpy() * unit for part in variable_occlusion.drawn_discs(50, (224.0, 336.0), 1))
    for row, target in enumerate((2, 5)):
        score, picture = scores_of(net, target), images[row].numpy()
        expected = literal.variable_occlusion(score, picture, centers, radii, 0.11, 10 * unit)
        assert_allclose(found[row], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (336, 224), (224, 448)])
def test_variable_occlusion_draws_areas_and_rows_as_the_supplement_says(height, width):
    centers, radii = variable_occlusion.drawn_discs(20000, (float(height), float(width)), 0)
    area = (np.pi * radii.square()).log()
    assert_allclose([area.mean(), area.std()], [7.5060, 1.2848], rtol=0.02)
    rows, columns = centers.unbind(1)
    longer = height / 224
    assert_allclose([rows.median(), columns.mean()], [116.0759 * longer, width / 2], rtol=0.02)
    assert rows.min() >= 0
    assert rows.max() <= height - 1
    assert_allclose(rows[(rows > 0) & (rows < height - 1)].std(), 47.5 * longer, rtol=0.06)


def test_lime_finds_what_each_segment_adds_to_a_linear_score():
    weights = pictures(1, seed=9, size=(32, 32))[0] - 0.3
    images = pictures(1, size=(4, 4)).repeat_interleave(8, 2).repeat_interleave(8, 3)
    found = METHODS["lime"].call(linear_net(weights), images, [1], samples=400, segments=16)[0]
    parts = lime.segments_of(images[0], 16)
    shares = (weights * normalised(images)[0]).sum(0)
    assert parts.max() == 15
    for part in range(16):
        assert_allclose(found[parts == part], shares[parts == part].sum(), rtol=0.05, atol=0.1)


def test_rise_is_the_mean_of_masks_weighted_with_what_they_leave():
    net, images = wrapped(plain_net()), pictures(size=WIDE)
    found = METHODS["rise"].call(net, images, [2, 5], masks=40, cells=3, kept=0.4, seed=4)
    masks = torch.cat(list(rise.random_masks(40, 3, 0.4, WIDE, 4))).double().numpy()
    for row, target in enumerate((2, 5)):
        probability = scores_of(net, target, probabilities=True)
        expected = literal.rise(probability, images[row].numpy(), np.array(MEAN), masks, 0.4)
        assert_allclose(found[row], expected, rtol=1e-6)


def test_rises_masks_are_random_cells_enlarged_and_cut_at_random():
    (found,) = rise.random_masks(16, 5, 0.3, (12, 18), 4)
    chance = generator(4, 4)
    cells = (torch.rand(16, 6, 6, generator=chance) < 0.3).double().numpy()
    corners = np.stack([torch.randint(0, side, (16,), generator=chance) for side in (3, 4)], axis=1)
    for mask, grid, corner in zip(found, cells, corners, strict=True):
        assert_allclose(mask, literal.rise_mask(grid, corner, (12, 18)), atol=1e-6)


def test_center_falls_from_the_middle_to_the_corners():
    maps = METHODS["center"](wrapped(plain_net()), torch.rand(2, 3, 9, 14), [0, 1])
    assert_allclose(maps, np.stack([literal.center((9, 14))] * 2), atol=1e-6)


@pytest.mark.parametrize(
    ("images", "targets", "said"),
    [
        (torch.rand(3, 12, 12), [1], r"\(batch, 3, height, width\), not \(3, 12, 12\)"),
        (torch.zeros(1, 3, 12, 12, dtype=torch.uint8), [1], "as floats"),
        (255 * torch.ones(1, 3, 12, 12), [1], r"in \[0,1\], not from 255 to 255"),
        (torch.rand(2, 3, 12, 12), [1], "2 images and 1 target: give one for each"),
        (torch.rand(1, 3, 12, 12), ["cat"], "class index"),
        (torch.rand(1, 3, 12, 12), [()], "class index"),
        (torch.rand(1, 3, 12, 12), [-1], "class index"),
        (torch.rand(1, 3, 12, 12), [True], "class index"),
        (torch.rand(1, 3, 12, 12), 1, "targets are a list"),
        (torch.rand(0, 3, 12, 12), [], "at least one image"),
    ],
)
def test_what_is_no_question_is_refused(images, targets, said):
    with pytest.raises(UnseeError, match=said):
        classes_of(wrapped(plain_net()), images, targets)


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(UnseeError, match="the network has no class 6: it has classes 0 to 5"):
        METHODS["gradient"](wrapped(plain_net()), pictures(), [1, 6])


def test_numpys_whole_numbers_are_classes():
    assert classes_of(wrapped(plain_net()), torch.rand(2, 3, 4, 4), [np.int64(3), {np.int32(1)}]) == [
        (3,),
        (1,),
    ]


def test_targets_may_be_a_tensor_or_sets():
    net, images = wrapped(plain_net()), pictures()
    whole = METHODS["gradient_x_input"](net, images, [{0, 3}, {0, 3}])
    parts = [METHODS["gradient_x_input"](net, images, torch.tensor([c, c])) for c in (0, 3)]
    assert_allclose(whole, sum(parts), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "net", "said"),
    [
        ("guided_backprop", nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU()), "has no ReLU"),
        ("deconvnet", nn.Sequential(nn.Conv2d(3, 2, 3), nn.Tanh()), "has no ReLU"),
        ("feedback", nn.Sequential(nn.Conv2d(3, 2, 3), nn.SiLU()), "has no ReLU for feedback to change"),
        ("cam", nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()), "global average pooling"),
        ("grad_cam", nn.Sequential(), "returns maps"),
        ("excitation_backprop", nn.Sequential(), "returns maps"),
    ],
)
def test_a_network_that_a_method_cannot_serve_is_refused_with_those_that_can(name, net, said):
    head = [nn.Flatten(), nn.LazyLinear(4)]
    net = nn.Sequential(*net, *head).double().eval()
    net(torch.zeros(1, 3, *SIZE, dtype=torch.float64))
    with pytest.raises(UnseeError, match=said) as caught:
        METHODS[name](wrapped(net), pictures(), [1, 2])
    assert any(other in str(caught.value) for other in METHODS if other != name)


@pytest.mark.parametrize("name", ["grad_cam", "excitation_backprop", "contrastive_excitation_backprop"])
def test_a_layer_that_is_not_there_is_named_with_those_that_are(name):
    with pytest.raises(UnseeError, match="no layer called 'layer9'; available: 0, 1, 2"):
        METHODS[name](wrapped(plain_net()), pictures(), [1, 2], layer="layer9")
    with pytest.raises(UnseeError, match=r"not maps|Grad-CAM reads maps"):
        METHODS[name](wrapped(plain_net()), pictures(), [1, 2], layer="7")
