"""Boxes around saliency maps, and the smallest that suppresses the score, against slow literal versions."""

import pytest
import torch
from numpy.testing import assert_allclose

import literal_saliency as literal
from literal import gaussian
from test_saliency import plain_net, scores_of, wrapped
from unsee.experiments import smallest_box
from unsee.tensors import boxes

DRAWS = torch.Generator().manual_seed(6)
MAPS = {
    "random": torch.randn(7, 11, generator=DRAWS, dtype=torch.float64),
    "steps of a quarter": torch.minimum(torch.arange(5)[:, None], torch.arange(9)) / 2 - 1,
    "one pixel": torch.eye(7, 11) * torch.eye(11)[3],
}


@pytest.mark.parametrize("name", MAPS)
def test_a_box_is_the_literal_one(name):
    for threshold in (0.25, 0.5, 0.7, 0.75, 0.9, 1.0):
        found = boxes.fitted_box(MAPS[name], threshold)
        assert found == literal.box(MAPS[name].numpy(), threshold)


def test_the_smallest_box_is_the_literal_one():
    draws = torch.Generator().manual_seed(5)
    image = torch.rand(3, 18, 27, generator=draws, dtype=torch.float64)
    saliency = torch.rand(6, 9, generator=draws, dtype=torch.float64) - 0.4
    net, pixels = wrapped(plain_net()), image.numpy()
    score, blurred = scores_of(net, 4, probabilities=True), gaussian(pixels, 3.0)
    shares = (0.2, 0.4, 0.6, 0.95)
    found = [smallest_box.smallest_box(net, image, saliency, (4,), share, blur=3.0) for share in shares]
    expected = [literal.smallest_box(score, pixels, blurred, saliency.numpy(), share) for share in shares]
    assert [one and one.box for one in found] == expected
    assert len(set(expected)) == len(shares)
    for one in found:
        left, top, right, bottom = one.box
        hidden = pixels.copy()
        hidden[:, top:bottom, left:right] = blurred[:, top:bottom, left:right]
        lost = (score(pixels) - score(hidden)) / (score(pixels) - score(blurred))
        assert_allclose([one.score, one.suppression], [score(hidden), lost], rtol=1e-9)
        assert one.area == (right - left) * (bottom - top)
