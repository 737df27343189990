"""COCO, compared with pycocotools' reading of it."""

import json

import numpy as np
import pytest

import data_sets
from data_sets import as_stored
from unsee.datasets import open_dataset
from unsee.datasets.coco_segments import decompressed
from unsee.datasets.menagerie import CLASSES, Menagerie, Shortcut, export_coco
from unsee.errors import UnseeError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools'


def compare_coco(found, file):
    """What pycocotools finds of the same file: labels, boxes, masks, crowds."""
    from pycocotools.coco import COCO

    theirs = COCO(str(file))
    categories = theirs.loadCats(sorted(theirs.getCatIds()))
    assert found.classes == tuple(category["name"] for category in categories)
    images = theirs.loadImgs(theirs.getImgIds())
    assert [found.id(i) for i in range(len(found))] == [image["file_name"] for image in images]
    for index, image in enumerate(images):
        sample = found[index]
        np.testing.assert_array_equal(sample.image, as_stored(sample.path))
        noted = theirs.loadAnns(theirs.getAnnIds(image["id"]))
        assert len(sample.instances) == len(noted)
        for instance, annotation in zip(sample.instances, noted, strict=True):
            category = categories[instance.label]
            assert (category["id"], category["name"]) == (annotation["category_id"], instance.name)
            x, y, width, height = annotation["bbox"]
            np.testing.assert_allclose(instance.box, (x, y, x + width, y + height))
            assert instance.crowd == bool(annotation["iscrowd"])
            if "segmentation" in annotation:
                np.testing.assert_array_equal(instance.segment, theirs.annToMask(annotation) == 1)
            else:
                assert instance.segment is None
        assert sample.labels == found.labels(index)


def compare_small_coco(folder):
    name, split = data_sets.coco(folder)
    compare_coco(open_dataset(name, split), folder / "annotations/instances_val2017.json")


def compare_crowd(folder):
    """Run lengths go down the columns."""
    name, split = data_sets.coco(folder)
    crowd = open_dataset(name, split)[0].instances[0]
    expected = np.zeros((18, 24), dtype=bool)
    expected[1:4, 0] = expected[1:4, 1] = True
    np.testing.assert_array_equal(crowd.segment, expected)
    assert (crowd.crowd, crowd.box, crowd.label) == (True, (0, 1, 2, 4), 2)


class TestCoco:
    def test_pycocotools_finds_the_same(self, tmp_path):
        compare_small_coco(tmp_path)

    def test_a_crowd(self, tmp_path):
        compare_crowd(tmp_path)

    def test_labels_are_places_among_sorted_categories(self, tmp_path):
        name, split = data_sets.coco(tmp_path)
        found = open_dataset(name, split)
        assert found.classes == ("car", "dog", "toothbrush")
        assert [found.labels(i) for i in range(3)] == [(2,), (1, 0), ()]
        assert [found[i].label for i in range(3)] == [None] * 3
        assert open_dataset(name, split, classes=["dog"]).id(0) == "000000000004.jpg"
        assert len(open_dataset(name, classes=["car", "toothbrush"])) == 2

    def test_two_classes_of_one_name(self, tmp_path):
        name, split = data_sets.coco(tmp_path)
        file = tmp_path / "annotations/instances_val2017.json"
        file.write_text(file.read_text().replace("toothbrush", "car"))
        with pytest.raises(UnseeError, match="has several classes called 'car': give 0 or 2"):
            open_dataset(name, split, classes=["car"])
        assert open_dataset(name, split, classes=["2"]).labels(0) == (2,)

    def test_an_export_of_the_menagerie_reads_back(self, tmp_path):
        drawn = Menagerie("test", 12, several=0.5, shortcuts=(Shortcut("zebra", "tag"),))
        export_coco(drawn, tmp_path, "val2014", CLASSES)
        found = open_dataset(f"coco:{tmp_path}", "val2014")
        assert found.classes == CLASSES
        assert sum(len(sample.planted) for sample in drawn) > 0
        for index, sample in enumerate(drawn):
            read = found[index]
            assert (read.id, found.labels(index)) == (f"{sample.id}.png", drawn.labels(index))
            np.testing.assert_array_equal(read.image, sample.image)
            pairs = [(read.instances, sample.instances), (read.things, sample.things)]
            for one, two in (pair for held in pairs for pair in zip(*held, strict=True)):
                assert (one.name, one.label, one.box) == (two.name, two.label, two.box)
                assert (one.planted, one.crowd) == (two.planted, False)
                np.testing.assert_array_equal(one.segment, two.segment)
                near = sorted((p.kind, round(p.x, 2), round(p.y, 2)) for p in two.keypoints)
                assert sorted((p.kind, p.x, p.y) for p in one.keypoints) == near

    def test_where_pictures_may_lie(self, tmp_path):
        data_sets.coco(tmp_path)
        (tmp_path / "images").mkdir()
        (tmp_path / "val2017").rename(tmp_path / "images/val2017")
        assert open_dataset(f"coco:{tmp_path}")[0].image.shape == (18, 24, 3)
        (tmp_path / "images/val2017").rename(tmp_path / "elsewhere")
        with pytest.raises(UnseeError, match="val2017 does not exist: the images of instances_val2017"):
            open_dataset(f"coco:{tmp_path}")

    def test_without_splits(self, tmp_path):
        data_sets.coco(tmp_path)
        (tmp_path / "annotations/instances_val2017.json").rename(tmp_path / "instances.json")
        (tmp_path / "val2017").rename(tmp_path / "images")
        assert len(open_dataset(f"coco:{tmp_path}")) == 3
        with pytest.raises(UnseeError, match="has no splits"):
            open_dataset(f"coco:{tmp_path}", "val2017")
        (tmp_path / "instances.json").unlink()
        with pytest.raises(
            UnseeError, match=r"holds no annotations/instances_SPLIT\.json or instances\.json"
        ):
            open_dataset(f"coco:{tmp_path}")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda held: held.pop("images"), "not valid COCO JSON .KeyError: 'images'"),
            (lambda held: held["images"].clear() or held["annotations"].clear(), "lists no images"),
            (lambda held: held.update(annotations=None), "not valid COCO JSON"),
            (lambda held: held["images"][0].update(width=float("inf")), "not valid COCO JSON"),
            (lambda held: held["images"][0].pop("file_name"), "not valid COCO JSON"),
            (lambda held: held["images"][0].update(id=4), "lists an id twice"),
            (lambda held: held["images"][0].update(file_name="000000000005.jpg"), "'000000000005.jpg' twice"),
            (lambda held: held["categories"][0].update(id=3), "category 3 is listed twice"),
            (lambda held: held["annotations"][1].update(image_id=7), "annotation 2: there is no image 7"),
            (lambda held: held["annotations"][1].update(image_id=[]), "not valid COCO JSON"),
            (
                lambda held: held["annotations"][0].pop("category_id"),
                "annotation 1: there is no category None",
            ),
            (lambda held: held["annotations"][2].update(bbox=[1, 2, 3]), "annotation 3: its bbox is"),
            (lambda held: held["annotations"][2].update(bbox=[1, 2, 3, -4]), "annotation 3: its bbox is"),
            (lambda held: held["annotations"][2].update(bbox=[1, 2, 3, float("nan")]), "its bbox is"),
            (lambda held: held["annotations"][2].update(keypoints=[1, 2, 2]), "annotation 3: its keypoints"),
        ],
    )
    def test_a_broken_file(self, change, words, tmp_path):
        name, split = data_sets.coco(tmp_path)
        file = tmp_path / "annotations/instances_val2017.json"
        held = json.loads(file.read_text())
        change(held)
        file.write_text(json.dumps(held))
        with pytest.raises(UnseeError, match=words) as caught:
            open_dataset(name, split)
        assert "instances_val2017.json" in str(caught.value)

    @pytest.mark.parametrize("text", ["", "{", "[1]", "3", '"x"', "null", "[" * 100_000, "9" * 5000])
    def test_no_such_file(self, text, tmp_path):
        name, split = data_sets.coco(tmp_path)
        (tmp_path / "annotations/instances_val2017.json").write_text(text)
        with pytest.raises(UnseeError, match=r"instances_val2017\.json"):
            open_dataset(name, split)

    @pytest.mark.parametrize(
        "segmentation",
        [
            {"size": [18, 24], "counts": [1, 3, 15, 3, 41000]},
            {"size": [18, 24], "counts": [1, 3]},
            {"size": [18, 24], "counts": [-5, 437]},
            {"size": [24, 18], "counts": [432]},
            {"size": [180_000, 240_000], "counts": [432]},
            {"size": [18, 24], "counts": "zzzz"},
            {"counts": [432]},
            [[1, 2, 3]],
            [[1, 2, 9, 2, float("nan"), 5]],
            [[1e9, 2, 9, 2, 1e10, 5]],
            "x",
        ],
    )
    def test_a_broken_segment_is_said_when_it_is_read(self, segmentation, tmp_path):
        name, split = data_sets.coco(tmp_path)
        file = tmp_path / "annotations/instances_val2017.json"
        held = json.loads(file.read_text())
        held["annotations"][1]["segmentation"] = segmentation
        file.write_text(json.dumps(held))
        found = open_dataset(name, split)
        with pytest.raises(UnseeError, match="annotation 2: its segmentation does not fit an image of 24x18"):
            found[0]
        assert found[1].instances

    def test_compressed_run_lengths(self):
        from pycocotools import mask

        rng = np.random.default_rng(3)
        for share in (0.0, 0.02, 0.5, 1.0):
            drawn = np.asfortranarray((rng.random((50, 70)) < share).astype(np.uint8))
            ends = np.flatnonzero(np.diff(drawn.ravel(order="F"))) + 1
            runs = np.diff([0, *ends, drawn.size]).tolist()
            expected = [0, *runs] if drawn[0, 0] else runs
            assert decompressed(mask.encode(drawn)["counts"].decode()) == expected

    def test_pycocotools_is_asked_for_where_it_is_missing(self, tmp_path, monkeypatch):
        import sys

        name, split = data_sets.coco(tmp_path)
        monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
        found = open_dataset(name, split)
        assert found[2].instances == ()
        with pytest.raises(UnseeError, match=r"pycocotools.*pip install 'unsee\[data\]'"):
            found[0]
