"""timm's networks by name, with weight files that the tests write."""

import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

from unsee.errors import UnseeError
from unsee.fits import CentreCrop
from unsee.images import read_photo
from unsee.models import load
from unsee.models.imagenet import imagenet_classes

TINY = "test_vit"
"""timm's own network for tests."""


def made(name=TINY, seed=0, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return timm.create_model(name, pretrained=False, **options).eval()


def saved(net, folder):
    save_file(net.state_dict(), folder / "w.safetensors")
    return folder / "w.safetensors"


def images(side=160, channels=3):
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def line(name, *arguments, **options):
    with pytest.raises(UnseeError) as error:
        load(name, *arguments, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


class TestNetworks:
    def test_are_described_by_their_own_config(self, tmp_path):
        net = made()
        about = net.pretrained_cfg
        found = load(f"timm:{TINY}", saved(net, tmp_path), "cpu")
        assert found.size == about["input_size"][1:] == (160, 160)
        assert found.values.mean == about["mean"]
        assert found.values.std == about["std"]
        assert found.trained_fit == CentreCrop(int(160 / about["crop_pct"]))
        assert found.names == imagenet_classes()
        mean, std = (torch.tensor(about[key])[:, None, None] for key in ("mean", "std"))
        with torch.no_grad():
            expected = net((images() - mean) / std).softmax(dim=1)
        assert torch.allclose(found.probabilities(images()), expected, atol=1e-6)
        assert found.name == f"timm:{TINY}"
        assert len(found.weights_sha256) == 64

    def test_another_number_of_classes_has_no_names(self, tmp_path):
        found = load(f"timm:{TINY}", saved(made(num_classes=7), tmp_path), "cpu")
        assert (found.reading.classes, found.names) == (7, None)
        named = load(f"timm:{TINY}", tmp_path / "w.safetensors", "cpu", class_names=list("abcdefg"))
        assert named.names == tuple("abcdefg")

    def test_another_size(self, tmp_path):
        """The weights of the usual size are resampled; weights for the size are taken as they are."""
        found = load(f"timm:{TINY}", saved(made(), tmp_path), "cpu", size=96)
        assert (found.size, found.reading.classes) == ((96, 96), 1000)
        own = made(img_size=96)
        found = load(f"timm:{TINY}", saved(own, tmp_path), "cpu", size=96, mean=0.0, std=1.0)
        with torch.no_grad():
            assert torch.allclose(found.logits(images(96)), own(images(96)), atol=1e-5)

    def test_other_channels(self, tmp_path):
        file = saved(made(in_chans=1), tmp_path)
        found = load(f"timm:{TINY}", file, "cpu", channels=1, mean=0.25, std=0.5)
        assert found.input_shape == (1, 160, 160)
        assert found.probabilities(images(channels=1)).shape == (2, 1000)


class TestRefused:
    def test_names_that_are_none(self):
        assert "did you mean timm:vit_tiny_patch16_224" in line("timm:vit_tiny_patch16_24")
        assert "list_models" in line("timm:?!")

    def test_a_download_that_fails(self, monkeypatch):
        def fails(name, pretrained, **options):
            raise RuntimeError("no network here\nat all")

        monkeypatch.setattr(timm, "create_model", fails)
        text = line("timm:resnet18")
        assert "could not be downloaded and read (no network here)" in text
        assert "--weights" in text

    def test_files_of_other_networks(self, tmp_path):
        file = saved(made(), tmp_path)
        assert "timm:resnet18" in line("timm:resnet18", file)

    def test_networks_without_classes(self, monkeypatch):
        net = made(num_classes=0)
        monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **options: net)
        assert "features" in line(f"timm:{TINY}")

    def test_timm_that_is_not_there(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "timm", None)
        assert "pip install 'unsee[timm]'" in line("timm:resnet18")


@pytest.mark.assets
@pytest.mark.parametrize(
    ("photo", "name"), [("flute.jpg", "flute"), ("zebra.jpg", "zebra"), ("goldfish.jpg", "goldfish")]
)
def test_a_real_network_knows_what_is_in_a_photo(assets, photo, name):
    """The file's normalisation is ImageNet's, not the one that timm has for the network."""
    file = assets / "weights" / "vit_tiny_patch16_224.safetensors"
    values = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    found = load("timm:vit_tiny_patch16_224", file, "cpu", **values)
    pixels = CentreCrop().apply(read_photo(assets / "photos" / photo).pixels, found.size)
    scores = found.probabilities(pixels[None])[0]
    assert found.class_name(int(scores.argmax())) == name
    assert scores.max() > 0.5
