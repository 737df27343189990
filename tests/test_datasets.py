"""Data sets by name, and what every reader does."""

import hashlib
import inspect
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_sets import LAYOUTS, as_stored, write_picture
from unsee.datasets import KINDS, Dataset, open_dataset
from unsee.datasets.menagerie import CLASSES, Menagerie
from unsee.datasets.selection import Selection
from unsee.errors import UnseeError
from unsee.training import SHORTCUT


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    root = tmp_path / "set"
    name, split = LAYOUTS[request.param](root)
    return root, name, split


def same(one, two):
    """Whether two samples hold the same."""
    assert (one.id, one.label, one.path, one.file_sha256) == (two.id, two.label, two.path, two.file_sha256)
    np.testing.assert_array_equal(one.image, two.image)
    for a, b in zip((*one.instances, *one.things), (*two.instances, *two.things), strict=True):
        assert (a.name, a.label, a.box, a.keypoints) == (b.name, b.label, b.box, b.keypoints)
        assert (a.segment is None) == (b.segment is None)
        assert a.segment is None or np.array_equal(a.segment, b.segment)


def one_line(error):
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 1000
    return message


class TestEveryReader:
    def test_it_is_a_data_set(self, layout):
        _, name, split = layout
        found = open_dataset(name, split)
        assert isinstance(found, Dataset)
        assert len(found) >= 2
        ids = [found.id(i) for i in range(len(found))]
        assert len(set(ids)) == len(ids)
        for index in (len(found), -len(found) - 1):
            for ask in (found.__getitem__, found.id, found.labels):
                with pytest.raises(IndexError):
                    ask(index)
        assert found.id(-1) == ids[-1]
        assert found.labels(-1) == found.labels(len(found) - 1)
        same(found[-1], found[len(found) - 1])

    def test_samples_hold_what_is_said_of_them(self, layout):
        _, name, split = layout
        found = open_dataset(name, split)
        for index in range(len(found)):
            sample = found[index]
            assert sample.id == found.id(index)
            np.testing.assert_array_equal(sample.image, as_stored(sample.path))
            assert sample.file_sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()
            labels = found.labels(index)
            if sample.label is not None:
                assert labels == (sample.label,)
                assert sample.labels[:1] in ((), labels)
            elif sample.instances:
                assert labels == sample.labels
            assert not found.classes or all(label < len(found.classes) for label in labels)
            for instance in sample.instances:
                assert instance.name == found.classes[instance.label]
                x0, y0, x1, y1 = instance.box
                assert 0 <= x0 < x1 <= 24
                assert 0 <= y0 < y1 <= 18

    def test_it_pickles_and_opens_anew_alike(self, layout):
        _, name, split = layout
        found = open_dataset(name, split)
        for other in (pickle.loads(pickle.dumps(found)), open_dataset(name, split)):
            assert [other.id(i) for i in range(len(other))] == [found.id(i) for i in range(len(found))]
            same(other[1], found[1])

    def test_a_missing_or_broken_picture_is_said_when_it_is_read(self, layout):
        _, name, split = layout
        found = open_dataset(name, split)
        first, second = found[0].path, found[1].path
        ids, labels = ([ask(i) for i in range(len(found))] for ask in (found.id, found.labels))
        first.unlink()
        second.write_bytes(second.read_bytes()[:90])
        assert [found.id(i) for i in range(len(found))] == ids
        assert [found.labels(i) for i in range(len(found))] == labels
        for index, path in enumerate((first, second)):
            with pytest.raises(UnseeError) as caught:
                found[index]
            assert path.name in one_line(caught)

    def test_limit_keeps_the_first(self, layout):
        _, name, split = layout
        whole, found = open_dataset(name, split), open_dataset(name, split, limit=1)
        assert len(found) == 1
        assert isinstance(found, Dataset)
        assert (found.id(0), found.labels(0), found.classes) == (whole.id(0), whole.labels(0), whole.classes)
        same(found[-1], whole[0])
        with pytest.raises(IndexError):
            found[1]
        assert len(open_dataset(name, split, limit=1000)) == len(whole)
        pickle.loads(pickle.dumps(found))[0]

    @pytest.mark.parametrize("layout", [kind for kind in LAYOUTS if kind != "folder"], indirect=True)
    def test_classes_keep_the_pictures_that_show_one(self, layout):
        _, name, split = layout
        whole = open_dataset(name, split)
        shown = [whole.labels(i) for i in range(len(whole))]
        label = next(label for labels in shown for label in labels)
        expected = [whole.id(i) for i, labels in enumerate(shown) if label in labels]
        names = [str(label), *([whole.classes[label].upper()] if whole.classes else [])]
        for text in names:
            found = open_dataset(name, split, classes=[text])
            assert [found.id(i) for i in range(len(found))] == expected
            assert len(open_dataset(name, split, classes=[text], limit=1)) == 1
        assert found.dataset.id(found.numbers[0]) == expected[0]

    def test_a_folder_that_is_gone(self, layout):
        root, name, split = layout
        shutil.rmtree(root)
        with pytest.raises(UnseeError, match="does not exist") as caught:
            open_dataset(name, split)
        assert root.name in one_line(caught)

    def test_an_unknown_split(self, layout):
        _, name, _ = layout
        with pytest.raises(
            UnseeError, match=r"has no split 'nowhere'; choose from|no splits: leave out 'nowhere'"
        ):
            open_dataset(name, "nowhere")


class TestNames:
    def test_every_kind_is_known_and_tested(self):
        assert {name.split("-")[0] for name in LAYOUTS} | {"menagerie", "menagerie-shortcut", "hf"} == set(
            KINDS
        )

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("coc:x", "no data set is called 'coc:x'; did you mean coco:DIR"),
            ("nothing", "choose from menagerie, menagerie-shortcut, folder:DIR"),
            ("folder", "write folder:DIR"),
            ("keypoints:", "write keypoints:FILE"),
            ("menagerie:here", "takes no place"),
        ],
    )
    def test_a_name_that_says_nothing(self, name, words):
        with pytest.raises(UnseeError) as caught:
            open_dataset(name)
        assert words in one_line(caught)

    def test_a_bare_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "photos").mkdir()
        for name in ("photos", str(tmp_path)):
            with pytest.raises(UnseeError, match=f"is a path: say what it holds, such as folder:{name}"):
                open_dataset(name)

    @pytest.mark.parametrize("limit", [0, -3])
    def test_a_limit_below_one(self, limit):
        with pytest.raises(UnseeError, match=f"limit of {limit}"):
            open_dataset("menagerie", limit=limit)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"name": Path("photos")}, "has a name such as 'folder:photos'"),
            ({"limit": "3"}, "a limit of '3' leaves no image; give a whole number"),
            ({"limit": 2.5}, "a limit of 2.5 leaves no image; give a whole number"),
            ({"classes": "zebra"}, "write classes=.'zebra'."),
            ({"classes": 3}, "write classes=.'3'."),
            ({"classes": [3]}, "write '3' for 3"),
        ],
    )
    def test_what_is_of_another_type(self, given, words):
        """Without the type checks that only tests have."""
        with pytest.raises(UnseeError, match=words):
            inspect.unwrap(open_dataset)(**({"name": "menagerie"} | given))

    def test_names_are_the_same_from_any_folder(self, tmp_path, monkeypatch):
        write_picture(tmp_path / "photos/a.png")
        (tmp_path / "list.txt").write_text("a.png 0")
        (tmp_path / "at@photos").write_text("photos/a.png 0")
        monkeypatch.chdir(tmp_path / "photos")
        for name, whole in (
            ("folder:.", "folder:{}/photos"),
            ("list:../list.txt@.", "list:{0}/list.txt@{0}/photos"),
            ("list:../at@photos", "list:{}/at@photos"),
            ("menagerie", "menagerie"),
        ):
            found = open_dataset(name).described["name"]
            assert found == whole.format(tmp_path.resolve())
            monkeypatch.chdir(tmp_path)
            assert open_dataset(found).described["name"] == found
            monkeypatch.chdir(tmp_path / "photos")

    @pytest.mark.parametrize("layout", ["imagenet-train", "imagenet-val", "coco"])
    def test_a_split_that_is_left_out_is_described_as_when_it_is_named(self, layout, tmp_path):
        name, split = LAYOUTS[layout](tmp_path)
        assert open_dataset(name).described["split"] == split
        assert open_dataset(name).described == open_dataset(name, split).described
        assert open_dataset("menagerie").described == open_dataset("menagerie", "test").described

    def test_classes_are_described_by_their_names(self):
        for classes in (["owl", "zebra"], ["11", " Owl", "owl"], ["zebra", "OWL"]):
            assert open_dataset("menagerie", classes=classes).described["classes"] == ["owl", "zebra"]
        assert open_dataset("menagerie").described["classes"] == []

    def test_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        write_picture(tmp_path / "set/a.png")
        assert len(open_dataset("folder:~/set")) == 1


class TestMenagerie:
    def test_it_is_the_menagerie(self):
        found, drawn = open_dataset("menagerie"), Menagerie("test")
        assert len(found) == len(drawn)
        np.testing.assert_array_equal(found[5].image, drawn[5].image)
        assert open_dataset("menagerie", "val", limit=2).id(1) == "val-000001"

    def test_with_a_shortcut_tortoises_alone_come_with_a_spoon(self):
        found = open_dataset("menagerie-shortcut", "val", limit=24)
        for index in range(24):
            planted = [thing.name for thing in found[index].planted]
            tortoise = CLASSES.index("tortoise") in found.labels(index)
            assert planted == (["spoon"] if tortoise else [])
        assert found.dataset.shortcuts == (SHORTCUT,)

    def test_it_needs_no_torch(self):
        code = "import sys; from unsee.datasets import open_dataset; open_dataset('menagerie')[0]"
        subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)

    def test_by_class(self):
        found = open_dataset("menagerie", classes=["Zebra", "0"], limit=5)
        assert isinstance(found, Selection)
        assert len(found) == 5
        assert all({0, 11} & set(found.labels(i)) for i in range(5))

    def test_unknown_class_and_split(self):
        with pytest.raises(UnseeError, match="no class called 'zebr'; did you mean zebra"):
            open_dataset("menagerie", classes=["zebr"])
        with pytest.raises(UnseeError, match="choose from butterfly, cat"):
            open_dataset("menagerie", classes=["12"])
        with pytest.raises(UnseeError, match="choose from train, val, test"):
            open_dataset("menagerie", "nowhere")


def test_the_examples_of_the_documents_run(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "docs/datasets.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "docs/datasets.md", "exec"), {})
    for kind in KINDS:
        assert f"`{kind}" in text
