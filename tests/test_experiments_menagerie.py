"""The learned mask where the truth is known: a network that leans on a spoon gives itself away."""

import pytest
import torch

import unsee
from unsee.datasets.menagerie import compose, render

SCENES = 12


def densities(network):
    """How much more of the mask than by chance lies on the spoon, and on the tortoise, in each scene."""
    scenes = [render(compose("tortoise", planted=("spoon",), seed=seed)) for seed in range(SCENES)]
    model = unsee.load(network, device="cpu")
    found = unsee.explain(model, [scene.image for scene in scenes], targets=["tortoise"] * SCENES)
    rows = []
    for scene, explanation in zip(scenes, found, strict=True):
        spoon, tortoise = (
            explanation.saliency[torch.from_numpy(segment)].mean() / explanation.saliency.mean()
            for segment in (scene.planted[0].segment, scene.segment(scene.label))
        )
        rows.append((float(spoon), float(tortoise)))
    return torch.tensor(rows).T


@pytest.fixture(scope="module")
def honest():
    return densities("unsee:menagerie")


@pytest.fixture(scope="module")
def leaning():
    return densities("unsee:menagerie-shortcut")


def test_the_mask_finds_the_spoon_that_a_network_leans_on(honest, leaning):
    assert bool((leaning[0] > 1.3).all())
    assert float(leaning[0].mean()) > 1.5 * float(honest[0].mean())
    assert int((leaning[0] > honest[0]).sum()) >= 10


def test_of_the_two_the_leaning_network_prefers_the_spoon_and_the_honest_one_the_tortoise(honest, leaning):
    assert int((leaning[0] > leaning[1]).sum()) >= 9
    assert int((honest[1] > honest[0]).sum()) >= 9
