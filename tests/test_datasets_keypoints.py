"""Keypoints of animals, and what orientation does to annotated images."""

import json

import numpy as np
import pytest

import data_sets
from data_sets import as_stored, write_picture
from unsee.datasets import Keypoint, open_dataset
from unsee.datasets.coco_json import part
from unsee.errors import UnseeError


def compare_keypoints(folder):
    name, _ = data_sets.keypoints(folder)
    found = open_dataset(name)
    (horse,) = found[0].instances
    assert horse.group == "large mammal"
    assert horse.box == (1, 2, 11, 14)
    assert horse.keypoints == (
        *(Keypoint(1.5, 2.0, "eye"), Keypoint(3.0, 4.0, "foot"), Keypoint(7.0, 8.0, "foot")),
        Keypoint(9.0, 10.0, "Nose"),
    )
    assert found[1].instances[0].keypoints == ()


def compare_orientation(folder):
    """Annotations count stored pixels, unless their size says that the image was seen upright."""
    name, _ = data_sets.keypoints(folder)
    held = json.loads((folder / "horses.json").read_text())
    held["images"] = [
        {"id": 1, "file_name": "stored.jpg", "width": 24, "height": 18},
        {"id": 2, "file_name": "turned.jpg", "width": 18, "height": 24},
        {"id": 3, "file_name": "unsaid.jpg"},
        {"id": 4, "file_name": "mirrored.jpg", "width": 24, "height": 18},
        {"id": 5, "file_name": "other.jpg", "width": 24, "height": 20},
    ]
    for image, orientation in zip(held["images"], (6, 6, 6, 2, 6), strict=True):
        write_picture(folder / image["file_name"], orientation=orientation)
    (folder / "horses.json").write_text(json.dumps(held))
    found = open_dataset(name)
    stored = as_stored(folder / "stored.jpg")
    for index, expected in enumerate((stored, np.rot90(stored, -1), stored, stored)):
        np.testing.assert_array_equal(found[index].image, expected)
    with pytest.raises(UnseeError, match=r"other\.jpg is 24x18, but 24x20 in .*horses\.json"):
        found[4]


class TestKeypoints:
    def test_marked_ones_by_kind(self, tmp_path):
        compare_keypoints(tmp_path)

    def test_orientation(self, tmp_path):
        compare_orientation(tmp_path)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            *(("R_Eye", "eye"), ("eye_1", "eye"), ("Offhindfoot", "foot"), ("L_F_Paw", "foot")),
            *(("hooves", "foot"), ("front feet", "foot"), ("forelegL1", "forelegL1"), ("Withers", "Withers")),
        ],
    )
    def test_kinds(self, name, kind):
        assert part(name) == kind

    def test_no_file(self, tmp_path):
        with pytest.raises(UnseeError, match="is not a file"):
            open_dataset(f"keypoints:{tmp_path}")
