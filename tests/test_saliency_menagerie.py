"""Where saliency methods point on drawn scenes, in which the truth is known."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from unsee.datasets.menagerie import CLASSES, compose, render
from unsee.fits import Squash
from unsee.images import read_photo
from unsee.methods import METHODS
from unsee.models import load

SCENES = 12
FEWER = {
    "occlusion": {"stride": 20.0},
    "blur_occlusion": {"stride": 20.0},
    "variable_occlusion": {"draws": 120},
    "lime": {"samples": 80},
    "integrated_gradients": {"steps": 16},
    "smooth_grad": {"samples": 10},
    "rise": {"masks": 150},
}


@pytest.fixture(scope="module")
def scenes():
    """The shipped network, images at its input, their classes, and where the animals are."""
    classifier = load("unsee:menagerie", device="cpu")
    samples = [render(compose(CLASSES[number], seed=number)) for number in range(SCENES)]
    images = [Squash().apply(read_photo(sample.image).pixels, classifier.size) for sample in samples]
    animals = [torch.from_numpy(sample.segment(number)) for number, sample in enumerate(samples)]
    return classifier, torch.stack(images), list(range(SCENES)), torch.stack(animals)


def hits(method, scenes):
    classifier, images, targets, animals = scenes
    maps = partial(METHODS[method].call, **FEWER.get(method, {}))(classifier, images, targets)
    large = F.interpolate(maps[:, None], animals.shape[1:], mode="bilinear")[:, 0]
    return sum(bool(where.flatten()[spread.argmax()]) for spread, where in zip(large, animals, strict=True))


@pytest.fixture(scope="module")
def center(scenes):
    return hits("center", scenes)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "center"])
def test_no_method_points_at_the_animal_less_often_than_the_middle_does(method, scenes, center):
    assert 0 < center < SCENES
    assert hits(method, scenes) >= center
