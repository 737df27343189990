"""The learned mask with known ground truth: it reveals a network that relies on a spoon."""

import pytest
import torch

import unsee
from experiment_data import drawn
from unsee.datasets.menagerie import compose, render

SCENES = 12


def densities(network):
    """The mask's density on the spoon, and on the tortoise, in each scene; 1 is chance."""
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


def test_the_mask_finds_the_spoon_that_a_network_relies_on(honest, leaning):
    assert bool((leaning[0] > 1.3).all())
    assert float(leaning[0].mean()) > 1.5 * float(honest[0].mean())
    assert int((leaning[0] > honest[0]).sum()) >= 10


def test_of_the_two_the_leaning_network_prefers_the_spoon_and_the_honest_one_the_tortoise(honest, leaning):
    assert int((leaning[0] > leaning[1]).sum()) >= 9
    assert int((honest[1] > honest[0]).sum()) >= 9


def test_the_mask_s_boxes_are_smaller_than_the_gradient_s_and_no_larger_than_others(tmp_path):
    """Guided and excitation backprop are as good here; docs/minimality.md has more scenes."""
    model = unsee.load("unsee:menagerie", device="cpu")
    methods = [
        "mask",
        "gradient",
        "guided-backprop",
        "excitation-backprop",
        "contrastive-excitation-backprop",
    ]
    found = unsee.run_experiment("minimality", model, drawn(), methods=methods, out=tmp_path / "out")
    (more,) = (table for table in found.summary.tables if table.title.startswith("area more"))
    cells = [(method, cell) for method, row in more.rows.items() for cell in row.values()]
    assert len(cells) == 16
    for method, cell in cells:
        if method == "gradient":
            assert cell.value > 3 * cell.standard_error
        assert cell.value > -3 * cell.standard_error
