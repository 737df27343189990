"""ImageNet's validation images, named by their numbers, compared with torchvision's reading of them."""

import sys
import tarfile

import pytest
from torchvision.datasets import ImageNet
from torchvision.datasets import imagenet as theirs

import data_sets
from data_sets import BY_ILSVRC, PLACES, TRUTH
from unsee.datasets import open_dataset
from unsee.datasets.imagenet import devkit
from unsee.errors import UnseeError


def wnids_of(found):
    return {
        found.id(i).rsplit("/", 1)[-1]: found.dataset.wnids[found.labels(i)[0]] for i in range(len(found))
    }


def compare_devkit(folder):
    """Labels are places among sorted WordNet ids, though the devkit counts in an order of its own."""
    name, split = data_sets.imagenet_val(folder)
    found = open_dataset(name, split)
    expected = [PLACES[BY_ILSVRC[number]] for number in TRUTH]
    assert [found.labels(i)[0] for i in range(len(found))] == expected == [0, 151, 999, 151, 2, 0]
    assert [found[i].label for i in range(len(found))] == expected


class TestValidation:
    def test_the_devkit(self, tmp_path):
        compare_devkit(tmp_path)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torchvision's way with archives
    def test_torchvision_reads_the_same(self, tmp_path, monkeypatch):
        name, split = data_sets.imagenet_val(tmp_path / "flat")
        monkeypatch.setattr(theirs, "_verify_archive", lambda *given: None)
        root = tmp_path / "theirs"
        root.mkdir()
        with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "flat/ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
        with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as archive:
            for file in sorted((tmp_path / "flat/val").iterdir()):
                archive.add(file, file.name)
        read = ImageNet(str(root), split="val")
        expected = {path.rsplit("/", 1)[1]: read.wnids[target] for path, target in read.samples}
        assert wnids_of(open_dataset(name, split)) == expected
        assert wnids_of(open_dataset(f"imagenet:{root}", "val")) == expected

    def test_pictures_here_and_only_some_of_them(self, tmp_path):
        data_sets.imagenet_val(tmp_path / "set")
        for number in (2, 5):
            name = f"ILSVRC2012_val_{number:08d}.JPEG"
            (tmp_path / "set/val" / name).rename(tmp_path / "set" / name)
        for left in (tmp_path / "set/val").iterdir():
            left.unlink()
        (tmp_path / "set/val").rmdir()
        found = open_dataset(f"imagenet:{tmp_path / 'set'}")
        assert [found.labels(i) for i in range(len(found))] == [(151,), (2,)]

    def test_kaggles_solution(self, tmp_path):
        data_sets.imagenet_val(tmp_path)
        (tmp_path / "ILSVRC2012_devkit_t12").rename(tmp_path / "elsewhere")
        (tmp_path / "val").rename(tmp_path / "moved")
        place = tmp_path / "ILSVRC/Data/CLS-LOC"
        place.mkdir(parents=True)
        (tmp_path / "moved").rename(place / "val")
        with pytest.raises(UnseeError, match=r"add ILSVRC2012_devkit_t12/data/.* or LOC_val_solution\.csv"):
            open_dataset(f"imagenet:{tmp_path}")
        lines = [
            f"ILSVRC2012_val_{number:08d},{BY_ILSVRC[k]} 1 2 3 4 {BY_ILSVRC[k]} 5 6 7 8 "
            for number, k in enumerate(TRUTH, start=1)
        ]
        (tmp_path / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *lines[::-1]]))
        found = open_dataset(f"imagenet:{tmp_path}", "val")
        assert [found.labels(i)[0] for i in range(len(found))] == [0, 151, 999, 151, 2, 0]
        (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nval_1,n01440764 1 2 3 4\n")
        with pytest.raises(UnseeError, match=r"LOC_val_solution\.csv, line 2"):
            open_dataset(f"imagenet:{tmp_path}", "val")

    @pytest.mark.parametrize(
        ("truth", "words"),
        [
            ("3\n1\nx\n", "ground_truth.txt, line 3: 'x' is not a number"),
            ("3\n1\n6\n", r"line 3: meta.mat has no class 6"),
            ("3\n5\n", r"line 2: meta.mat has no class 5"),
            ("3\n1\n", "has no class for .*ILSVRC2012_val_00000003.JPEG"),
        ],
    )
    def test_a_broken_truth(self, truth, words, tmp_path):
        name, split = data_sets.imagenet_val(tmp_path)
        (tmp_path / "ILSVRC2012_devkit_t12/data" / devkit.TRUTH).write_text(truth)
        with pytest.raises(UnseeError, match=words):
            open_dataset(name, split)

    def test_a_broken_meta(self, tmp_path):
        name, split = data_sets.imagenet_val(tmp_path)
        (tmp_path / "ILSVRC2012_devkit_t12/data/meta.mat").write_bytes(b"MATLAB 5.0")
        with pytest.raises(UnseeError, match=r"meta\.mat is not ILSVRC's meta\.mat"):
            open_dataset(name, split)

    def test_scipy_is_asked_for_where_it_is_missing(self, tmp_path, monkeypatch):
        name, split = data_sets.imagenet_val(tmp_path)
        monkeypatch.setitem(sys.modules, "scipy.io", None)
        with pytest.raises(UnseeError, match=r"scipy.*pip install 'unsee\[data\]'"):
            open_dataset(name, split)

    def test_a_picture_without_a_number(self, tmp_path):
        name, split = data_sets.imagenet_val(tmp_path)
        data_sets.write_picture(tmp_path / "val/flute.JPEG")
        with pytest.raises(UnseeError, match=r"no class for .*flute\.JPEG"):
            open_dataset(name, split)


class TestBlacklist:
    FILE = "ILSVRC2014_clsloc_validation_blacklist.txt"

    @pytest.mark.parametrize("place", ["", "ILSVRC2014_devkit/data"])
    def test_its_pictures_are_left_out(self, place, tmp_path):
        name, split = data_sets.imagenet_val(tmp_path)
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / self.FILE).write_text("2\n6\n36\n")
        found = open_dataset(name, split)
        assert [found.id(i)[-6:-5] for i in range(len(found))] == ["1", "3", "4", "5"]
        assert [found.labels(i)[0] for i in range(len(found))] == [0, 999, 151, 2]
        assert found.left_out == 2

    def test_all_are(self, tmp_path):
        name, split = data_sets.imagenet_val(tmp_path)
        (tmp_path / self.FILE).write_text("".join(f"{k}\n" for k in range(1, 7)))
        with pytest.raises(UnseeError, match="only blacklisted images"):
            open_dataset(name, split)

    def test_no_number(self, tmp_path):
        name, split = data_sets.imagenet_val(tmp_path)
        (tmp_path / self.FILE).write_text("2\nsix\n")
        with pytest.raises(UnseeError, match="line 2: 'six' is not a number"):
            open_dataset(name, split)

    def test_training_pictures_are_not_on_it(self, tmp_path):
        name, split = data_sets.imagenet_train(tmp_path)
        (tmp_path / self.FILE).write_text("1\n")
        assert open_dataset(name, split).left_out == 0
