"""ONNX files: scores as the network's own, methods without a gradient, and what is refused."""

import copy
import hashlib
import json
import pickle

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from command_line import in_a_process, refused, strict
from network_files import CLASSES, MEAN, SIZE, STD, eager, images, sidecar, write_onnx, write_variant
from unsee.classifier import Classifier
from unsee.datasets.opening import open_dataset
from unsee.errors import UnseeError
from unsee.experiments.attack import attacked
from unsee.experiments.photo_comparison import compare
from unsee.experiments.runner import run_experiment
from unsee.masks import explain
from unsee.methods import METHODS
from unsee.models import load
from unsee.runs.learn import learn
from unsee.runs.store import Store

NO_GRADIENT = (
    "gives no gradient: mask, occlusion, blur-occlusion, variable-occlusion, lime and rise need none"
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The network in a file with a sidecar."""
    file = write_onnx(tmp_path_factory.mktemp("onnx") / "net.onnx")
    sidecar(file)
    return file


@pytest.fixture(scope="module")
def network(plain):
    return load(f"onnx:{plain}", device="cpu")


@pytest.fixture
def picture(make_photo):
    return make_photo(height=70, width=80)


def same_scores(found: Classifier, within: float = 1e-4) -> bool:
    own, scores = eager().probabilities(images()), found.probabilities(images())
    assert own.std() > 0.01
    return torch.allclose(scores, own, atol=within)


class TestScores:
    def test_are_the_networks_own(self, plain, network):
        assert same_scores(network)
        assert (network.size, network.channels, network.names) == (SIZE, 3, CLASSES)
        assert (network.name, network.dtype) == (f"onnx:{plain}", torch.float32)
        assert network.weights_sha256 == hashlib.sha256(plain.read_bytes()).hexdigest()
        assert not network.reading.differentiable
        assert network.reading.alone == ""

    @pytest.mark.parametrize(
        ("options", "takes"),
        [
            ({"channels_last": True}, {}),
            ({"batch": 1}, {}),
            ({"batch": 3, "channels_last": True}, {}),
            ({"kind": "float16"}, {}),
            ({"kind": "uint8", "normalises": True}, {"mean": 0, "std": 1}),
            ({"kind": "uint8", "normalises": True, "channels_last": True, "batch": 1}, {"mean": 0, "std": 1}),
            ({"normalises": True}, {"value_range": [0, 255], "mean": 0, "std": 1}),
        ],
        ids=str,
    )
    def test_of_every_layout_type_and_batch(self, plain, tmp_path, options, takes):
        file = write_variant(plain, tmp_path / "other.onnx", **options)
        sidecar(file, **takes)
        found = load(f"onnx:{file}", device="cpu")
        within = 5e-3 if options.get("kind") == "float16" else 1e-4
        assert same_scores(found, within)
        five = images(5)
        assert torch.allclose(found.probabilities(five), eager().probabilities(five), atol=within)

    def test_of_a_copy_and_of_a_pickle(self, network):
        for net in (copy.deepcopy(network.net), pickle.loads(pickle.dumps(network.net))):
            assert same_scores(network.with_net(net))

    def test_a_file_that_has_changed_is_not_taken_for_the_same(self, plain, tmp_path):
        file = write_variant(plain, tmp_path / "net.onnx")
        sidecar(file)
        sent = pickle.dumps(load(f"onnx:{file}", device="cpu").net)
        write_variant(plain, file, batch=1)
        with pytest.raises(UnseeError, match="has changed"):
            pickle.loads(sent)

    def test_options_go_before_the_sidecar(self, plain):
        found = load(f"onnx:{plain}", device="cpu", mean=0.5, class_names=[f"n{i}" for i in range(12)])
        assert found.values.mean == (0.5, 0.5, 0.5)
        assert found.values.std == STD
        assert found.names[3] == "n3"
        assert not same_scores(found)


class TestMethods:
    @pytest.mark.parametrize("name", ["occlusion", "center"])
    def test_without_a_gradient_are_the_same(self, network, name):
        own = METHODS[name](eager(), images(), [1, 2])
        assert torch.allclose(
            METHODS[name](network, images(), [1, 2]), own, atol=1e-4 * float(own.abs().max())
        )

    @pytest.mark.parametrize("name", [name for name, each in METHODS.items() if each.needs_gradient])
    def test_with_one_are_refused_in_a_line(self, network, name):
        with pytest.raises(UnseeError) as error:
            METHODS[name](network, images(), [1, 2])
        assert str(error.value) == f"{network.name} {NO_GRADIENT}"

    def test_cam_reads_layers_which_it_does_not_show(self, network):
        assert not network.hookable
        with pytest.raises(UnseeError, match="are closed") as error:
            METHODS["cam"](network, images(), [1, 2])
        advised = str(error.value).partition("made from; ")[2]
        assert advised == "mask, occlusion, blur-occlusion, variable-occlusion, lime and rise need none"

    def test_masks_are_learned_without_one(self, network, picture):
        for preset in ("fast", "paper"):
            found = explain(network, picture, preset=preset, budget=80)
            assert found.run.settings["optimiser"]["type"] == "Surrogate"
            assert 0 < found.area < 1

    def test_the_attack_is_refused(self, network):
        with pytest.raises(UnseeError, match="gives no gradient"):
            attacked(network, images(), 0.03, 1)


class TestRuns:
    def test_a_store_of_occlusion(self, network, tmp_path):
        data = open_dataset("menagerie", limit=2)
        store = learn(network, data, tmp_path / "maps", method="occlusion", target="label", limit=2)
        own = learn(eager(), data, tmp_path / "own", method="occlusion", target="label", limit=2)
        scores = [each.table(["score"])["score"].to_pylist() for each in (store, own)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)

    def test_learn_and_experiment_refuse_before_they_begin(self, network, tmp_path):
        data = open_dataset("menagerie", limit=2)
        with pytest.raises(UnseeError, match=NO_GRADIENT):
            learn(network, data, tmp_path / "maps", method="gradient")
        assert not (tmp_path / "maps").exists()
        methods = ["center", "occlusion", "gradient"]
        with pytest.raises(UnseeError, match=NO_GRADIENT):
            run_experiment("minimality", network, data, methods=methods, out=tmp_path / "boxes")
        assert not list((tmp_path / "boxes").rglob("*.parquet"))

    def test_compare_runs_the_others(self, network, picture):
        found = compare(network, picture, ["smooth_grad", "gradient", "center", "occlusion"])
        assert list(found.results) == ["center", "occlusion"]
        assert found.refused == dict.fromkeys(("smooth_grad", "gradient"), f"{network.name} {NO_GRADIENT}")


class TestCommands:
    def test_compare_says_it_in_one_line(self, run, plain, picture, monkeypatch):
        monkeypatch.setattr("unsee.drawing.panels.save", lambda figure, path: path.write_bytes(b""))
        methods = "mask,gradient,grad-cam,center"
        model = ("--model", f"onnx:{plain}", "--budget", 80)
        result = run("compare", picture, *model, "--methods", methods, "--json")
        assert strict(result.out)[0]["methods"].keys() == {"mask", "center"}
        assert f"left out: gradient, grad-cam: onnx:{plain} {NO_GRADIENT}" in result.err
        assert result.err.count("left out") == 1

    def test_explain_refuses_what_needs_one(self, run, plain, picture):
        call = ("explain", picture, "--model", f"onnx:{plain}")
        refused(run(*call, "--suppress", 0.9), "gives no gradient", "--suppress")
        refused(run(*call, "--iterations", 20), "gives none", "--budget")
        refused(run(*call, "--area", 0.1), "classifier does not give", "--area")

    def test_options_describe_a_file_without_a_sidecar(self, run, plain, picture, tmp_path):
        (tmp_path / "bare.onnx").write_bytes(plain.read_bytes())
        (tmp_path / "names.txt").write_text("\n".join(CLASSES) + "\n")
        values = {"--mean": MEAN, "--std": STD}
        options = [text for key, of in values.items() for text in (key, ",".join(map(str, of)))]
        box = ("--box", "0,0,30,30", "--json", "--target", "zebra")
        call = ("interrogate", picture, "--model", "onnx:bare.onnx", *box)
        refused(run(*call), "--mean", "bare.onnx.unsee.json")
        result = run(*call, *options, "--classes", "names.txt")
        record = strict(result.out)
        own = run("interrogate", picture, "--model", "unsee:menagerie", "--size", 64, *box, "--out", "own")
        assert record["scores"] == pytest.approx(strict(own.out)["scores"], abs=1e-4)
        assert record["network"]["mean"] == list(MEAN)
        assert record["target"]["name"] == ["zebra"]

    def test_learn_on_ray(self, plain, tmp_path):
        """Sessions cannot be sent to a worker: it makes its own."""
        options = ("--limit", 4, "--method", "occlusion", "--target", "label", "--model", f"onnx:{plain}")
        engine = ("--engine", "ray", "--workers", 1, "--part-size", 2)
        data = open_dataset("menagerie")
        learn(load(f"onnx:{plain}"), data, tmp_path / "own", method="occlusion", target="label", limit=4)
        sent = in_a_process("learn", "menagerie", *options, *engine, "--out", "sent", cwd=tmp_path)
        assert sent.returncode == 0, sent.stderr
        scores, others = (
            Store.open(tmp_path / name).table(["id", "score"]).sort_by("id")["score"].to_pylist()
            for name in ("own", "sent")
        )
        assert scores == pytest.approx(others, abs=1e-6)
        assert max(scores) > 0.1


class TestRefused:
    def line(self, file, **options):
        with pytest.raises(UnseeError) as error:
            load(f"onnx:{file}", device="cpu", **options)
        text = str(error.value)
        assert "\n" not in text
        return text

    def test_a_file_that_is_none(self, tmp_path):
        (tmp_path / "x.onnx").write_bytes(b"nothing")
        assert "no ONNX file" in self.line(tmp_path / "x.onnx")
        assert "no such file" in self.line(tmp_path / "y.onnx")
        assert "is a folder" in self.line(tmp_path)

    def test_an_ambiguous_layout(self, plain, tmp_path):
        file = write_variant(plain, tmp_path / "x.onnx", shape=["n", 3, 64, 3])
        assert "layout" in self.line(file, mean=0.0, std=1.0)
        file = write_variant(plain, tmp_path / "x.onnx", shape=["n", "c", "h", "w"])
        assert "layout" in self.line(file, mean=0.0, std=1.0)
        sidecar(file, layout="NCHW", size=64)
        assert same_scores(load(f"onnx:{file}", device="cpu"))

    def test_a_normalisation_that_whole_numbers_cannot_hold(self, plain, tmp_path):
        file = write_variant(plain, tmp_path / "x.onnx", "uint8", normalises=True)
        assert "whole numbers" in self.line(file, mean=MEAN, std=STD)
        assert same_scores(load(f"onnx:{file}", device="cpu"))

    def test_weights_labels_and_other_devices(self, plain, tmp_path):
        assert "weights" in self.line(plain, weights=tmp_path / "w.safetensors")
        assert "zero-shot" in self.line(plain, labels=["a", "b"])
        with pytest.raises(UnseeError, match="device"):
            load(f"onnx:{plain}", device="meta")

    def test_inputs_and_outputs_that_are_not_understood(self, plain, tmp_path):
        model = onnx.load(plain)
        model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
        onnx.save(model, tmp_path / "x.onnx")
        assert "more [1]" in self.line(tmp_path / "x.onnx", mean=0.0, std=1.0)
        model = onnx.load(plain)
        scores = model.graph.output[0].name
        model.graph.node.append(helper.make_node("Softmax", [scores], ["shares"]))
        model.graph.output.append(helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["batch", 12]))
        onnx.save(model, tmp_path / "x.onnx")
        assert "which one has the scores" in self.line(tmp_path / "x.onnx", mean=0.0, std=1.0)
        sidecar(tmp_path / "x.onnx", output="shares")
        found = load(f"onnx:{tmp_path / 'x.onnx'}", device="cpu")
        assert found.reading.summary == "probabilities, softmax"
        assert same_scores(found)
        sidecar(tmp_path / "x.onnx", output="nothing")
        assert "no output called" in self.line(tmp_path / "x.onnx")

    @pytest.mark.parametrize(
        ("values", "part"),
        [
            ({"sise": 3}, "unknown key 'sise'"),
            ({"layout": "HWC"}, "layout"),
            ({"mean": "0.5"}, "mean"),
            ({"size": [3]}, "size"),
            ({"channels": True}, "channels"),
        ],
    )
    def test_a_sidecar_that_is_not_understood(self, plain, tmp_path, values, part):
        file = tmp_path / "x.onnx"
        file.write_bytes(plain.read_bytes())
        (tmp_path / "x.onnx.unsee.json").write_text(json.dumps(values))
        assert part in self.line(file)
