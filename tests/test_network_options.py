"""Options that say what a network takes and means: from Python and on the command line."""

import pytest
import torch

import unsee
from command_line import refused, strict
from unsee.classifier import Classifier
from unsee.cli.network_options import network_from
from unsee.errors import UnseeError
from unsee.models import load
from unsee.models.registry import FAMILIES


class TestOptions:
    def test_each_overrides(self):
        names = [f"n{i}" for i in range(12)]
        found = load(
            "unsee:menagerie",
            device="cpu",
            size=(48, 64),
            mean=(1.0, 2.0, 3.0),
            std=4.0,
            value_range=(0.0, 255.0),
            head="sigmoid",
            class_names=names,
            mean_color=0.5,
        )
        assert found.input_shape == (3, 48, 64)
        assert found.values.mean == (1.0, 2.0, 3.0)
        assert found.values.std == (4.0,) * 3
        assert found.values.value_range == (0.0, 255.0)
        assert found.reading.kind == "sigmoid"
        assert found.names == tuple(names)
        assert found.color == (0.5,) * 3
        assert found.record["value_range"] == [0.0, 255.0]
        assert len(found.record["class_names_sha256"]) == 64

    def test_that_do_not_fit_are_refused(self):
        with pytest.raises(UnseeError, match="for 1 channel:"):
            load("unsee:menagerie", device="cpu", channels=1)
        with pytest.raises(UnseeError, match="zero-shot"):
            load("unsee:menagerie", device="cpu", labels=["a", "b"])
        with pytest.raises(UnseeError, match="class names"):
            _ = load("unsee:menagerie", device="cpu", class_names=["a"]).reading

    @pytest.mark.parametrize(
        ("option", "part"),
        [
            (("--size", "a"), "--size"),
            (("--size", "3x4x5"), "--size"),
            (("--mean", "a,b"), "--mean"),
            (("--value-range", "1"), "black and white"),
            (("--classes", "gone.txt"), "gone.txt"),
            (("--head", "softmix"), "softmax"),
            (("--labels", "a,b"), "zero-shot"),
        ],
    )
    def test_text_that_is_not_understood(self, run, make_photo, option, part):
        refused(run("explain", make_photo(), "--model", "unsee:menagerie", *option), part)

    @pytest.mark.parametrize("command", ["explain", "compare", "interrogate"])
    @pytest.mark.parametrize("name", [*(f"{prefix}:m" for prefix in FAMILIES), "python:a.b:net"])
    def test_a_model_in_the_place_of_a_photo(self, run, monkeypatch, command, name):
        monkeypatch.setattr("unsee.cli.parsing.load", lambda *_, **__: pytest.fail("work has begun"))
        more = ("--box", "0,0,9,9") if command == "interrogate" else ("zebra.jpg",)
        said = f"{name} is a model, not a photo: give it as --model {name}"
        assert refused(run(command, name, *more)) == f"unsee: {said}"

    def test_a_photo_with_a_colon_in_its_name(self, run, tiny, make_photo):
        photo = make_photo("onnx:m.png")
        assert run("explain", photo.name, "-n", 1).code == 0
        refused(run("explain", "other:m.png", "-n", 1), "other:m.png does not exist")

    @pytest.mark.parametrize(
        "call", [("learn", "menagerie", "--out", "m"), ("experiment", "minimality"), ("reproduce",)]
    )
    def test_a_file_with_class_names_for_the_classes_of_a_data_set(self, run, call):
        line = refused(run(*call, "--classes", "names.txt", "--model", "unsee:menagerie"))
        assert line.endswith("the names of the network's classes are --class-names names.txt")

    @pytest.mark.parametrize("text", ['["a", "b"]', '{"1": "b", "0": "a"}', "a\nb\n"])
    def test_files_of_class_names(self, tmp_path, text):
        (tmp_path / "names").write_text(text)
        named = network_from(class_names=tmp_path / "names")["class_names"]
        assert unsee.read_class_names(tmp_path / "names") == named
        assert Classifier(torch.nn.Flatten(), class_names=named).names == ("a", "b")

    @pytest.mark.parametrize("command", ["explain", "compare", "interrogate", "learn", "experiment"])
    def test_every_command_has_them(self, run, command):
        text = run(command, "--help").out
        names = (
            "--size",
            "--mean",
            "--std",
            "--channels",
            "--value-range",
            "--head",
            "--class-names",
            "--labels",
        )
        assert [name for name in names if name not in text] == []
        assert "--classes" in text

    def test_other_options_are_another_explanation(self, run, make_photo):
        call = ("explain", make_photo(), "--model", "unsee:menagerie", "--size", "64", "--iterations", 1)
        first = run(*call, "--json", "--mean", "0.4", "--value-range", "-1,1")
        (record,) = strict(first.out)
        assert record["network"]["mean"] == [0.4] * 3
        assert record["network"]["value_range"] == [-1.0, 1.0]
        assert run(*call, "--mean", "0.4", "--value-range", "-1,1").code == 0
        line = run(*call, "--mean", "0.3", "--value-range", "-1,1").err
        assert "network.mean" in line
        assert "another explanation" in line
