"""ImageNet in folders of its classes and in a table, compared with torchvision's reading of them."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from torchvision.datasets import ImageFolder
from torchvision.models import ResNet18_Weights

import data_sets
from data_sets import GOLDFISH, PLACES, SHARK, TENCH, TERRIER
from unsee.datasets import open_dataset
from unsee.datasets.imagenet import WNIDS, class_names
from unsee.datasets.menagerie import Menagerie, export_imagenet
from unsee.errors import UnseeError


def compare_classes():
    assert len(WNIDS) == len(set(WNIDS)) == 1000
    assert list(WNIDS) == sorted(WNIDS)
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in WNIDS)
    names = class_names()
    assert names == tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    known = {TENCH: "tench", GOLDFISH: "goldfish", SHARK: "great white shark", TERRIER: "Chihuahua"}
    assert {wnid: names[WNIDS.index(wnid)] for wnid in known} == known
    assert {wnid: WNIDS.index(wnid) for wnid in PLACES} == PLACES


def compare_boxes(folder):
    """Boxes of the image's own class first, pixels counted from 0, those beyond the last left out."""
    name, split = data_sets.imagenet_train(folder)
    found = open_dataset(name, split)
    samples = {found.id(i): found[i] for i in range(len(found))}
    sample = samples[f"{TENCH}/{TENCH}_10.JPEG"]
    assert [(i.label, i.box) for i in sample.instances] == [(0, (3, 4, 11, 18)), (1, (2, 2, 10, 10))]
    assert [(i.name, i.label, i.box) for i in sample.things] == [("n00000001", None, (1, 1, 6, 6))]
    assert [samples[name].instances for name in samples if name != sample.id] == [()] * 3
    width = sample.instances[0].box[2] - sample.instances[0].box[0]
    assert width == 10 - 3 + 1  # as many pixels as from 3 to 10, both included


def test_the_classes_are_the_standard_ones():
    compare_classes()


def test_boxes_of_xml(tmp_path):
    compare_boxes(tmp_path)


class TestFolders:
    def test_labels_are_those_of_the_thousand_though_few_are_there(self, tmp_path):
        name, split = data_sets.imagenet_train(tmp_path)
        found = open_dataset(name, split)
        folder = ImageFolder(str(tmp_path / "Data/CLS-LOC/train"))
        assert [str(found[i].path) for i in range(len(found))] == [path for path, _ in folder.samples]
        assert [found.dataset.wnids[found.labels(i)[0]] for i in range(len(found))] == [
            folder.classes[target] for _, target in folder.samples
        ]
        assert [found.labels(i) for i in range(len(found))] == [(0,), (0,), (2,), (999,)]
        assert len(found.classes) == 1000

    def test_classes_by_name_index_and_wordnet_id(self, tmp_path):
        name, split = data_sets.imagenet_train(tmp_path)
        for text in ("Tench", "0", TENCH):
            found = open_dataset(name, split, classes=[text])
            assert [found.labels(i) for i in range(len(found))] == [(0,), (0,)]
        with pytest.raises(UnseeError, match="did you mean goldfish"):
            open_dataset(name, split, classes=["goldfsh"])
        with pytest.raises(UnseeError, match="give the whole name, or an index"):
            open_dataset(name, split, classes=["1000"])
        with pytest.raises(UnseeError, match="no image of 'goldfish'"):
            open_dataset(name, split, classes=["goldfish"])

    def test_folders_of_other_classes(self, tmp_path):
        data_sets.write_picture(tmp_path / "train/cat/1.png")
        with pytest.raises(UnseeError, match="'cat' is not one of ImageNet's 1000 WordNet ids"):
            open_dataset(f"imagenet:{tmp_path}")

    def test_what_is_not_there(self, tmp_path):
        with pytest.raises(UnseeError, match=r"holds none of labels\.csv, train/"):
            open_dataset(f"imagenet:{tmp_path}")
        (tmp_path / "train").mkdir()
        with pytest.raises(UnseeError, match="one for each WordNet id"):
            open_dataset(f"imagenet:{tmp_path}")
        (tmp_path / "val").mkdir()
        with pytest.raises(UnseeError, match="several splits: choose from train, val"):
            open_dataset(f"imagenet:{tmp_path}")

    def test_an_export_of_the_menagerie_reads_back(self, tmp_path):
        """With WordNet ids for the animals' names."""
        known = WNIDS[:12]
        drawn = []
        for index in range(12):
            sample = Menagerie("test", several=0.5)[index]
            named = tuple(replace(i, name=known[i.label]) for i in sample.instances)
            drawn.append(replace(sample, instances=named))
        export_imagenet(drawn, tmp_path, "val", known)
        found = open_dataset(f"imagenet:{tmp_path}")
        by_id = {found.id(i).split("/")[1]: found[i] for i in range(len(found))}
        assert len(found) == len(drawn)
        for sample in drawn:
            read = by_id[f"{sample.id}.png"]
            assert read.label == sample.label
            assert [(i.label, i.box) for i in read.instances] == [(i.label, i.box) for i in sample.instances]
            np.testing.assert_array_equal(read.image, sample.image)

    def test_validation_pictures_need_their_boxes_where_boxes_are(self, tmp_path):
        name, split = data_sets.imagenet_val(tmp_path)
        notes = tmp_path / "Annotations/CLS-LOC/val"
        data_sets.bounding_xml(notes / "ILSVRC2012_val_00000001.xml", [(TENCH, 1, 1, 24, 18)])
        found = open_dataset(name, split)
        assert found[0].instances[0].box == (1, 1, 24, 18)
        with pytest.raises(UnseeError, match=r"ILSVRC2012_val_00000002\.xml cannot be read"):
            found[1]


class TestXml:
    @pytest.fixture
    def read(self, tmp_path):
        def read(objects, size=(24, 18)):
            name, split = data_sets.imagenet_train(tmp_path)
            path = tmp_path / f"Annotations/CLS-LOC/train/{TENCH}/{TENCH}_10.xml"
            data_sets.bounding_xml(path, objects, size)
            return open_dataset(name, split)[0]

        return read

    def test_boxes_end_with_the_picture(self, read):
        assert read([(TENCH, 0, 0, 30, 20)]).instances[0].box == (0, 0, 24, 18)

    @pytest.mark.parametrize("box", [(9, 1, 3, 5), (40, 1, 44, 5), ("x", 1, 3, 5)])
    def test_boxes_that_hold_nothing(self, box, read):
        with pytest.raises(UnseeError, match=r"n01440764_10\.xml is not bounding-box XML \(ValueError"):
            read([(TENCH, *box)])

    def test_another_size(self, read):
        with pytest.raises(UnseeError, match=r"n01440764_10\.JPEG is 24x18, but 48x36 in .*10\.xml"):
            read([(TENCH, 1, 1, 2, 2)], size=(48, 36))

    def test_no_size(self, read):
        assert read([(TENCH, 1, 1, 2, 2)], size=(0, 0)).instances[0].box == (1, 1, 3, 3)

    @pytest.mark.parametrize(
        "text",
        ["", "<annotation>", "<html/>", "<annotation><object><name>n01440764</name></object></annotation>"],
    )
    def test_no_annotation(self, text, tmp_path):
        name, split = data_sets.imagenet_train(tmp_path)
        path = tmp_path / f"Annotations/CLS-LOC/train/{TENCH}/{TENCH}_10.xml"
        path.write_text(text)
        found = open_dataset(name, split)
        with pytest.raises(UnseeError, match=r"n01440764_10\.xml is not bounding-box XML"):
            found[0]
        assert found[1].label == 0


class TestTable:
    def test_labels_and_boxes(self, tmp_path):
        name, _ = data_sets.imagenet_table(tmp_path)
        found = open_dataset(name)
        assert [found.labels(i) for i in range(len(found))] == [(999,), (0,), (999,)]
        boxes = [[i.box for i in found[k].instances] for k in range(3)]
        assert boxes == [[(1.5, 2, 10.25, 18), (0, 0, 3, 3)], [], []]

    @pytest.mark.parametrize("columns", [("file", "wnid"), ("file", "index")])
    def test_one_column_is_enough(self, columns, tmp_path):
        name, _ = data_sets.imagenet_table(tmp_path)
        with (tmp_path / "labels.csv").open(newline="") as file:
            rows = [{column: row[column] for column in columns} for row in csv.DictReader(file)]
        with (tmp_path / "labels.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(rows)
        assert open_dataset(name)[0].label == 999

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("file,name\na.png,x\n", "needs a column `file` and a column `wnid` or `index`"),
            ("file,index\n", "lists no images"),
            ("file,index\na.png,1000\n", "line 2: class 1000 is not there"),
            ("file,index\na.png,-1\n", "line 2: '-1' in the column `index` is not a whole number"),
            ("file,index\na.png\n", "line 2: has nothing in the column `index`"),
            ("file,wnid\na.png,n00000000\n", "line 2: 'n00000000' is not one of"),
            ("file,wnid,index\na.png,n01440764,1\n", "line 2: n01440764 is class 0, not 1"),
            ("file,index\na.png,1\na.png,2\n", "lists 'a.png' twice"),
            ('file,index\n"a.png,1\n', "is not CSV"),
        ],
    )
    def test_a_broken_table(self, text, words, tmp_path):
        name, _ = data_sets.imagenet_table(tmp_path)
        (tmp_path / "labels.csv").write_text(text)
        with pytest.raises(UnseeError, match=words) as caught:
            open_dataset(name)
        assert "labels.csv" in str(caught.value)

    @pytest.mark.parametrize(
        "boxes",
        [
            *("[", "[]", '{"a.png": [[1, 2, 3]]}', '{"a.png": [[5, 2, 3, 4]]}', '{"a.png": 3}'),
            *(
                '{"a.png": [[1, 2, Infinity, 4]]}',
                '{"a.png": [[NaN, 2, 3, 4]]}',
                '{"a.png": [[30, 2, 33, 4]]}',
            ),
            *('{"A.png": []}', '{"a.png": [[1, 2, 3, 4, "5"]]}', '{"a.png": [[1, 2, %s, 4]]}' % ("9" * 5000)),
        ],
    )
    def test_broken_boxes(self, boxes, tmp_path):
        name, _ = data_sets.imagenet_table(tmp_path)
        (tmp_path / "boxes.json").write_text(boxes)
        with pytest.raises(UnseeError, match=r"boxes\.json"):
            open_dataset(name)

    def test_boxes_that_are_no_file(self, tmp_path):
        name, _ = data_sets.imagenet_table(tmp_path)
        (tmp_path / "boxes.json").unlink()
        (tmp_path / "boxes.json").mkdir()
        with pytest.raises(UnseeError, match=r"boxes\.json cannot be read .Is a directory"):
            open_dataset(name)

    def test_boxes_end_with_the_picture_as_those_of_xml(self, tmp_path):
        name, _ = data_sets.imagenet_table(tmp_path)
        (tmp_path / "boxes.json").write_text('{"a.png": [[-3, 2, 99, 1e300]]}')
        assert open_dataset(name)[0].instances[0].box == (0, 2, 24, 18)

    def test_boxes_of_another_size(self, tmp_path):
        name, _ = data_sets.imagenet_table(tmp_path)
        data_sets.write_picture(tmp_path / "a.png", width=25)
        with pytest.raises(UnseeError, match=r"a\.png is 25x18, but 24x18 in .*boxes\.json"):
            open_dataset(name)[0]
