import hashlib
import http.client
import os
import pickle
import urllib.error

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn
from torchvision.models import get_model, get_model_weights
from torchvision.transforms import v2

from unsee.errors import UnseeError
from unsee.models import from_torchvision, load, names, pick_device
from unsee.models.bvlc_googlenet import BVLCGoogLeNet
from unsee.models.imagenet import imagenet_classes
from unsee.models.weights import fill, read_weights, without_prefix

SQUEEZENET = "torchvision:squeezenet1_1"
BVLC = "unsee:googlenet-bvlc"


def one_line(error: pytest.ExceptionInfo) -> str:
    """The message, once it is known to be one line that can be read."""
    text = str(error.value)
    assert text
    assert "\n" not in text
    assert len(text) < 600
    return text


def random_net(name: str, seed: int = 0, **options) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_model(name, weights=None, **options).eval()


@pytest.fixture(scope="module")
def squeezenet():
    return random_net("squeezenet1_1")


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def normalised(images: torch.Tensor) -> torch.Tensor:
    return v2.functional.normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def same_logits(model, net, images) -> bool:
    with torch.no_grad():
        return torch.equal(model.logits(images), net(normalised(images)))


def compare_response_norm(norm):
    """x / (k + α/n Σx²)^β over the n channels round each: Caffe divides α by the window's size."""
    size, alpha, beta, k = 5, 1e-4, 0.75, 1.0
    x = 200 * torch.rand(9, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 100
    expected = torch.empty_like(x)
    for channel in range(9):
        total = torch.zeros(2, 3, dtype=torch.float64)
        for other in range(max(channel - size // 2, 0), min(channel + size // 2, 8) + 1):
            total += x[other] ** 2
        expected[channel] = x[channel] / (k + alpha / size * total) ** beta
    got = norm(x[None])[0]
    assert torch.allclose(got, expected, rtol=1e-12)
    assert not torch.allclose(got, x, rtol=0.05)


class TestNames:
    def test_are_unique_and_distinguished(self):
        assert len(names()) == len(set(names()))
        assert BVLC in names()
        assert "torchvision:googlenet" in names()
        assert all(name.startswith(("torchvision:", "unsee:")) for name in names())

    def test_each_has_weights_with_a_size_and_a_normalisation(self):
        """What `build` reads of each network is there: no name leads to an unknown network."""
        for name in names():
            if not name.startswith("torchvision:"):
                continue
            preset = get_model_weights(name.removeprefix("torchvision:")).DEFAULT
            transforms = preset.transforms()
            assert len(transforms.crop_size) == 1, name
            assert len(transforms.mean) == len(transforms.std) == 3, name
            assert len(preset.meta["categories"]) == 1000, name
            assert preset.url.startswith("https://"), name

    @pytest.mark.parametrize(
        ("name", "side"),
        [
            ("shufflenet_v2_x0_5", 224),
            ("mnasnet0_5", 224),
            ("mobilenet_v3_small", 224),
            ("regnet_y_400mf", 224),
        ],
    )
    def test_small_networks_load_from_a_file(self, tmp_path, name, side):
        net = random_net(name, num_classes=7)
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        model = load(f"torchvision:{name}", tmp_path / "w.safetensors", "cpu")
        assert (model.name, model.size) == (f"torchvision:{name}", (side, side))
        assert not model.net.training
        assert same_logits(model, net, torch.rand(1, 3, side, side))

    def test_a_network_whose_weights_take_another_size_is_built_for_it(self, monkeypatch, tmp_path):
        """ViT-H/14's own weights are for 518 pixels, which its builder takes as an option."""
        with torch.device("meta"):
            state = get_model("vit_h_14", weights=None, image_size=518).state_dict()
            monkeypatch.setattr(from_torchvision, "read_weights", lambda path: (dict(state), "0"))
            model = from_torchvision.build("vit_h_14", tmp_path / "w.safetensors")
        assert model.size == (model.net.image_size, model.net.image_size) == (518, 518)

    def test_imagenets_classes(self):
        classes = imagenet_classes()
        assert len(classes) == 1000
        assert (classes[0], classes[558], classes[657]) == ("tench", "flute", "missile")
        assert classes == tuple(get_model_weights("googlenet").DEFAULT.meta["categories"])


class TestWeightFiles:
    def test_safetensors(self, tmp_path, squeezenet, images):
        file = tmp_path / "w.safetensors"
        save_file(squeezenet.state_dict(), file)
        model = load(SQUEEZENET, file, "cpu")
        assert same_logits(model, squeezenet, images)
        assert model.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert model.class_names == imagenet_classes()
        assert model.size == (224, 224)

    @pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
    @pytest.mark.parametrize("prefix", ["", "module."])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_state_dicts(self, tmp_path, squeezenet, wrapper, prefix, zipped):
        state = {prefix + key: value for key, value in squeezenet.state_dict().items()}
        held = state if wrapper is None else {"epoch": 3, wrapper: state, "optimizer": {"lr": 0.1}}
        torch.save(held, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
        whole, sha256 = read_weights(tmp_path / "w.pth")
        read = without_prefix(whole, squeezenet.state_dict())
        assert read.keys() == squeezenet.state_dict().keys()
        assert all(torch.equal(read[key], value) for key, value in squeezenet.state_dict().items())
        assert sha256 == hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()

    def test_a_state_dict_file_gives_the_same_network(self, tmp_path, squeezenet, images):
        torch.save(
            {"state_dict": {f"module.{k}": v for k, v in squeezenet.state_dict().items()}}, tmp_path / "w"
        )
        assert same_logits(load(SQUEEZENET, str(tmp_path / "w"), "cpu"), squeezenet, images)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_becomes_single(self, tmp_path, squeezenet, images, dtype):
        save_file({k: v.to(dtype) for k, v in squeezenet.state_dict().items()}, tmp_path / "w.safetensors")
        model = load(SQUEEZENET, tmp_path / "w.safetensors", "cpu")
        assert {weight.dtype for weight in model.net.parameters()} == {torch.float32}
        rounded = random_net("squeezenet1_1")
        rounded.load_state_dict({k: v.to(dtype).float() for k, v in squeezenet.state_dict().items()})
        assert same_logits(model, rounded, images)

    def test_another_number_of_classes_has_no_names(self, tmp_path, images):
        net = random_net("squeezenet1_1", num_classes=7)
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        model = load(SQUEEZENET, tmp_path / "w.safetensors", "cpu")
        assert model.logits(images).shape == (2, 7)
        assert model.class_names is None
        assert same_logits(model, net, images)

    @pytest.mark.parametrize("classes", [1000, 6])
    @pytest.mark.parametrize("auxiliaries", [True, False])
    def test_googlenet_with_and_without_auxiliaries(self, tmp_path, images, auxiliaries, classes):
        options = {"init_weights": False, "transform_input": True, "num_classes": classes}
        net = random_net("googlenet", aux_logits=auxiliaries, **options)
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        assert any(key.startswith("aux") for key in net.state_dict()) == auxiliaries
        model = load("torchvision:googlenet", tmp_path / "w.safetensors", "cpu")
        assert same_logits(model, net, images[:1])
        assert (model.class_names is None) == (classes == 6)
        in_training = model.net.train()(images)
        assert in_training.shape == (2, classes)

    def test_batch_norm_without_its_counter(self, tmp_path):
        """Files made from TensorFlow or Caffe have none, and evaluation needs none."""
        net = random_net("shufflenet_v2_x0_5")
        kept = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
        save_file(kept, tmp_path / "w.safetensors")
        model = load("torchvision:shufflenet_v2_x0_5", tmp_path / "w.safetensors", "cpu")
        assert same_logits(model, net, torch.rand(1, 3, 224, 224))


class Grenade:
    """Makes a folder when it is unpickled by something that runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestBadWeightFiles:
    def refused(self, file, name=SQUEEZENET):
        with pytest.raises(UnseeError) as error:
            load(name, file, "cpu")
        return one_line(error)

    def test_missing(self, tmp_path):
        line = self.refused(tmp_path / "none.pth")
        assert str(tmp_path / "none.pth") in line
        assert "no such" in line

    def test_directory(self, tmp_path):
        assert str(tmp_path) in self.refused(tmp_path)

    def test_truncated_safetensors(self, tmp_path):
        data = save({"a": torch.rand(5, 5)})
        for length in range(len(data)):
            (tmp_path / "w.safetensors").write_bytes(data[:length])
            assert "w.safetensors" in self.refused(tmp_path / "w.safetensors")

    @pytest.mark.parametrize("zipped", [True, False])
    def test_truncated_state_dicts(self, tmp_path, zipped):
        torch.save({"a": torch.rand(5, 5)}, tmp_path / "w", _use_new_zipfile_serialization=zipped)
        data = (tmp_path / "w").read_bytes()
        for length in range(1, len(data), 13):
            (tmp_path / "w.pth").write_bytes(data[:length])
            assert "w.pth" in self.refused(tmp_path / "w.pth")

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello\n",
            b"<html>404</html>",
            b"PK\x03\x04" + bytes(50),
            b"\x80\x02",
            b"\x80\x02.",
            bytes(99),
        ],
    )
    @pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
    def test_what_is_no_weight_file(self, tmp_path, name, data):
        (tmp_path / name).write_bytes(data)
        assert name in self.refused(tmp_path / name)

    @pytest.mark.parametrize("raw", [True, False])
    def test_a_pickle_that_would_run_code_does_not(self, tmp_path, raw):
        held = {"a": Grenade(tmp_path / "exploded")}
        file = tmp_path / "w.pth"
        if raw:
            file.write_bytes(pickle.dumps(held, protocol=2))
        else:
            torch.save(held, file)
        line = self.refused(file)
        assert "state_dict()" in line
        assert not (tmp_path / "exploded").exists()
        torch.load(file, weights_only=False) if not raw else pickle.loads(file.read_bytes())
        assert (tmp_path / "exploded").is_dir()

    def test_a_whole_pickled_network(self, tmp_path):
        torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
        assert "net.state_dict()" in self.refused(tmp_path / "w.pth")

    @pytest.mark.parametrize(
        "held",
        [{}, [1, 2], {"state_dict": {}}, {"epoch": 3}, {1: torch.rand(2)}, torch.rand(3), {"a": [1]}, 7],
    )
    def test_no_state_dict(self, tmp_path, held):
        torch.save(held, tmp_path / "w.pth")
        assert "state dict" in self.refused(tmp_path / "w.pth")

    def test_keys_missing(self, tmp_path, squeezenet):
        state = squeezenet.state_dict()
        dropped = [state.pop(key) for key in list(state)[:5]]
        save_file(state, tmp_path / "w.safetensors")
        line = self.refused(tmp_path / "w.safetensors")
        assert "features.0.weight" in line
        assert f"and {len(dropped) - 3} more" in line

    def test_keys_foreign(self, tmp_path, squeezenet):
        save_file({"aaa": torch.rand(1), **squeezenet.state_dict()}, tmp_path / "w.safetensors")
        assert "aaa" in self.refused(tmp_path / "w.safetensors")

    def test_keys_misshapen(self, tmp_path, squeezenet):
        state = {**squeezenet.state_dict(), "features.0.weight": torch.rand(64, 3, 3, 4)}
        save_file(state, tmp_path / "w.safetensors")
        line = self.refused(tmp_path / "w.safetensors")
        assert "shape" in line
        assert "features.0.weight" in line

    @pytest.mark.parametrize("bad", [torch.zeros(()), torch.zeros(3), torch.zeros(1000, 2)])
    def test_a_last_layer_of_another_shape(self, tmp_path, squeezenet, bad):
        state = {**squeezenet.state_dict(), "classifier.1.bias": bad}
        save_file(state, tmp_path / "w.safetensors")
        self.refused(tmp_path / "w.safetensors")

    def test_weights_of_another_network(self, tmp_path, squeezenet):
        save_file(squeezenet.state_dict(), tmp_path / "w.safetensors")
        assert BVLC in self.refused(tmp_path / "w.safetensors", BVLC)
        assert "resnet18" in self.refused(tmp_path / "w.safetensors", "torchvision:resnet18")

    def test_a_refused_file_leaves_the_network_alone(self):
        net = nn.Linear(2, 3)
        before = {key: value.clone() for key, value in net.state_dict().items()}
        with pytest.raises(UnseeError, match="another shape"):
            fill(net, {"weight": torch.zeros(3, 2), "bias": torch.zeros(4)}, "a line")
        assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


class TestNamesThatAreNone:
    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("torchvision:googlent", "torchvision:googlenet"),
            ("googlenet", "torchvision:googlenet"),
            ("unsee:googlenet", BVLC),
            ("torchvision:squeezenet11", SQUEEZENET),
        ],
    )
    def test_a_suggestion(self, wrong, right):
        with pytest.raises(UnseeError, match="did you mean") as error:
            load(wrong, None, "cpu")
        assert right in one_line(error)

    @pytest.mark.parametrize("wrong", ["", "x", "torch", "?:*", "timm:vit_tiny"])
    def test_without_one_the_command_that_lists_them(self, wrong):
        with pytest.raises(UnseeError) as error:
            load(wrong, None, "cpu")
        assert "unsee models" in one_line(error) or "did you mean" in one_line(error)

    def test_bvlc_googlenet_needs_a_file(self):
        with pytest.raises(UnseeError, match="--weights") as error:
            load(BVLC, None, "cpu")
        one_line(error)


class TestDownloads:
    @pytest.mark.parametrize(
        "failure",
        [
            urllib.error.URLError("no network here"),
            urllib.error.HTTPError("https://there", 403, "Forbidden", None, None),
            ConnectionResetError("hung up"),
            TimeoutError("too slow"),
            http.client.IncompleteRead(b"abc"),
            RuntimeError('invalid hash value (expected "b8a52dc0", got "0000")'),
        ],
        ids=lambda failure: type(failure).__name__,
    )
    def test_one_that_fails_names_the_way_round(self, monkeypatch, tmp_path, failure):
        def fetch(*args, **kwargs):
            raise failure

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
        with pytest.raises(UnseeError, match="--weights") as error:
            load(SQUEEZENET, None, "cpu")
        assert "squeezenet1_1" in one_line(error)

    def test_offline(self, monkeypatch, tmp_path):
        def refuse(*args, **kwargs):
            raise urllib.error.URLError("Name or service not known")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr("torch.hub.urlopen", refuse)
        with pytest.raises(UnseeError, match="--weights") as error:
            load(SQUEEZENET, None, "cpu")
        assert "Name or service not known" in one_line(error)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    def test_a_cached_file_that_was_cut_short(self, monkeypatch, tmp_path):
        cached = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
        cached.parent.mkdir(parents=True)
        cached.write_bytes(b"PK\x03\x04 cut short")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        with pytest.raises(UnseeError) as error:
            load(SQUEEZENET, None, "cpu")
        one_line(error)

    def test_torchvisions_own_weights_are_used_where_they_can_be_had(self, monkeypatch, squeezenet, images):
        asked = []

        def fetch(url, **kwargs):
            asked.append(url)
            return squeezenet.state_dict()

        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
        model = load(SQUEEZENET, None, "cpu")
        assert [url.rsplit("/", 1)[1] for url in asked] == ["squeezenet1_1-b8a52dc0.pth"]
        assert same_logits(model, squeezenet, images)
        assert model.class_names == imagenet_classes()
        assert not model.net.training


class TestDevices:
    def test_cpu_and_auto(self):
        assert pick_device("cpu") == torch.device("cpu")
        assert pick_device("auto").type in ("cpu", "cuda", "mps", "xpu")

    @pytest.mark.parametrize("device", ["nonsense", "", "cuda:99", "xpu:99", "hpu", "meta", "CPU"])
    def test_unusable(self, device):
        with pytest.raises(UnseeError, match="--device cpu") as error:
            pick_device(device)
        assert repr(device) in one_line(error)

    @pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an MPS device")
    def test_the_mac_gpu_elsewhere(self):
        with pytest.raises(UnseeError, match="--device cpu") as error:
            pick_device("mps")
        one_line(error)

    def test_the_network_goes_to_the_given_device(self, tmp_path, squeezenet):
        save_file(squeezenet.state_dict(), tmp_path / "w.safetensors")
        assert load(SQUEEZENET, tmp_path / "w.safetensors", "cpu").device == torch.device("cpu")
        with pytest.raises(UnseeError, match="--device cpu"):
            load(SQUEEZENET, tmp_path / "w.safetensors", "nonsense")


@pytest.fixture(scope="module")
def bvlc():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BVLCGoogLeNet().eval()


class TestBVLCGoogLeNet:
    def test_layer_shapes(self, bvlc):
        seen = {}
        handles = [
            getattr(bvlc, name).register_forward_hook(
                lambda module, inputs, output, name=name: seen.update({name: tuple(output.shape[1:])})
            )
            for name in (
                "pool1",
                "pool2",
                "pool3",
                "pool4",
                "pool5",
                "inception3a",
                "inception4e",
                "inception5b",
            )
        ]
        with torch.no_grad():
            logits = bvlc(torch.rand(1, 3, 224, 224))
        for handle in handles:
            handle.remove()
        assert seen == {
            "pool1": (64, 56, 56),
            "pool2": (192, 28, 28),
            "inception3a": (256, 28, 28),
            "pool3": (480, 14, 14),
            "inception4e": (832, 14, 14),
            "pool4": (832, 7, 7),
            "inception5b": (1024, 7, 7),
            "pool5": (1024, 1, 1),
        }
        assert logits.shape == (1, 1000)

    def test_parameters(self, bvlc):
        """6,998,552 in Caffe's deploy network: counted from the widths of Szegedy et al. 2015, table 1."""
        table = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
            "3a": (64, 96, 128, 16, 32, 32),
            "3b": (128, 128, 192, 32, 96, 64),
            "4a": (192, 96, 208, 16, 48, 64),
            "4b": (160, 112, 224, 24, 64, 64),
            "4c": (128, 128, 256, 24, 64, 64),
            "4d": (112, 144, 288, 32, 64, 64),
            "4e": (256, 160, 320, 32, 128, 128),
            "5a": (256, 160, 320, 32, 128, 128),
            "5b": (384, 192, 384, 48, 128, 128),
        }

        def conv(inputs, outputs, side):
            return inputs * outputs * side * side + outputs

        total = conv(3, 64, 7) + conv(64, 64, 1) + conv(64, 192, 3) + conv(1024, 1000, 1)
        width = 192
        for one, reduce3, three, reduce5, five, projection in table.values():
            total += conv(width, one, 1) + conv(width, reduce3, 1) + conv(reduce3, three, 3)
            total += conv(width, reduce5, 1) + conv(reduce5, five, 5) + conv(width, projection, 1)
            width = one + three + five + projection
        assert total == 6_998_552
        assert sum(weight.numel() for weight in bvlc.parameters()) == total
        assert not [name for name, _ in bvlc.named_buffers()]

    @pytest.mark.parametrize("name", ["norm1", "norm2"])
    def test_local_response_normalisation_is_caffes(self, bvlc, name):
        compare_response_norm(getattr(bvlc, name))

    def test_branches_are_joined_in_order(self, bvlc):
        x = torch.rand(1, 192, 6, 6)
        block = bvlc.inception3a
        with torch.no_grad():
            joined = block(x)
            parts = [block.b1(x), block.b3(x), block.b5(x), block.bp(x)]
        assert [part.shape[1] for part in parts] == [64, 128, 32, 32]
        assert torch.equal(joined, torch.cat(parts, dim=1))

    def test_loads_from_a_half_precision_file(self, bvlc, tmp_path, images):
        halves = {key: value.half() for key, value in bvlc.state_dict().items()}
        save_file(halves, tmp_path / "w.safetensors")
        model = load(BVLC, tmp_path / "w.safetensors", "cpu")
        rounded = BVLCGoogLeNet().eval()
        rounded.load_state_dict({key: value.float() for key, value in halves.items()})
        assert (model.name, model.size) == (BVLC, (224, 224))
        assert model.class_names == imagenet_classes()
        assert not model.net.training
        assert same_logits(model, rounded, images[:1])
        assert model.weights_sha256 == hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()

    def test_dropout_is_off_when_it_is_explained(self, bvlc):
        bvlc.train()
        try:
            from unsee.classifier import Classifier

            photo = torch.rand(1, 3, 64, 64)
            scores = [Classifier(bvlc, size=(64, 64)).probabilities(photo) for _ in range(2)]
            assert torch.equal(scores[0], scores[1])
        finally:
            bvlc.eval()


@pytest.mark.assets
@pytest.mark.parametrize(("name", "file"), [(BVLC, "googlenet_bvlc"), (SQUEEZENET, "squeezenet1_1")])
def test_real_weights_know_a_flute(assets, name, file):
    from unsee.fits import Squash
    from unsee.images import read_photo

    model = load(name, assets / "weights" / f"{file}.safetensors", "cpu")
    photo = read_photo(assets / "photos" / "flute.jpg")
    scores = model.probabilities(Squash().apply(photo.pixels, model.size)[None])[0]
    assert model.class_name(int(scores.argmax())) == "flute"
