"""Families of models by name: files of code, functions, other packages' families, and options."""

import copy
import pickle
import sys
from importlib.metadata import EntryPoint

import pytest
import torch
from ray import cloudpickle

from command_line import strict
from network_files import (
    CLASSES,
    MEAN,
    SIZE,
    STD,
    eager,
    images,
    sidecar,
    write_export,
    write_torchscript,
)
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks import explain
from unsee.methods import METHODS
from unsee.models import load, registry
from unsee.models.registry import FAMILIES, Family, families
from unsee.models.request import Request
from unsee.optional import function_at

HOOKS = [name for name, each in METHODS.items() if each.needs_hooks]
OWN = """
import torch
import unsee
from unsee.models.menagerie import MenagerieNet, MEAN, STD, CLASSES

class Own(MenagerieNet):
    pass

def module():
    torch.manual_seed(0)
    return Own()

def classifier():
    return unsee.Classifier(module(), size=(64, 64), mean=MEAN, std=STD, class_names=CLASSES, head="sigmoid")

def broken():
    raise ValueError("no such thing")

def text():
    return "net"
"""


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Prefix → the network in a file with a sidecar."""
    folder = tmp_path_factory.mktemp("files")
    found = {
        "torchscript": write_torchscript(folder / "net.pt"),
        "export": write_export(folder / "net.pt2"),
    }
    for file in found.values():
        sidecar(file, size=list(SIZE))
    return found


@pytest.fixture(params=["torchscript", "export"])
def network(request, files):
    return load(f"{request.param}:{files[request.param]}", device="cpu")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own in the working folder."""
    (tmp_path / "own_nets.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("own_nets", None)


class TestFilesOfCode:
    def test_have_the_scores_of_the_network(self, network):
        assert (network.size, network.names) == (SIZE, CLASSES)
        assert len(network.weights_sha256) == 64
        assert network.reading.differentiable
        assert torch.allclose(network.probabilities(images(3)), eager().probabilities(images(3)), atol=1e-6)

    def test_have_a_gradient_also_where_inference_mode_was_on_at_first(self, network):
        with torch.inference_mode():
            network.probabilities(images())
        assert METHODS["gradient"](network, images(), [1, 2]).std() > 0

    def test_have_its_masks(self, network):
        """`fast` with a few iterations: the same mask as the network itself."""
        photo = images(1, seed=3)[0]
        masks = [explain(each, photo, iterations=4, precision="float32").mask for each in (network, eager())]
        assert masks[0].std() > 0.01
        assert torch.allclose(*masks, atol=1e-4)

    @pytest.mark.parametrize("name", ["gradient", "integrated_gradients", "center"])
    def test_have_its_maps(self, network, name):
        own = METHODS[name](eager(), images(), [1, 2])
        assert torch.allclose(
            METHODS[name](network, images(), [1, 2]), own, atol=1e-4 * float(own.abs().max())
        )

    @pytest.mark.parametrize("name", HOOKS)
    def test_show_no_layers(self, network, name):
        """LRP, for one, would give another map without a word."""
        assert not network.hookable
        with pytest.raises(UnseeError, match="are closed"):
            METHODS[name](network, images(), [1, 2])

    def test_are_copied_and_sent(self, network):
        for net in (copy.deepcopy(network.net), pickle.loads(pickle.dumps(network.net))):
            assert net is not network.net
            assert torch.equal(network.with_net(net).logits(images()), network.logits(images()))

    def test_are_given_back_as_they_were(self, network):
        before = [weight.requires_grad for weight in network.net.parameters()]
        assert before
        METHODS["gradient"](network, images(), [1, 2])
        assert [weight.requires_grad for weight in network.net.parameters()] == before

    def test_a_frozen_script(self, tmp_path):
        file = write_torchscript(tmp_path / "frozen.pt", frozen=True)
        sidecar(file, size=64)
        found = load(f"torchscript:{file}", device="cpu")
        assert torch.allclose(found.probabilities(images()), eager().probabilities(images()), atol=1e-6)
        sent = found.with_net(pickle.loads(pickle.dumps(found.net)))
        assert torch.equal(sent.logits(images()), found.logits(images()))
        own = METHODS["gradient"](eager(), images(), [1, 2])
        assert torch.allclose(METHODS["gradient"](found, images(), [1, 2]), own, atol=1e-4)

    def test_a_program_for_one_batch_size(self, tmp_path):
        file = write_export(tmp_path / "net.pt2", batch=3)
        found = load(f"export:{file}", device="cpu", mean=MEAN, std=STD)
        assert (found.size, found.reading.alone) == (SIZE, "")
        assert torch.allclose(found.probabilities(images(5)), eager().probabilities(images(5)), atol=1e-6)

    @pytest.mark.parametrize("prefix", ["torchscript", "export"])
    def test_what_is_refused(self, files, tmp_path, prefix):
        bare = tmp_path / "bare"
        bare.write_bytes(files[prefix].read_bytes())
        for file, part in ((bare, "normalised"), (tmp_path / "gone", "no such file"), (tmp_path, "folder")):
            with pytest.raises(UnseeError, match=part) as error:
                load(f"{prefix}:{file}", device="cpu")
            one_line(error)
        other = next(file for key, file in files.items() if key != prefix)
        for content in (b"nothing", other.read_bytes()):
            bare.write_bytes(content)
            with pytest.raises(UnseeError, match=r"torch\.(jit|export)\.save") as error:
                load(f"{prefix}:{bare}", device="cpu", mean=0.5, std=1.0)
            one_line(error)


class TestFunctions:
    def test_that_return_a_module_or_a_classifier(self, own):
        plain, whole = (load(f"python:own_nets:{name}", device="cpu") for name in ("module", "classifier"))
        assert (plain.size, plain.names, plain.name) == ((224, 224), None, "python:own_nets:module")
        assert (whole.size, whole.names, whole.name) == (SIZE, CLASSES, "python:own_nets:classifier")
        assert whole.reading.kind == "sigmoid"
        assert not plain.net.training
        small = load("python:own_nets:module", device="cpu", size=64, mean=MEAN, std=STD)
        assert torch.equal(small.logits(images()), whole.logits(images()))

    def test_weights_are_loaded_into_it(self, own):
        from unsee.models.menagerie import WEIGHTS

        found = load("python:own_nets:classifier", WEIGHTS["menagerie"], "cpu", head="softmax")
        assert torch.equal(found.probabilities(images()), eager().probabilities(images()))
        assert found.weights_sha256 == load("unsee:menagerie", device="cpu").weights_sha256

    @pytest.mark.parametrize(
        ("name", "part"),
        [
            ("own_nets:broken", "ValueError: no such thing"),
            ("own_nets:text", "returned str"),
            (
                "own_nets:gone",
                "the module own_nets has no 'gone'; it defines Own, module, classifier, broken, text",
            ),
            ("own_nets:clasifier", "the module own_nets has no 'clasifier'; did you mean classifier?"),
            ("own_nets:module.deep", "in the module own_nets has no 'deep'; it defines nothing"),
            ("own_nets", "names no function"),
            ("gone_nets:module", "cannot be imported"),
            ("own_nets:CLASSES", "tuple"),
        ],
    )
    def test_what_is_refused(self, own, name, part):
        with pytest.raises(UnseeError) as error:
            load(f"python:{name}", device="cpu")
        assert part in one_line(error)

    def test_on_the_command_line(self, own, run, make_photo):
        call = (
            "interrogate",
            make_photo(),
            "--model",
            "python:own_nets:module",
            "--box",
            "0,0,9,9",
            "--json",
        )
        options = ("--size", "64x64", "--mean", "0.5", "--std", "0.25", "--head", "sigmoid", "--target", "3")
        record = strict(run(*call, *options).out)
        assert record["model"] == "python:own_nets:module"
        assert record["network"]["mean"] == [0.5, 0.5, 0.5]
        assert record["network"]["std"] == [0.25, 0.25, 0.25]
        assert record["network"]["input_size"] == [64, 64]
        assert record["network"]["head"] == "sigmoid"
        own = load("python:own_nets:module", device="cpu", size=64, mean=0.5, std=0.25, head="sigmoid")
        assert record["scores"]["original"] != pytest.approx(0.5, abs=1e-3)
        assert cloudpickle.loads(cloudpickle.dumps(own)).size == (64, 64)


class TestOtherPackages:
    FAMILY = Family("zoo", "NAME", "a test's own", "zoo_of_tests:load")

    def named(self, monkeypatch, value):
        points = [EntryPoint("zoo", value, registry.GROUP)]
        monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])

    def test_add_a_family(self, monkeypatch, run):
        def loaded(request: Request) -> Classifier:
            assert (request.rest, request.options.size) == ("cat", 48)
            return Classifier(eager().net, mean=MEAN, std=STD, name=request.name)

        monkeypatch.setattr(sys.modules[__name__], "ZOO", Family("zoo", "NAME", "own", loaded), raising=False)
        self.named(monkeypatch, f"{__name__}:ZOO")
        found = load("zoo:cat", device="cpu", size=48, mean_color=0.25)
        assert (found.name, found.size, found.color) == ("zoo:cat", (48, 48), (0.25,) * 3)
        assert list(families())[-1] == "zoo"
        assert strict(run("models", "--json").out)["families"]["zoo:NAME"] == "own"

    @pytest.mark.parametrize("value", ["gone_zoo:ZOO", f"{__name__}:one_line", f"{__name__}:gone"])
    def test_a_broken_one_is_said_in_a_line(self, monkeypatch, value, run):
        self.named(monkeypatch, value)
        with pytest.raises(UnseeError, match="zoo:") as error:
            load("zoo:cat", device="cpu")
        one_line(error)
        assert "zoo:" in run("models").out
        assert load("unsee:menagerie", device="cpu").names == CLASSES

    def test_what_a_family_returns_is_checked(self, monkeypatch):
        family = Family("zoo", "NAME", "own", lambda request: eager().net)
        monkeypatch.setattr(sys.modules[__name__], "ZOO", family, raising=False)
        self.named(monkeypatch, f"{__name__}:ZOO")
        with pytest.raises(UnseeError, match="no Classifier, but MenagerieNet"):
            load("zoo:cat", device="cpu")

    def test_every_family_of_ours_has_its_loader(self):
        for family in FAMILIES.values():
            assert callable(function_at(family.loader))
            assert family.says
