"""Hugging Face's classifiers from folders that the tests write: tiny networks with random weights."""

import hashlib
import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torchvision.transforms import v2

from hugging_face_folders import (
    LABELS,
    NAMES,
    SIDE,
    VISION,
    cropping,
    images,
    line,
    loaded,
    squashing,
    vit,
    write,
)
from unsee.fits import CentreCrop, Squash
from unsee.masks import explain
from unsee.methods import METHODS
from unsee.models import load


@pytest.fixture
def classifier_folder(tmp_path):
    return write(tmp_path / "vit", vit(), squashing())


class TestClassifiers:
    def test_are_read_from_a_folder(self, classifier_folder):
        found, own = loaded(classifier_folder), vit()
        assert (found.size, found.values.mean, found.values.std) == ((SIDE, SIDE), (0.5,) * 3, (0.5,) * 3)
        assert (found.names, found.trained_fit) == (tuple(NAMES.values()), Squash())
        assert found.name == f"hf:{classifier_folder}"
        data = (classifier_folder / "model.safetensors").read_bytes()
        assert found.weights_sha256 == hashlib.sha256(data).hexdigest()
        with torch.no_grad():
            expected = own((images() - 0.5) / 0.5).logits.softmax(dim=1)
        assert expected.std() > 0.01
        assert torch.allclose(found.probabilities(images()), expected, atol=1e-6)

    def test_serve_masks_and_layers(self, classifier_folder):
        found = loaded(classifier_folder)
        assert found.hookable
        assert METHODS["grad_cam"](found, images(), [0, 1]).shape == (2, 4, 4)
        assert explain(found, images(1)[0], iterations=2).target.names[0] in NAMES.values()

    @pytest.mark.parametrize(
        ("config", "kind"),
        [
            ({"problem_type": "multi_label_classification"}, "sigmoid"),
            ({"problem_type": "single_label_classification"}, "softmax"),
            ({"problem_type": "regression"}, "logit"),
            ({"id2label": {0: "sick"}, "label2id": {"sick": 0}}, "sigmoid"),
            ({}, "softmax"),
        ],
        ids=str,
    )
    def test_their_config_says_what_scores_mean(self, tmp_path, config, kind):
        found = loaded(write(tmp_path / "vit", vit(**config), squashing()))
        assert found.reading.kind == kind
        assert not found.reading.probabilities

    def test_names_that_name_nothing(self, tmp_path):
        names = {index: f"LABEL_{index}" for index in range(4)}
        net = vit(id2label=names, label2id={v: k for k, v in names.items()})
        assert loaded(write(tmp_path / "vit", net, squashing())).names is None

    @pytest.mark.parametrize(
        ("options", "mean", "std"),
        [
            ({}, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ({"image_mean": (0.1, 0.2, 0.3), "image_std": (0.4, 0.5, 0.6)}, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
            ({"do_normalize": False}, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
            ({"do_normalize": False, "do_rescale": False}, (0.0, 0.0, 0.0), (1 / 255,) * 3),
            ({"do_normalize": False, "rescale_factor": 1 / 127.5}, (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
        ],
        ids=str,
    )
    def test_the_processor_says_how_values_are_normalised(self, tmp_path, options, mean, std):
        processor = squashing(**options)
        found = loaded(write(tmp_path / "vit", vit(), processor))
        assert found.values.mean == pytest.approx(mean, abs=1e-6)
        assert found.values.std == pytest.approx(std, abs=1e-6)
        pixels = (images(1) * 255).round()
        given = processor(images=[v2.functional.to_pil_image(pixels[0].byte())], return_tensors="pt")
        assert torch.allclose(
            found.normalised(pixels / 255), given["pixel_values"].float(), atol=1e-3, rtol=1e-4
        )

    def test_a_centre_crop(self, tmp_path, run, make_photo):
        folder = write(tmp_path / "vit", vit(), cropping())
        found = loaded(folder)
        assert (found.size, found.trained_fit) == ((SIDE, SIDE), CentreCrop(40))
        result = run("explain", make_photo(), "--model", f"hf:{folder}", "--iterations", 1)
        assert "was trained with --fit crop, the middle 80.0% of the shorter side" in result.err
        crop = ("--fit", "crop", "--out", "cropped")
        result = run("explain", make_photo(), "--model", f"hf:{folder}", "--iterations", 1, *crop)
        assert "was trained" not in result.err

    def test_a_weight_file(self, classifier_folder, tmp_path):
        save_file(vit(seed=5).state_dict(), tmp_path / "w.safetensors")
        found = load(f"hf:{classifier_folder}", tmp_path / "w.safetensors", "cpu")
        assert found.facts == {}
        torch.save({"model": vit(seed=5).state_dict(), "epoch": 3}, tmp_path / "w.pth")
        wrapped = load(f"hf:{classifier_folder}", tmp_path / "w.pth", "cpu")
        assert wrapped.facts == {"weights_taken": "took model; also in the file: epoch"}
        with torch.no_grad():
            expected = vit(seed=5)((images() - 0.5) / 0.5).logits
        assert torch.allclose(found.logits(images()), expected, atol=1e-5)

    def test_without_a_processor(self, tmp_path):
        folder = write(tmp_path / "vit", vit())
        assert "--mean" in line(folder)
        assert loaded(folder, mean=0.5, std=0.5).size == (SIDE, SIDE)


class TestRefused:
    def test_weights_that_would_be_random(self, classifier_folder):
        file = classifier_folder / "model.safetensors"
        kept = {k: v for k, v in load_file(file).items() if not k.startswith("classifier")}
        save_file(kept, file, metadata={"format": "pt"})
        assert "classifier.bias, classifier.weight" in line(classifier_folder)

    def test_labels_for_a_network_with_classes(self, classifier_folder):
        assert "--class-names" in line(classifier_folder, labels=LABELS)

    def test_what_is_no_classifier(self, tmp_path):
        net = transformers.ViTModel(transformers.ViTConfig(**VISION))
        assert "ViTModel" in line(write(tmp_path / "vit", net))
        (tmp_path / "empty").mkdir()
        assert "cannot be read" in line(tmp_path / "empty")

    def test_a_network_that_cannot_be_downloaded(self, monkeypatch):
        def gone(*arguments, **named):
            raise OSError("no network\nat all")

        monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", gone)
        text = line("nobody/nothing")
        assert "hf:FOLDER" in text
        assert "no network" in text

    def test_code_in_a_folder_is_not_run(self, classifier_folder):
        """With `trust_remote_code` this file would be imported."""
        config = json.loads((classifier_folder / "config.json").read_text())
        config |= {"model_type": "own", "auto_map": {"AutoConfig": "code.Own"}}
        (classifier_folder / "config.json").write_text(json.dumps(config))
        mark = classifier_folder / "ran"
        (classifier_folder / "code.py").write_text(f"open({str(mark)!r}, 'w')\nclass Own: pass\n")
        line(classifier_folder)
        assert not mark.exists()

    def test_a_processor_that_does_more(self, tmp_path):
        net = transformers.MobileViTForImageClassification(
            transformers.MobileViTConfig(image_size=SIDE, hidden_sizes=[8, 8, 8], neck_hidden_sizes=[8] * 7)
        )
        flips = transformers.MobileViTImageProcessor(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        )
        assert flips.do_flip_channel_order
        assert "red" in line(write(tmp_path / "vit", net, flips))
