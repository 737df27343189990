"""Images from the library `datasets`, compared with its own reading of them."""

import hashlib
import io
import pickle
import shutil
import sys

import datasets
import numpy as np
import pytest
from PIL import Image

import data_sets
from data_sets import pixels, write_picture
from unsee.datasets import Dataset, open_dataset
from unsee.errors import UnseeError

NAMES = ["cat", "dog", "owl"]


def encoded(seed):
    held = io.BytesIO()
    Image.fromarray(pixels(seed)).save(held, format="PNG")
    return held.getvalue()


def table(labels, split=None, image=None):
    columns = {"title": [f"number {k}" for k in range(len(labels))], "label": labels}
    columns["image"] = image or [{"bytes": encoded(k), "path": None} for k in range(len(labels))]
    features = {"title": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)}
    features["image"] = datasets.Image()
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features), split=split)


@pytest.fixture
def saved(tmp_path):
    held = datasets.DatasetDict({"train": table([2, 0, 2, -1], "train"), "test": table([1, 1], "test")})
    held.save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_a_saved_data_set(saved):
    found, theirs = open_dataset(f"hf:{saved}", "train"), datasets.load_from_disk(str(saved))["train"]
    assert isinstance(found, Dataset)
    assert found.classes == tuple(NAMES)
    assert [found.id(i) for i in range(len(found))] == [f"train-{i:06d}" for i in range(4)]
    assert [found.labels(i) for i in range(4)] == [(2,), (0,), (2,), ()]
    for index in range(4):
        sample, row = found[index], theirs[index]
        np.testing.assert_array_equal(sample.image, np.asarray(row["image"]))
        assert sample.label == (None if row["label"] == -1 else row["label"])
        assert sample.file_sha256 == hashlib.sha256(encoded(index)).hexdigest()
        assert sample.path is None
    np.testing.assert_array_equal(found[-1].image, found[3].image)
    with pytest.raises(IndexError):
        found[4]
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again[1].image, found[1].image)


def test_splits_limit_and_classes(saved):
    with pytest.raises(UnseeError, match="has several splits: choose from train, test"):
        open_dataset(f"hf:{saved}")
    with pytest.raises(UnseeError, match="has no split 'val'; choose from train, test"):
        open_dataset(f"hf:{saved}", "val")
    assert open_dataset(f"hf:{saved / 'test'}").id(0) == "test-000000"
    with pytest.raises(UnseeError, match="has no split 'train'; choose from test"):
        open_dataset(f"hf:{saved / 'test'}", "train")
    chosen = open_dataset(f"hf:{saved}", "train", classes=["owl"], limit=2)
    assert [chosen.id(i) for i in range(len(chosen))] == ["train-000000", "train-000002"]


def test_a_split_without_a_name(tmp_path):
    table([0, 1]).save_to_disk(str(tmp_path / "one"))
    assert open_dataset(f"hf:{tmp_path / 'one'}").id(1) == "all-000001"


def test_a_folder_that_the_library_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    data_sets.image_folder(tmp_path / "set")
    (tmp_path / "set/val").rename(tmp_path / "set/train")
    shutil.rmtree(tmp_path / "set/train/cat/more")
    found = open_dataset(f"hf:{tmp_path / 'set'}", "train")
    assert found.classes == ("ant", "cat", "zoo")
    for index in range(len(found)):
        sample = found[index]
        assert sample.path.parent.name == found.classes[sample.label]
        assert sample.file_sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()
    path = found[0].path
    path.unlink()
    with pytest.raises(UnseeError, match=path.name):
        found[0]
    with pytest.raises(UnseeError, match=r"cannot be opened with `datasets`: .*nowhere"):
        open_dataset(f"hf:{tmp_path / 'set'}", "nowhere")


def test_orientation_is_applied_as_the_library_does(tmp_path):
    data = write_picture(tmp_path / "a.jpg", orientation=6).read_bytes()
    held = table([0], image=[{"bytes": data, "path": None}])
    held.save_to_disk(str(tmp_path / "one"))
    np.testing.assert_array_equal(
        open_dataset(f"hf:{tmp_path / 'one'}")[0].image, np.asarray(held[0]["image"])
    )


def test_which_columns(tmp_path):
    features = datasets.Features(
        {"mask": datasets.Image(), "image": datasets.Image(), "fine": datasets.ClassLabel(names=NAMES)}
        | {"coarse": datasets.ClassLabel(names=["a"])}
    )
    row = {"mask": [{"bytes": encoded(5), "path": None}], "image": [{"bytes": encoded(6), "path": None}]}
    row |= {"fine": [2], "coarse": [0]}
    datasets.Dataset.from_dict(row, features=features).save_to_disk(str(tmp_path / "one"))
    sample = open_dataset(f"hf:{tmp_path / 'one'}")[0]
    assert sample.label == 2
    np.testing.assert_array_equal(sample.image, pixels(6))


def test_without_labels_or_pictures(tmp_path, monkeypatch):
    table([0, 1]).remove_columns("label").save_to_disk(str(tmp_path / "unlabelled"))
    found = open_dataset(f"hf:{tmp_path / 'unlabelled'}")
    assert (found.classes, found.labels(0), found[0].label) == ((), (), None)
    table([0]).remove_columns("image").save_to_disk(str(tmp_path / "blind"))
    with pytest.raises(UnseeError, match="has no column of images"):
        open_dataset(f"hf:{tmp_path / 'blind'}")
    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **options: table([]))
    with pytest.raises(UnseeError, match="has no rows"):
        open_dataset("hf:empty")


def test_rows_that_hold_no_picture(tmp_path):
    held = table(
        [0, 1, 2], image=[None, {"bytes": b"no image", "path": None}, {"bytes": encoded(1), "path": None}]
    )
    held.save_to_disk(str(tmp_path / "one"))
    found = open_dataset(f"hf:{tmp_path / 'one'}")
    with pytest.raises(UnseeError, match="all-000000 holds no image"):
        found[0]
    with pytest.raises(UnseeError, match="all-000001 is not an image"):
        found[1]
    assert found[2].label == 2


def test_what_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(UnseeError, match="unknown/nothing cannot be opened with `datasets`"):
        open_dataset("hf:unknown/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnseeError, match="cannot be opened with `datasets`"):
        open_dataset(f"hf:{tmp_path / 'empty'}")


def test_no_code_of_a_data_set_is_run(tmp_path):
    (tmp_path / "set").mkdir()
    ran = tmp_path / "ran"
    (tmp_path / "set/set.py").write_text(f"open({str(ran)!r}, 'w')\n")
    with pytest.raises(UnseeError, match="cannot be opened"):
        open_dataset(f"hf:{tmp_path / 'set'}")
    assert not ran.exists()


def test_the_library_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UnseeError, match=r"datasets.*pip install 'unsee\[huggingface\]'"):
        open_dataset(f"hf:{tmp_path}")
