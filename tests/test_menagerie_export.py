"""Exported folders hold what was drawn."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from unsee.datasets.menagerie import (
    CLASSES,
    Menagerie,
    Shortcut,
    compose,
    export_coco,
    export_imagenet,
    render,
)
from unsee.datasets.menagerie.things import CLUTTER, PLANTED
from unsee.errors import UnseeError


@pytest.fixture(scope="module")
def samples():
    return list(Menagerie("test", 12, several=0.5, shortcuts=(Shortcut("zebra", "tag"),)))


def test_imagenet_layout(samples, tmp_path):
    root = export_imagenet(samples, tmp_path / "out", "val", CLASSES)
    folder = ImageFolder(str(root / "Data/CLS-LOC/val"))
    assert folder.classes == sorted(CLASSES)
    assert len(folder) == len(samples)
    by_id = {sample.id: sample for sample in samples}
    for picture, target in folder.samples:
        name = picture.rsplit("/", 1)[1].removesuffix(".png")
        sample = by_id[name]
        assert folder.classes[target] == CLASSES[sample.label]
        np.testing.assert_array_equal(np.asarray(Image.open(picture)), sample.image)
        notes = ElementTree.parse(root / f"Annotations/CLS-LOC/val/{CLASSES[sample.label]}/{name}.xml")
        boxes = [
            (
                entry.findtext("name"),
                *(int(entry.findtext(f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax")),
            )
            for entry in notes.iter("object")
        ]
        truth = [(i.name, i.box[0], i.box[1], i.box[2] - 1, i.box[3] - 1) for i in sample.instances]
        assert boxes == truth


def decode(segmentation):
    """Decode run lengths down the columns, literally."""
    height, width = segmentation["size"]
    flat, value = [], False
    for count in segmentation["counts"]:
        flat += [value] * count
        value = not value
    return np.array(flat).reshape(width, height).T


def test_coco_layout(samples, tmp_path):
    root = export_coco(samples, tmp_path / "out", "val2014", CLASSES)
    notes = json.loads((root / "annotations/instances_val2014.json").read_text())
    names = {category["id"]: category["name"] for category in notes["categories"]}
    assert [names[k + 1] for k in range(len(CLASSES))] == list(CLASSES)
    for entry, sample in zip(notes["images"], samples, strict=True):
        np.testing.assert_array_equal(
            np.asarray(Image.open(root / "val2014" / entry["file_name"])), sample.image
        )
        found = [a for a in notes["annotations"] if a["image_id"] == entry["id"]]
        for annotation, instance in zip(found, (*sample.instances, *sample.things), strict=True):
            assert names[annotation["category_id"]] == instance.name
            np.testing.assert_array_equal(decode(annotation["segmentation"]), instance.segment)
            x, y, width, height = annotation["bbox"]
            assert (x, y, x + width, y + height) == instance.box
            assert annotation["area"] == instance.segment.sum()
            if instance.label is not None:
                points = np.array(annotation["keypoints"]).reshape(8, 3)
                assert (points[:, 2] > 0).sum() == annotation["num_keypoints"] == len(instance.keypoints)
                eyes = [[p.x, p.y] for p in instance.keypoints if p.kind == "eye"]
                np.testing.assert_allclose(points[: len(eyes), :2], np.reshape(eyes, (-1, 2)), atol=0.01)
    planted = [a for a in notes["annotations"] if a.get("planted")]
    assert len(planted) == sum(len(sample.planted) for sample in samples) > 0


def test_coco_category_ids_are_the_same_in_every_split(samples, tmp_path):
    """They do not depend on the order of the samples, or on which things are visible."""
    tagged = [render(compose("cat", planted=(thing,), seed=1)) for thing in ("watermark", "tag", "spoon")]
    categories = []
    for split, chosen in (
        ("a", samples),
        ("b", samples[::-1]),
        ("c", tagged),
        ("d", tagged[::-1]),
        ("e", []),
    ):
        root = export_coco(chosen, tmp_path, split, CLASSES)
        notes = json.loads((root / f"annotations/instances_{split}.json").read_text())
        categories.append(notes["categories"])
    assert all(found == categories[0] for found in categories)
    assert [c["id"] for c in categories[0]] == list(range(1, len(categories[0]) + 1))
    things = [c["name"] for c in categories[0] if c["supercategory"] == "thing"]
    assert things == sorted(CLUTTER.keys() | PLANTED.keys())


@pytest.mark.parametrize("export", [export_imagenet, export_coco])
def test_nothing_is_overwritten(export, samples, tmp_path):
    export(samples[:1], tmp_path, "val", CLASSES)
    with pytest.raises(UnseeError, match="already exists"):
        export(samples[:1], tmp_path, "val", CLASSES)
