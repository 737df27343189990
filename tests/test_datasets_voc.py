"""Pascal VOC, compared with torchvision's reading of it."""

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import VOCDetection

import data_sets
from data_sets import write_picture
from unsee.datasets import open_dataset
from unsee.datasets.voc import CLASSES as VOC_CLASSES
from unsee.errors import UnseeError


def compare_voc(folder):
    """What torchvision parses of the same files: names, boxes counted from 1, difficult ones."""
    name, split = data_sets.voc(folder)
    found = open_dataset(name, split)
    theirs = VOCDetection(str(folder), year="2007", image_set="train")
    assert [str(found[i].path) for i in range(len(found))] == theirs.images
    for index in range(len(found)):
        image, target = theirs[index]
        sample = found[index]
        np.testing.assert_array_equal(sample.image, np.asarray(image))
        noted = target["annotation"]["object"]
        assert [i.name for i in sample.instances] == [entry["name"] for entry in noted]
        assert [i.difficult for i in sample.instances] == [entry["difficult"] == "1" for entry in noted]
        for instance, entry in zip(sample.instances, noted, strict=True):
            inside = np.zeros((18, 24), dtype=bool)
            ends = [float(entry["bndbox"][key]) for key in ("xmin", "ymin", "xmax", "ymax")]
            rows, columns = np.mgrid[1:19, 1:25]
            inside[(columns >= ends[0]) & (columns <= ends[2]) & (rows >= ends[1]) & (rows <= ends[3])] = True
            x0, y0, x1, y1 = instance.box
            drawn = np.zeros_like(inside)
            drawn[int(np.ceil(y0)) : int(y1), int(np.ceil(x0)) : int(x1)] = True
            np.testing.assert_array_equal(drawn, inside)


def compare_voc_segments(folder):
    name, split = data_sets.voc(folder)
    found = open_dataset(name, split)
    dog, person = found[0].instances
    assert (dog.name, person.name, person.difficult) == ("dog", "person", True)
    assert (dog.segment.sum(), person.segment.sum()) == (7 * 8, 2 * 4)
    assert dog.segment[5, 2]
    assert not dog.segment[4, 2]  # the border belongs to no object
    assert person.segment[0, 23]
    assert found[1].instances[0].segment is None


class TestVoc:
    def test_torchvision_parses_the_same(self, tmp_path):
        compare_voc(tmp_path)

    def test_segments(self, tmp_path):
        compare_voc_segments(tmp_path)

    def test_labels_and_ids(self, tmp_path):
        name, split = data_sets.voc(tmp_path)
        found = open_dataset(name, split)
        assert tuple(sorted(VOC_CLASSES)) == VOC_CLASSES
        assert [found.id(i) for i in range(3)] == ["000012", "000005", "000009"]
        assert [[found.classes[k] for k in found.labels(i)] for i in range(3)] == [
            *(["dog", "person"], ["tvmonitor", "dog"], []),
        ]
        assert found[0].label is None
        assert len(open_dataset(name, split, classes=["person"])) == 1

    def test_splits_are_the_lists_of_all_classes(self, tmp_path):
        name, _ = data_sets.voc(tmp_path)
        with pytest.raises(UnseeError, match="several splits: choose from train, val"):
            open_dataset(name)
        with pytest.raises(UnseeError, match=r"choose from train, val$"):
            open_dataset(name, "dog_train")
        assert open_dataset(name, "val").id(0) == "000009"

    def test_years(self, tmp_path):
        data_sets.voc(tmp_path)
        for place in ("VOCdevkit", "VOCdevkit/VOC2007"):
            assert len(open_dataset(f"voc:{tmp_path / place}", "train")) == 3
        (tmp_path / "VOCdevkit/VOC2012/ImageSets/Main").mkdir(parents=True)
        with pytest.raises(
            UnseeError, match="give one of the folders VOCdevkit/VOC2007, VOCdevkit/VOC2012 in it"
        ):
            open_dataset(f"voc:{tmp_path}", "train")
        with pytest.raises(UnseeError, match=r"VOC2012/ImageSets/Main holds no lists"):
            open_dataset(f"voc:{tmp_path / 'VOCdevkit/VOC2012'}")
        with pytest.raises(UnseeError, match="holds no ImageSets/Main"):
            open_dataset(f"voc:{tmp_path / 'VOCdevkit/VOC2007/JPEGImages'}")

    @pytest.mark.parametrize(
        ("text", "words"), [("", "lists no images"), ("000005\n000005\n", "'000005' twice")]
    )
    def test_a_broken_list(self, text, words, tmp_path):
        name, _ = data_sets.voc(tmp_path)
        (tmp_path / "VOCdevkit/VOC2007/ImageSets/Main/train.txt").write_text(text)
        with pytest.raises(UnseeError, match=rf"train\.txt.*{words}"):
            open_dataset(name, "train")

    def test_another_class(self, tmp_path):
        name, split = data_sets.voc(tmp_path)
        file = data_sets.bounding_xml(
            tmp_path / "VOCdevkit/VOC2007/Annotations/000005.xml", [("owl", 1, 1, 2, 2)]
        )
        found = open_dataset(name, split)
        for ask in (found.labels, found.__getitem__):
            with pytest.raises(UnseeError, match=r"000005\.xml: 'owl' is not one of VOC's classes"):
                ask(1)
        file.unlink()
        with pytest.raises(UnseeError, match=r"000005\.xml cannot be read"):
            open_dataset(name, split, classes=["cat"])

    def test_a_broken_segmentation(self, tmp_path):
        name, split = data_sets.voc(tmp_path)
        file = tmp_path / "VOCdevkit/VOC2007/SegmentationObject/000012.png"
        found = open_dataset(name, split)
        Image.fromarray(np.full((18, 24), 3, dtype=np.uint8)).save(file)
        with pytest.raises(UnseeError, match=r"000012\.png does not fit .* 3 objects in \(24, 18\), not 2"):
            found[0]
        write_picture(file)
        with pytest.raises(UnseeError, match=r"000012\.png is a colour image"):
            found[0]
        file.write_bytes(file.read_bytes()[:20])
        with pytest.raises(UnseeError, match=r"000012\.png is damaged"):
            found[0]
