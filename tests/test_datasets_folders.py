"""Images in plain folders, in folders of classes and in lists, compared with torchvision."""

import shutil

import numpy as np
import pytest
from PIL import ImageOps
from torchvision.datasets import ImageFolder

import data_sets
from data_sets import write_picture
from unsee.datasets import open_dataset
from unsee.datasets.files import SUFFIXES
from unsee.errors import UnseeError


def one_line(error):
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 1000
    return message


class TestFolder:
    def test_every_picture_below_in_order(self, tmp_path):
        name, _ = data_sets.plain_folder(tmp_path)
        found = open_dataset(name)
        assert [found.id(i) for i in range(len(found))] == [
            "a.JPG",
            "b.png",
            "deep/a.png",
            "deep/er/c 1.jpeg",
        ]
        assert (found[0].label, found.labels(0), found.classes) == (None, (), ())

    def test_a_folder_below_a_hidden_one_is_not_hidden(self, tmp_path):
        write_picture(tmp_path / ".cache/photos/a.png")
        assert len(open_dataset(f"folder:{tmp_path / '.cache/photos'}")) == 1

    def test_linked_folders_are_followed(self, tmp_path):
        write_picture(tmp_path / "elsewhere/a.png")
        (tmp_path / "set").mkdir()
        (tmp_path / "set/link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        assert open_dataset(f"folder:{tmp_path / 'set'}").id(0) == "link/a.png"

    def test_without_pictures(self, tmp_path):
        (tmp_path / "a.txt").write_text("")
        with pytest.raises(UnseeError, match="holds no images"):
            open_dataset(f"folder:{tmp_path}")
        with pytest.raises(UnseeError, match="is not a folder"):
            open_dataset(f"folder:{tmp_path / 'a.txt'}")

    def test_without_classes_there_is_nothing_to_choose_by(self, tmp_path):
        name, _ = data_sets.plain_folder(tmp_path)
        with pytest.raises(UnseeError, match="no class names"):
            open_dataset(name, classes=["cat"])
        with pytest.raises(UnseeError, match="no image of '3'"):
            open_dataset(name, classes=["3"])

    def test_orientation_is_applied(self, tmp_path):
        path = write_picture(tmp_path / "a.jpg", orientation=6)
        (sample,) = (open_dataset(f"folder:{tmp_path}")[0],)
        assert sample.image.shape == (24, 18, 3)
        from PIL import Image

        with Image.open(path) as image:
            np.testing.assert_array_equal(sample.image, np.asarray(ImageOps.exif_transpose(image)))


class TestImageFolder:
    def test_it_reads_what_torchvision_reads(self, tmp_path):
        name, split = data_sets.image_folder(tmp_path)
        (tmp_path / "val/empty").mkdir()
        found = open_dataset(name, split)
        theirs = ImageFolder(str(tmp_path / "val"), allow_empty=True)
        assert found.classes == tuple(theirs.classes) == ("ant", "cat", "empty", "zoo")
        assert [(str(found[i].path), found[i].label) for i in range(len(found))] == theirs.samples
        assert found.id(0) == "ant/1.JPEG"
        np.testing.assert_array_equal(found[1].image, np.asarray(theirs[1][0]))
        assert set(SUFFIXES) >= set(ImageFolder.__init__.__globals__["IMG_EXTENSIONS"])

    def test_without_a_split(self, tmp_path):
        name, _ = data_sets.image_folder(tmp_path)
        assert len(open_dataset(f"{name}/val")) == 5
        with pytest.raises(UnseeError, match="holds splits, not classes: choose from val"):
            open_dataset(name)

    def test_class_names_go_before_indices(self, tmp_path):
        for seed, label in enumerate(("0", "1", "10", "2")):
            write_picture(tmp_path / label / "a.png", seed)
        found = open_dataset(f"imagefolder:{tmp_path}", classes=["2"])
        assert found.id(0) == "2/a.png"
        assert found.labels(0) == (3,)

    def test_folders_without_pictures(self, tmp_path):
        with pytest.raises(UnseeError, match="holds no folders"):
            open_dataset(f"imagefolder:{tmp_path}")
        with pytest.raises(UnseeError, match="holds no folders: it has no split 'val'"):
            open_dataset(f"imagefolder:{tmp_path}", "val")
        (tmp_path / "cat").mkdir()
        with pytest.raises(UnseeError, match="holds no images"):
            open_dataset(f"imagefolder:{tmp_path}")


class TestList:
    def test_label_is_the_last_word(self, tmp_path):
        name, _ = data_sets.list_file(tmp_path)
        found = open_dataset(name)
        entries = [(found.id(i), found.labels(i)) for i in range(len(found))]
        assert entries == [("one.png", (7,)), ("two words.png", (0,)), ("below/three.png", (999,))]
        assert open_dataset(name, classes=["999"]).id(0) == "below/three.png"

    def test_another_root(self, tmp_path):
        data_sets.list_file(tmp_path / "set")
        (tmp_path / "set/list.txt").rename(tmp_path / "moved.txt")
        assert open_dataset(f"list:{tmp_path / 'moved.txt'}@{tmp_path / 'set'}")[0].label == 7
        shutil.move(tmp_path / "moved.txt", tmp_path / "set/at@home.txt")
        assert open_dataset(f"list:{tmp_path / 'set/at@home.txt'}")[0].label == 7

    def test_absolute_paths(self, tmp_path):
        path = write_picture(tmp_path / "set/a.png")
        (tmp_path / "list.txt").write_text(f"{path} 3\n")
        assert open_dataset(f"list:{tmp_path / 'list.txt'}")[0].path == path

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a.png 1\nb.png\n", "list.txt, line 2: must be `path label`"),
            ("a.png cat\n", "line 1"),
            ("7\n", "line 1"),
            (f"a.png {'9' * 5000}\n", "line 1"),
            ("\na.png -1\n", "line 2"),
            ("a.png 1\na.png 2\n", "line 2: repeats the image of line 1"),
            ("\n \n", "is empty"),
        ],
    )
    def test_lines_that_say_nothing(self, text, words, tmp_path):
        (tmp_path / "list.txt").write_text(text)
        with pytest.raises(UnseeError) as caught:
            open_dataset(f"list:{tmp_path / 'list.txt'}")
        assert words in one_line(caught)
        assert "list.txt" in str(caught.value)

    def test_no_text(self, tmp_path):
        (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UnseeError, match="is not UTF-8 text"):
            open_dataset(f"list:{tmp_path / 'list.txt'}")
