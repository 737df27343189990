"""Real images as their readers and other tools read them."""

import csv
import json

import numpy as np
import pytest

import test_datasets_coco as coco
from data_sets import as_stored
from unsee.datasets import open_dataset
from unsee.images import read_photo

pytestmark = [
    pytest.mark.assets,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools'
]


def test_validation(assets):
    folder = assets / "imagenet_val"
    found = open_dataset(f"imagenet:{folder}")
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    boxes = json.loads((folder / "boxes.json").read_text())
    assert len(found) == len(rows) == 160
    for index, row in enumerate(rows):
        sample = found[index]
        assert (sample.id, sample.label) == (row["file"], int(row["index"]))
        assert found.dataset.wnids[sample.label] == row["wnid"]
        assert found.classes[sample.label] == row["name"]
        assert [list(i.box) for i in sample.instances] == boxes[row["file"]]
        assert sample.boxes(sample.label)
        height, width, _ = sample.image.shape
        assert all(
            0 <= b[0] < b[2] <= width and 0 <= b[1] < b[3] <= height for b in sample.boxes(sample.label)
        )
    np.testing.assert_array_equal(found[0].image, as_stored(found[0].path))


def test_training(assets):
    found = open_dataset(f"imagenet:{assets / 'imagenet_train'}")
    with (assets / "imagenet_train/labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(found.id(i), found.labels(i)[0]) for i in range(len(found))] == [
        (row["file"], int(row["index"])) for row in rows
    ]
    assert [found.classes[found.labels(i)[0]] for i in range(48)] == [row["torchvision_name"] for row in rows]
    assert found[7].instances == ()
    assert found[7].sha256 == read_photo(found[7].path).sha256


def test_pycocotools_finds_the_same(assets):
    found = open_dataset(f"coco:{assets / 'coco'}")
    assert len(found) == 48
    assert len(found.classes) == 80
    coco.compare_coco(found, assets / "coco/instances.json")
    samples = [found[i] for i in range(48)]
    assert sum(i.crowd for sample in samples for i in sample.instances) == 2
    for sample in samples:
        for instance in (i for i in sample.instances if not i.crowd):
            x0, y0, x1, y1 = instance.box
            rows, columns = np.nonzero(instance.segment)
            assert x0 - 1.5 <= columns.min() <= columns.max() < x1 + 1.5
            assert y0 - 1.5 <= rows.min() <= rows.max() < y1 + 1.5


@pytest.mark.parametrize(
    ("folder", "eyes", "feet"), [("horse10", 2, 10), ("animalpose", 4, 5), ("zebra", 0, 0)]
)
def test_animals(folder, eyes, feet, assets):
    file = assets / f"animals/{folder}/test_{folder}.json"
    found = open_dataset(f"keypoints:{file}")
    held = json.loads(file.read_text())
    marked = {a["image_id"]: sum(v > 0 for v in a["keypoints"][2::3]) for a in held["annotations"]}
    kinds = []
    for index, image in enumerate(held["images"]):
        sample = found[index]
        assert sample.image.shape == (image["height"], image["width"], 3)
        points = sample.keypoints(0)
        assert len(points) == marked[image["id"]]
        assert all(0 <= p.x < image["width"] and 0 <= p.y < image["height"] for p in points)
        kinds += [p.kind for p in points]
    assert (kinds.count("eye"), kinds.count("foot")) == (eyes, feet)
