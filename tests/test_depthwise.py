"""Strided depthwise convolutions with the faster backward pass: the same values, and where they are used."""

import pytest
import torch
from torch import nn

from unsee.classifier import Classifier
from unsee.tensors.depthwise import StridedDepthwise, hasten
from unsee.tuning import tuned


def frozen(conv):
    return conv.requires_grad_(False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "sides"),
    [
        (3, 2, 0, (9, 12)),
        (3, 2, 1, (9, 12)),
        (3, 2, 1, (10, 7)),
        (5, 2, 2, (11, 8)),
        (5, 2, 0, (11, 8)),
        (3, 3, 1, (10, 11)),
        ((3, 5), (1, 2), (0, 2), (9, 9)),
        (1, 2, 0, (7, 8)),
    ],
)
def test_output_and_gradient_are_those_of_the_plain_convolution(kernel, stride, padding, sides, bias):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv = frozen(nn.Conv2d(4, 4, kernel, stride, padding, groups=4, bias=bias).double())
        images = torch.rand(2, 4, *sides, dtype=torch.float64, requires_grad=True)
        plain = conv(images)
        signal = torch.randn_like(plain)
    (expected,) = torch.autograd.grad(plain, images, signal)
    hasten(conv)
    assert type(conv) is StridedDepthwise
    output = conv(images)
    (gradient,) = torch.autograd.grad(output, images, signal)
    assert torch.equal(output, plain)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_in_bfloat16_the_gradient_is_as_close_as_the_plain_one():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv = frozen(nn.Conv2d(8, 8, 3, 2, 1, groups=8))
        images, signal = torch.randn(2, 8, 14, 14, requires_grad=True), torch.randn(2, 8, 7, 7)
    (expected,) = torch.autograd.grad(conv(images), images, signal)
    hasten(conv)
    with torch.autocast("cpu", torch.bfloat16):
        output = conv(images)
    (gradient,) = torch.autograd.grad(output, images, signal.bfloat16())
    assert output.dtype == torch.bfloat16
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(gradient, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, 1, 1, groups=4),
        nn.Conv2d(4, 4, 3, 2, 1),
        nn.Conv2d(4, 4, 3, 2, 1, groups=2),
        nn.Conv2d(4, 8, 3, 2, 1, groups=4),
        nn.Conv2d(1, 1, 3, 2, 1),
        nn.Conv2d(4, 4, 3, 2, 2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, 2, 3, groups=4),
        nn.Conv2d(4, 4, 3, 2, 1, groups=4, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, 2, "valid", groups=4),
    ],
    ids=str,
)
def test_other_convolutions_stay(conv):
    hasten(frozen(conv))
    assert type(conv) is nn.Conv2d


def test_weights_that_learn_and_classes_of_others_stay():
    class Own(nn.Conv2d):
        pass

    learning, own = nn.Conv2d(4, 4, 3, 2, 1, groups=4), frozen(Own(4, 4, 3, 2, 1, groups=4))
    hasten(nn.Sequential(learning, own))
    assert (type(learning), type(own)) == (nn.Conv2d, Own)


@pytest.mark.parametrize("bfloat16", [True, False])
def test_only_a_tuned_copy_in_bfloat16_has_them(bfloat16):
    conv = nn.Conv2d(4, 4, 3, 2, 1, groups=4)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    classifier = Classifier(net, size=(16, 16))
    with classifier.borrowed():
        fast = tuned(classifier, bfloat16)
    assert type(conv) is nn.Conv2d
    found = [type(module) for module in fast.net.modules() if isinstance(module, nn.Conv2d)]
    assert found == [nn.Conv2d, StridedDepthwise if bfloat16 else nn.Conv2d]
