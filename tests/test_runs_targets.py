"""Which classes a run explains for each image."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pictures import Pictures, network
from small_runs import quick
from unsee.errors import UnseeError
from unsee.runs.learn import learn


class TestTargets:
    LABELS = ((0,), (3, 1), (), (4,))

    def test_the_image_s_own_class(self, tmp_path):
        store = quick(tmp_path / "s", Pictures(4, labels=self.LABELS), target="label")
        found = {row["id"]: (row["asked"], row["label"], row["target"]) for row in store.rows()}
        assert found == {
            "picture-0000": ("label", 0, [0]),
            "picture-0001": ("label", 3, [3]),
            "picture-0003": ("label", 4, [4]),
        }

    def test_every_class_in_the_image(self, tmp_path):
        data = Pictures(4, labels=self.LABELS)
        store = quick(tmp_path / "s", data, target="each")
        found = [(row["id"], row["asked"], row["target_name"]) for row in store.rows()]
        assert found == [
            ("picture-0000", "ant", ["ant"]),
            ("picture-0001", "tiger cat", ["tiger cat"]),
            ("picture-0001", "bee", ["bee"]),
            ("picture-0003", "dog", ["dog"]),
        ]
        readable, *read = data.read
        assert (readable, read) == (0, [0, 1, 3])

    def test_classes_with_the_same_name_are_distinguished(self, tmp_path):
        data = Pictures(1, labels=((0, 1),), classes=("crane", "crane"))
        store = quick(tmp_path / "s", data, target="each", class_map={"crane (0)": [2], "crane (1)": [3]})
        assert [(row["asked"], row["target"]) for row in store.rows()] == [
            ("crane (0)", [2]),
            ("crane (1)", [3]),
        ]

    def test_an_image_whose_classes_cannot_be_read_is_recorded(self, tmp_path):
        class Torn(Pictures):
            def labels(self, index):
                if index == 1:
                    raise UnseeError("1.xml is torn")
                return (index,)

        for target in ("label", "each"):
            rows = list(quick(tmp_path / target, Torn(3), target=target).rows())
            assert [row["error"] for row in rows] == [None, "1.xml is torn", None]
        assert quick(tmp_path / "top1", Torn(3, own=False), target="top1").count_errors() == 0

    def test_images_without_a_class_of_their_own(self, tmp_path):
        data = Pictures(4, broken=[0], labels=self.LABELS, own=False)
        with pytest.raises(UnseeError, match=r"with target='each' \(--target each\)"):
            quick(tmp_path / "s", data, target="label")
        assert len(quick(tmp_path / "s", data, target="each")) == 4

    @pytest.mark.parametrize(("target", "count"), [("predicted", 1), ("top1", 1), ("top5", 5)])
    @pytest.mark.parametrize("method", ["mask", "gradient"])
    def test_predicted_classes(self, target, count, method, tmp_path):
        store = quick(tmp_path / "s", Pictures(2), target=target, method=method)
        for row in store.rows():
            assert len(row["target"]) == count
            assert row["asked"] == target

    def test_names_are_matched_if_the_classes_are_in_another_order(self, tmp_path):
        data = Pictures(2, labels=((1,), (0,)), classes=("Dog", "ant"))
        store = quick(tmp_path / "s", data, target="label")
        assert [row["target_name"] for row in store.rows()] == [["ant"], ["dog"]]

    def test_a_class_map_maps_labels_to_several_classes(self, tmp_path):
        data = Pictures(3, labels=((1,), (0,), (2,)), classes=("feline", "insect", "plant"))
        mapping = {"feline": [2, 3], "insect": [0, 1]}
        store = quick(tmp_path / "s", data, target="label", class_map=mapping)
        assert {row["id"]: row["target"] for row in store.rows()} == {
            "picture-0000": [0, 1],
            "picture-0001": [2, 3],
        }
        with pytest.raises(UnseeError, match="class_map"):
            quick(tmp_path / "s", data, target="label", class_map={"feline": [2]})

    def test_invalid_targets_and_options(self, tmp_path):
        named = Pictures(2, labels=((0,), (1,)), classes=("plant", "stone"))
        for data, options, says in (
            (Pictures(2), {"target": "label"}, "has no labels"),
            (
                Pictures(2),
                {"target": "best"},
                "a target is a class, or one of predicted, top1, top5, label, each",
            ),
            (
                named,
                {"target": "label"},
                r"tiny has no class 'plant', which the data set has: give class_map=… \(--class-map\)",
            ),
            (named, {"target": "each", "class_map": {"plant": [9]}}, "has no class 9, only 5"),
            (
                named,
                {"target": "each", "class_map": {"tree": [1]}},
                r"none of the data set's classes \(plant, stone\)",
            ),
            (Pictures(1), {"batch_size": 0}, "at least 1, got 0"),
            (Pictures(1, labels=((7,),), classes=()), {"target": "label"}, "tiny has no class 7"),
            (Pictures(1), {"method": "magic"}, "no method is called 'magic'"),
            (Pictures(1), {"preset": "magic"}, "no preset is called 'magic'"),
            (Pictures(1), {"method": "gradient", "layer": "0"}, "reads no layer"),
            (Pictures(1), {"method": "grad-cam", "layer": "nowhere"}, "nowhere"),
        ):
            with pytest.raises(UnseeError, match=says):
                learn(network(), data, tmp_path / "s", **options)
            assert not (tmp_path / "s").exists()

    def test_arguments_of_another_type(self, tmp_path):
        """In a process without the type checks that only tests have."""
        cases = (
            ({"method": None}, "method must be a name in unsee.METHODS"),
            ({"class_map": [1], "target": "each"}, r"a class map is a mapping such as .*, not \[1\]"),
            ({"limit": "3"}, "the limit must be a whole number, at least 1, got '3'"),
            ({"limit": 2.5}, "the limit must be a whole number, at least 1, got 2.5"),
        )
        code = f"""
import pictures as p
for options in {[options for options, _ in cases]}:
    try:
        p.learn(p.network(), p.Pictures(2), {str(tmp_path / "s")!r}, **options)
    except p.UnseeError as error:
        print(error)
"""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        for (_, says), line in zip(cases, done.stdout.splitlines(), strict=True):
            assert re.search(says, line), line

    @pytest.mark.parametrize(
        ("described", "says"),
        [
            ({}, "of the data set Pictures has no name: give a mapping with 'name'"),
            ({"name": 3}, "has no name: give a mapping with 'name'"),
            ("mine", "has no name: give a mapping with 'name'"),
            (
                {"name": "mine", "path": Path("x")},
                "is not JSON .*Path is not JSON serializable.*: use strings",
            ),
            ({"name": "mine", "share": float("nan")}, "is not JSON"),
        ],
    )
    def test_a_data_set_with_an_invalid_description(self, described, says, tmp_path):
        data = Pictures(2)
        data.described = described
        with pytest.raises(UnseeError, match=says):
            quick(tmp_path / "s", data)
        assert not (tmp_path / "s").exists()

    def test_one_index_in_a_class_map_is_a_list_of_one(self, tmp_path):
        data = Pictures(2, labels=((0,), (1,)), classes=("plant", "stone"))
        store = quick(tmp_path / "s", data, target="label", class_map={"plant": 3})
        assert [row["target"] for row in store.rows()] == [[3]]
        assert store.manifest["left_out"] == 1
        assert store.manifest["settings"]["class_map"] == {"plant": [3]}
