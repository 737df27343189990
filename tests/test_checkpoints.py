"""Weight files as training leaves them: wrappers, prefixes, objects beside the tensors, broken files."""

import argparse
import collections
import copy
import datetime
import io
import itertools
import os
import pathlib
import pickle
import random
import sys
import types
import zipfile

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save, save_file
from torch import nn
from torchvision.models import get_model

from unsee.errors import UnseeError
from unsee.models import from_torchvision, load
from unsee.models.checkpoints import WELL_KNOWN, state_dict_of, unpickled
from unsee.models.menagerie import MenagerieNet
from unsee.models.weights import fill, read_weights, without_prefix
from unsee.network_check import check

PREFIXES = [
    *("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.", "backbone."),
    *("network.", "encoder.", "module.model.", "module._orig_mod.model.backbone.", "student."),
]


class Grenade:
    """Makes a folder when it is unpickled by something that runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def seeded(make, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


@pytest.fixture(scope="module")
def net():
    return seeded(MenagerieNet)


@pytest.fixture(scope="module")
def state(net):
    return dict(net.state_dict())


@pytest.fixture(scope="module")
def other():
    """Weights that fit the same network and are others."""
    return dict(seeded(MenagerieNet, 1).state_dict())


def saved(path, held, **options):
    torch.save(held, path, **options)
    return path


def prefixed(prefix, state):
    return {prefix + key: value for key, value in state.items()}


def equal(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[k], v) for k, v in expected.items())


def loads(file, expected):
    """Whether the file makes `unsee:menagerie` the network of these weights."""
    return equal(load("unsee:menagerie", file, "cpu").net.state_dict(), expected)


def refused(file, name="unsee:menagerie"):
    with pytest.raises(UnseeError) as error:
        load(name, file, "cpu")
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 600
    assert str(file) in line or "does not fit" in line
    return line


class Wrapped(nn.Module):
    """A user's network around another."""

    def __init__(self, inner):
        super().__init__()
        self.model = inner


class TestPrefixes:
    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_one_that_the_network_lacks_is_removed(self, tmp_path, state, prefix):
        assert loads(saved(tmp_path / "w.pth", prefixed(prefix, state)), state)
        taken = without_prefix(prefixed(prefix, state), state).taken
        assert taken == (f"removed the prefix {prefix}" if prefix else "")

    @pytest.mark.parametrize("levels", [0, 1, 2])
    @pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
    def test_one_that_the_network_has_stays(self, levels, prefix):
        inner = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
        trained = inner
        for _ in range(levels):
            trained = Wrapped(trained)
        empty = copy.deepcopy(trained)
        nn.init.zeros_(next(empty.parameters()))
        assert not equal(empty.state_dict(), trained.state_dict())
        fill(empty, prefixed(prefix, trained.state_dict()), "a wrapper")
        assert equal(empty.state_dict(), trained.state_dict())

    def test_what_data_parallel_and_averaging_leave(self, tmp_path, net, state):
        assert loads(saved(tmp_path / "a.pth", nn.DataParallel(net).state_dict()), state)
        averaged = torch.optim.swa_utils.AveragedModel(net).state_dict()
        assert "n_averaged" in averaged
        assert loads(saved(tmp_path / "b.pth", averaged), state)
        assert loads(saved(tmp_path / "c.pth", prefixed("_orig_mod.", averaged)), state)

    def test_a_counter_of_the_networks_own_stays(self):
        own = {"n_averaged": torch.tensor(1.0), "module.weight": torch.ones(2)}
        assert equal(without_prefix(own, own), own)
        for key in ("weight", "net.weight"):
            lone = {"n_averaged": torch.tensor(1.0), key: torch.ones(2)}
            assert equal(without_prefix(lone, {"weight"}), lone)

    def test_one_of_some_keys_only_stays(self, tmp_path, state):
        half = {("module." if key.startswith("stage7") else "") + key: value for key, value in state.items()}
        line = refused(saved(tmp_path / "w.pth", half))
        assert "lacks stage7" in line
        assert "extra module.stage7" in line

    @pytest.mark.parametrize("name", ["googlenet", "vit_b_32"])
    def test_what_a_network_is_built_by_is_read_without_it(self, tmp_path, monkeypatch, name):
        """The classes, the auxiliary classifiers, and the side of a transformer's input."""
        options = {"image_size": 64} if name == "vit_b_32" else {"aux_logits": True, "init_weights": False}
        with torch.device("meta"):
            expected = get_model(name, weights=None, num_classes=7, **options).state_dict()
            monkeypatch.setattr(
                from_torchvision, "read_weights", lambda path: (prefixed("module.model.", expected), "0")
            )
            model = from_torchvision.build(name, tmp_path / "w.pth")
        assert model.net.state_dict().keys() == expected.keys()
        assert all(v.shape == expected[k].shape for k, v in model.net.state_dict().items())
        assert model.size == ((64, 64) if name == "vit_b_32" else (224, 224))
        assert model.class_names is None

    def test_a_transformer_of_another_patch_is_refused(self, monkeypatch, tmp_path):
        with torch.device("meta"):
            found = get_model("vit_h_14", weights=None, image_size=518).state_dict()
            monkeypatch.setattr(from_torchvision, "read_weights", lambda path: (dict(found), "0"))
            with pytest.raises(UnseeError, match="does not fit torchvision:vit_b_16"):
                from_torchvision.build("vit_b_16", tmp_path / "w.pth")


def checkpoint(name, state, **more):
    """A wrapper as training scripts write it."""
    optimiser = torch.optim.Adam([nn.Parameter(torch.ones(2))])
    optimiser.param_groups[0]["params"][0].grad = torch.ones(2)
    optimiser.step()
    assert optimiser.state_dict()["state"]
    return {
        "epoch": 90,
        "best_acc1": torch.tensor(76.1),
        "lr": 0.1,
        "optimizer": optimiser.state_dict(),
        "scheduler": {"last_epoch": 90, "_last_lr": [0.1]},
        name: state,
        "args": argparse.Namespace(lr=0.1, out=pathlib.Path("out"), more=[1, 2]),
        **more,
    }


class TestWrappers:
    @pytest.mark.parametrize("name", [*WELL_KNOWN, "model_ema", "ema", "my network", "student"])
    def test_the_one_dict_of_tensors_is_taken_whatever_its_name(self, tmp_path, state, name):
        file = saved(tmp_path / "w.pth", checkpoint(name, prefixed("module.", state)))
        assert loads(file, state)
        taken = read_weights(file)[0].taken
        beside = "epoch, best_acc1, lr, optimizer, scheduler and 1 more"
        assert taken == f"took {name}; also in the file: {beside}"

    def test_a_lone_entry_has_nothing_beside_it(self, tmp_path, state):
        assert read_weights(saved(tmp_path / "w.pth", {"state_dict": state}))[0].taken == "took state_dict"

    @pytest.mark.parametrize("zipped", [True, False])
    def test_nested_once_more(self, tmp_path, state, zipped):
        held = {"ema": {"decay": 0.9, "state_dict": state}, "epoch": 3}
        file = saved(tmp_path / "w.pth", held, _use_new_zipfile_serialization=zipped)
        assert loads(file, state)
        assert read_weights(file)[0].taken == "took ema.state_dict; also in the file: epoch"

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("state_dict", "model"),
            ("state_dict", "state_dict_ema"),
            ("model_state_dict", "model"),
            ("model", "net"),
            ("model", "model_ema"),
            ("net", "ema"),
            ("params", "params_ema"),
        ],
    )
    def test_of_several_the_well_known_is_taken(self, tmp_path, state, other, first, second):
        assert loads(saved(tmp_path / "a.pth", {first: state, second: other}), state)
        assert loads(saved(tmp_path / "b.pth", {second: other, first: state}), state)
        held = read_weights(saved(tmp_path / "c.pth", {first: state, second: other, "epoch": 3}))[0]
        assert held.taken == f"took {first}, not {second}; also in the file: epoch"

    def test_which_was_taken_is_a_fact_of_the_network(self, tmp_path, state, other):
        file = saved(tmp_path / "w.pth", {"model": prefixed("module.", state), "model_ema": other})
        said = "took model, not model_ema; removed the prefix module."
        classifier = load("unsee:menagerie", weights=file, device="cpu")
        assert classifier.record["weights_taken"] == said
        assert check(classifier).weights == said
        assert "weights_taken" not in load("unsee:menagerie", device="cpu").record

    @pytest.mark.parametrize(
        "name", ["torchvision:squeezenet1_1", "timm:test_resnet", "python:nets_here:net"]
    )
    def test_every_family_says_which_was_taken(self, tmp_path, monkeypatch, name):
        (tmp_path / "nets_here.py").write_text(
            "import timm\n\ndef net():\n    return timm.create_model('test_resnet')"
        )
        monkeypatch.syspath_prepend(tmp_path)
        network = get_model("squeezenet1_1") if name.startswith("torch") else timm.create_model("test_resnet")
        file = saved(tmp_path / "w.pth", {"model": network.state_dict(), "model_ema": network.state_dict()})
        assert load(name, weights=file, device="cpu").facts == {"weights_taken": "took model, not model_ema"}

    @pytest.mark.parametrize(
        ("held", "names"),
        [
            (lambda a, b: {"generator": a, "critic": b, "epoch": 3}, ("generator", "critic")),
            (
                lambda a, b: {"generator": {"state_dict": a}, "critic": {"state_dict": b}},
                ("generator", "critic"),
            ),
            (lambda a, b: {"model": {"teacher": a, "student": b}}, ("model.teacher", "model.student")),
        ],
    )
    def test_of_several_unknown_none_is_taken(self, tmp_path, state, other, held, names):
        line = refused(saved(tmp_path / "w.pth", held(state, other)))
        assert f"several state dicts ({', '.join(names)})" in line

    def test_an_optimisers_state_is_no_network(self, tmp_path, net):
        optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        net_gradients = [torch.ones_like(parameter) for parameter in net.parameters()]
        for parameter, gradient in zip(net.parameters(), net_gradients, strict=True):
            parameter.grad = gradient
        before = copy.deepcopy(net.state_dict())
        optimiser.step()
        net.load_state_dict(before)
        held = {"optimizer": optimiser.state_dict(), "adam": {"exp_avg": torch.ones(3)}, "epoch": 1}
        line = refused(saved(tmp_path / "w.pth", held))
        assert "no state dict" in line
        assert "it holds optimizer, adam, epoch" in line

    def test_a_network_of_one_layer_has_keys_without_dots(self, tmp_path):
        layer = seeded(lambda: nn.Linear(2, 3))
        for held in (layer.state_dict(), {"net": layer.state_dict(), "optimizer": {"step": torch.ones(1)}}):
            weights, _ = read_weights(saved(tmp_path / "w.pth", held))
            assert equal(weights, layer.state_dict())

    def test_a_dict_that_holds_itself_ends(self):
        held = {"epoch": 3}
        held["model"] = held
        with pytest.raises(UnseeError, match="no state dict"):
            state_dict_of(held, pathlib.Path("w.pth"))


BESIDE = {
    "Namespace": argparse.Namespace(a=1, nested=argparse.Namespace(b=pathlib.PurePosixPath("x"))),
    "SimpleNamespace": types.SimpleNamespace(a=1, b=[2]),
    "defaultdict": collections.defaultdict(list, {"loss": [1.0, 0.5]}),
    "defaultdict of counts": collections.defaultdict(int, {"seen": 3}),
    "Counter": collections.Counter("abca"),
    "OrderedDict": collections.OrderedDict(a=1),
    "deque": collections.deque([1, 2], maxlen=5),
    "paths": [pathlib.Path("a/b"), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")],
    "numpy scalars": [np.float64(0.7), np.float32(0.7), np.int64(3), np.bool_(True)],
    "numpy arrays": np.arange(6.0).reshape(2, 3),
    "numpy types": [np.dtype("float32"), np.float32, np.dtype("int8")],
    "random states": [random.Random(0).getstate(), np.random.RandomState(0).get_state()],
    "dates": [datetime.datetime(2020, 1, 2, 3), datetime.timedelta(1), datetime.date(2020, 1, 2)],
    "sets and ranges": [{1, 2}, frozenset({3}), range(4), slice(1), 2j],
    "classes": [int, float, str, dict],
    "torch": [torch.float16, torch.device("cpu"), torch.Size([1]), torch.__version__],
}


class TestBesideTheTensors:
    @pytest.mark.parametrize("kind", BESIDE)
    @pytest.mark.parametrize("zipped", [True, False])
    def test_harmless_values_are_allowed(self, tmp_path, state, kind, zipped):
        held = {"net": state, "beside": BESIDE[kind]}
        assert loads(saved(tmp_path / "w.pth", held, _use_new_zipfile_serialization=zipped), state)

    @pytest.mark.parametrize("module", ["lightning_fabric.utilities.data", "lightning.fabric.utilities.data"])
    def test_lightnings_hyper_parameters_are_allowed(self, tmp_path, monkeypatch, state, module):
        attributes = type("AttributeDict", (dict,), {"__module__": module})
        for name in itertools.accumulate(module.split("."), "{}.{}".format):
            monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(AttributeDict=attributes))
        held = {"state_dict": prefixed("model.", state), "hyper_parameters": attributes(lr=0.1, depth=3)}
        torch.save(held, tmp_path / "w.ckpt")
        monkeypatch.undo()
        assert loads(tmp_path / "w.ckpt", state)

    def test_none_of_the_real_classes_is_called(self, state):
        data = io.BytesIO()
        torch.save({"net": state, "args": argparse.Namespace(a=1), "path": pathlib.Path("a")}, data)
        held = unpickled(data.getvalue(), pathlib.Path("w.pth"))
        assert not isinstance(held["args"], argparse.Namespace)
        assert not isinstance(held["path"], pathlib.PurePath)
        assert vars(held["args"]) == {}

    def test_nothing_stays_allowed(self, tmp_path, state):
        file = saved(tmp_path / "w.pth", {"net": state, "args": argparse.Namespace(a=1)})
        before = set(torch.serialization.get_safe_globals())
        read_weights(file)
        assert set(torch.serialization.get_safe_globals()) == before
        with pytest.raises(pickle.UnpicklingError):
            torch.load(file, weights_only=True)


HIDDEN = {
    "alone": lambda grenade, state: grenade,
    "in a state dict": lambda grenade, state: {**state, "a": grenade},
    "beside": lambda grenade, state: {"net": state, "epoch": grenade},
    "in a namespace": lambda grenade, state: {"net": state, "args": argparse.Namespace(a=grenade)},
    "in a defaultdict": lambda grenade, state: {"net": state, "d": collections.defaultdict(list, a=grenade)},
    "in an array": lambda grenade, state: {"net": state, "a": np.array([grenade], dtype=object)},
    "as a key": lambda grenade, state: {"net": state, grenade: 1},
}


class TestCode:
    @pytest.mark.parametrize("where", HIDDEN)
    @pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
    @pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
    def test_in_a_file_is_never_run(self, tmp_path, where, name, form):
        exploded, file = tmp_path / "exploded", tmp_path / name
        held = HIDDEN[where](Grenade(exploded), {} if form == "pickle" else {"a.weight": torch.ones(2)})
        if form == "pickle":
            file.write_bytes(pickle.dumps(held, protocol=2))
        else:
            saved(file, held, _use_new_zipfile_serialization=form == "zip")
        line = refused(file)
        assert "could run code; save net.state_dict() with torch.save" in line
        assert f"a pickled {os.name}.mkdir" in line
        assert not exploded.exists()
        if form == "pickle":
            pickle.loads(file.read_bytes())
        else:
            torch.load(io.BytesIO(file.read_bytes()), weights_only=False)
        assert exploded.is_dir()

    @pytest.mark.parametrize(
        "call",
        [
            b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
            b"cbuiltins\ngetattr\n(cbuiltins\nint\nX\x08\x00\x00\x00__name__tR.",
            b"cpathlib\nPath.touch\n(X\x01\x00\x00\x00atR.",
            b"cnumpy\nload\n(X\x01\x00\x00\x00atR.",
        ],
    )
    def test_functions_of_allowed_modules_are_not_allowed(self, tmp_path, call):
        with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
            archive.writestr("w/data.pkl", b"\x80\x02" + call)
            archive.writestr("w/version", "3\n")
            archive.writestr("w/byteorder", "little")
        assert "could run code" in refused(tmp_path / "w.pth")

    @pytest.mark.parametrize("wrap", [lambda net: net, lambda net: {"model": net, "epoch": 3}])
    def test_a_whole_network_is_refused(self, tmp_path, net, wrap):
        line = refused(saved(tmp_path / "w.pth", wrap(net)))
        assert "unsee.models.menagerie.MenagerieNet" in line
        assert "save net.state_dict() with torch.save" in line

    def test_a_torchscript_program_is_refused(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
            archive.writestr("w/data.pkl", pickle.dumps({}, protocol=2))
            archive.writestr("w/constants.pkl", pickle.dumps((), protocol=2))
        assert "TorchScript" in refused(tmp_path / "w.pt")


class TestKindsOfFile:
    @pytest.mark.parametrize("name", ["w", "w.pth", "w.bin", "w.safetensors"])
    def test_are_told_by_content(self, tmp_path, state, name):
        save_file(state, tmp_path / name, metadata={"format": "pt"})
        assert loads(tmp_path / name, state)
        for zipped in (True, False):
            assert loads(saved(tmp_path / name, state, _use_new_zipfile_serialization=zipped), state)

    @pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "is empty"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n",
                "is text (it begins 'version http",
            ),
            (b"<html>\n404</html>", "is text (it begins '<html>\\n404</html>')"),
            (b"\x89HDF\r\n\x1a\n" + bytes(90), "neither a whole safetensors file nor one that torch.save"),
            (save({"a.weight": torch.ones(9)})[:-3], "not a whole safetensors file"),
            (save({"a.weight": torch.ones(9)})[:30], "not a whole safetensors file"),
            (pickle.dumps([1, 2], protocol=4), "a pickle that is not torch.save's"),
        ],
    )
    def test_others_are_refused_in_one_line(self, tmp_path, name, data, words):
        (tmp_path / name).write_bytes(data)
        assert words in refused(tmp_path / name)

    def test_a_foreign_zip_file(self, tmp_path):
        np.savez(tmp_path / "w.npz", kernel=np.ones(3))
        assert "a zip file that torch.save did not write (it holds kernel.npy)" in refused(tmp_path / "w.npz")

    def test_a_checkpoint_that_was_cut_short(self, tmp_path, state):
        data = saved(tmp_path / "w.pth", {"net": state}).read_bytes()
        (tmp_path / "w.pth").write_bytes(data[: len(data) // 2])
        assert "not a whole weight file" in refused(tmp_path / "w.pth")

    def test_a_folder(self, tmp_path):
        assert "is a folder" in refused(tmp_path)

    @pytest.mark.parametrize(
        "odd",
        [
            lambda: torch.ones(2, 2).to_sparse(),
            lambda: torch.ones(2, device="meta"),
            lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        ],
    )
    @pytest.mark.filterwarnings("ignore")
    def test_tensors_without_plain_values(self, tmp_path, odd):
        line = refused(saved(tmp_path / "w.pth", {"a.weight": odd(), "b.weight": torch.ones(2)}))
        assert "a.weight: sparse, quantised or without values" in line


class TestFilesThatDoNotFit:
    def test_keys_of_the_file_and_of_the_network_are_named(self, tmp_path):
        line = refused(saved(tmp_path / "w.pth", {"net": {f"layer{i}.w": torch.ones(1) for i in range(5)}}))
        assert "(unsee took net) does not fit unsee:menagerie" in line
        assert "lacks stage56.0.weight, stage56.0.bias, stage28.1.weight and 13 more" in line
        assert "extra layer0.w, layer1.w, layer2.w and 2 more" in line

    def test_also_where_only_one_side_has_more(self, tmp_path, state):
        fewer = {key: value for key, value in state.items() if not key.startswith("classifier")}
        line = refused(saved(tmp_path / "a.pth", fewer))
        assert "lacks classifier.weight, classifier.bias and has stage56.0.weight" in line
        line = refused(saved(tmp_path / "b.pth", {**state, "head.weight": torch.ones(1)}))
        assert "has the extra head.weight, and the network has stage56.0.weight" in line

    def test_shapes_are_named(self, tmp_path, state):
        wrong = prefixed("module.", {**state, "classifier.bias": torch.ones(5)})
        line = refused(saved(tmp_path / "w.pth", wrong))
        assert "(unsee removed the prefix module.)" in line
        assert "another shape for classifier.bias (the first is (5,), not (12,))" in line

    def test_odd_names_leave_one_line(self, tmp_path):
        line = refused(saved(tmp_path / "w.pth", {"a\nb.\x1b[31m": torch.ones(1), "c" * 9999: torch.ones(1)}))
        assert r"a\nb.\x1b[31m" in line


@pytest.mark.assets
def test_a_real_networks_checkpoints_give_its_logits(assets, tmp_path):
    name = "torchvision:mobilenet_v2"
    file = assets / "weights" / "mobilenet_v2.safetensors"
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    weights = load_file(file)
    expected = load(name, file, "cpu").logits(images)
    assert expected.std() > 0.5
    forms = (
        prefixed("module.", weights),
        checkpoint("net", prefixed("module._orig_mod.", weights)),
        checkpoint("model", weights, model_ema={"n_averaged": torch.tensor(1), "module.a.b": torch.ones(1)}),
        {"ema": {"state_dict": prefixed("backbone.", weights)}, "accuracy": np.float64(0.7)},
        {"state_dict": prefixed("model.", weights), "hyper_parameters": types.SimpleNamespace(lr=1)},
    )
    for held in forms:
        model = load(name, saved(tmp_path / "w.ckpt", held), "cpu")
        assert torch.equal(model.logits(images), expected)
        assert len(model.class_names) == 1000
    save_file(weights, tmp_path / "w")
    assert torch.equal(load(name, tmp_path / "w", "cpu").logits(images), expected)
