"""Localisation and pointing on drawn scenes, where the truth is known: oracles, and chance."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from test_saliency import plain_net, wrapped
from unsee import metrics
from unsee.datasets.menagerie import CLASSES, Menagerie, compose, render
from unsee.methods import METHODS
from unsee.metrics import pointing

SCENES = 16
SIZE = (224, 224)


@pytest.fixture(scope="module")
def scenes():
    return [render(compose(CLASSES[number % len(CLASSES)], seed=number)) for number in range(SCENES)]


def truth(sample):
    segment = torch.from_numpy(sample.segment(sample.label))
    return segment, torch.tensor(sample.boxes(sample.label), dtype=torch.float64)


def test_a_map_that_knows_the_animal_finds_it_always(scenes):
    alphas = {"value": (0.05, 0.5, 0.95), "energy": (0.05, 0.95), "mean": (0.5, 1.0)}
    for sample in scenes:
        segment, boxes = truth(sample)
        for rule, some in alphas.items():
            found = metrics.boxes_at(segment.float(), SIZE, rule, some)
            assert bool((metrics.iou(found, boxes) == 1).all())
            assert bool(metrics.localised(found, boxes, 1.0).all())
        point = metrics.peak(segment.float(), SIZE)
        assert metrics.hits(point, segment[None])
        assert metrics.hits(point, boxes)
        first = metrics.first_peak(segment.float(), SIZE)
        assert metrics.hits(first, segment[None], 0.0)
        assert metrics.touched(first, segment[None])


def test_a_map_that_knows_the_animal_finds_it_on_a_coarse_grid_too(scenes):
    """Cells of 8 pixels: the box can grow by less than two cells a side."""
    for sample in scenes:
        segment, boxes = truth(sample)
        coarse = torch.nn.functional.max_pool2d(segment.float()[None], 8)[0]
        found = metrics.boxes_at(coarse, SIZE, "value", [0.5])
        assert bool(metrics.localised(found, boxes).all())
        assert bool(((found - boxes).abs() < 16).all())
        assert metrics.hits(metrics.peak(coarse, SIZE), segment[None])


def test_a_random_map_points_as_chance_predicts(scenes):
    """The peak of noise is a pixel drawn evenly: it hits as often as the animal, 15 px wider, has pixels."""
    draws, found, expected, spread = torch.Generator().manual_seed(0), 0, 0.0, 0.0
    tried = 10
    for sample in scenes:
        segment, _ = truth(sample)
        share = float((ndimage.distance_transform_edt(~segment.numpy()) <= 15).mean())
        points = metrics.peak(torch.rand(tried, *SIZE, generator=draws), SIZE)
        found += sum(metrics.hits(point, segment[None]) for point in points)
        expected += tried * share
        spread += tried * share * (1 - share)
    assert abs(found - expected) < 4 * spread**0.5
    assert 0.1 < expected / (tried * SCENES) < 0.6


def test_a_random_map_is_localised_as_chance_predicts(scenes):
    """What is left of noise reaches every side: its box is the image, up to a few pixels."""
    draws = torch.Generator().manual_seed(1)
    for sample in scenes:
        _, boxes = truth(sample)
        area = float((boxes[:, 2:] - boxes[:, :2]).prod(dim=1).max()) / (SIZE[0] * SIZE[1])
        for rule, alpha in (("value", 0.5), ("energy", 0.5), ("mean", 1.0)):
            found = metrics.boxes_at(torch.rand(SIZE, generator=draws), SIZE, rule, [alpha])
            assert metrics.iou(found, boxes).amax() == pytest.approx(area, abs=0.01)
            assert bool(metrics.localised(found, boxes)) == (area >= 0.5) or abs(area - 0.5) < 0.01


def test_the_middle_of_the_picture_is_between_the_two(scenes):
    images = torch.zeros(1, 3, *SIZE, dtype=torch.float64)
    middle = metrics.peak(METHODS["center"](wrapped(plain_net()), images, [0])[0], SIZE)
    assert middle.tolist() == [111.5, 111.5]
    labels = [sample.label for sample in scenes]
    draws = torch.Generator().manual_seed(2)
    hit = {
        "middle": [metrics.hits(middle, truth(sample)[0][None]) for sample in scenes],
        "chance": [
            metrics.hits(metrics.peak(torch.rand(SIZE, generator=draws), SIZE), truth(sample)[0][None])
            for sample in scenes
        ],
    }
    precision = {name: float(pointing.class_precisions(some, labels)[0].mean()) for name, some in hit.items()}
    assert precision["chance"] < precision["middle"] < 1
    for name, some in hit.items():
        assert metrics.mean_precision_of(some, labels).value == pytest.approx(precision[name])


def test_difficult_pictures_are_those_that_the_truth_says():
    samples = [Menagerie("test", seed=4, several=0.6)[number] for number in range(24)]
    verdicts = []
    for sample in samples:
        for label in sample.labels:
            hard = sample.segment(label).mean() < 0.25 and len(sample.labels) > 1
            assert metrics.difficult(sample, label) == bool(hard)
            verdicts.append(hard)
    assert 0 < np.mean(verdicts) < 1


def test_keypoints_of_a_map_of_eyes_are_eyes(scenes):
    """A map that marks the pixels round each eye has all of its saliency there, and little at the feet."""
    eyes_first = []
    for sample in scenes:
        eyes, feet = (
            [(point.x, point.y) for point in sample.keypoints(sample.label) if point.kind == kind]
            for kind in ("eye", "foot")
        )
        if not eyes or not feet:
            continue
        marked = torch.zeros(SIZE)
        for x, y in eyes:
            column, row = round(x), round(y)
            marked[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = 1
        seen = metrics.around_keypoints(marked, eyes, SIZE)
        assert bool((seen == 1).all())
        eyes_first.append(float(metrics.around_keypoints(marked, feet, SIZE).mean()) < 0.5)
    assert len(eyes_first) > SCENES / 4
    assert all(eyes_first)


def test_the_document_names_every_metric():
    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    functions = [name for name in metrics.__all__ if callable(getattr(metrics, name)) and name.islower()]
    assert len(functions) > 10
    assert [name for name in functions if f"`{name}`" not in text] == []
