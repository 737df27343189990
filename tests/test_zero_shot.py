"""CLIP and SigLIP: labels that are encoded once, and what their scores mean."""

import copy
import pickle
import shutil

import pytest
import torch

from command_line import refused, strict
from hugging_face_folders import (
    LABELS,
    clip,
    cropping,
    images,
    line,
    loaded,
    siglip,
    squashing,
    tokenizer,
    write,
)
from unsee.fits import Squash
from unsee.images import read_photo
from unsee.masks import explain
from unsee.methods import METHODS


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zero-shot")
    write(folder / "clip", clip(), cropping(), tokenizer())
    write(folder / "siglip", siglip(), squashing(), tokenizer())
    return folder


class TestZeroShot:
    @pytest.mark.parametrize("kind", ["clip", "siglip"])
    def test_scores_are_the_networks_own(self, folders, kind):
        """As the whole network gives them with the texts; SigLIP's padded to the longest, as in training."""
        found = loaded(folders / kind, labels=LABELS)
        pad = {"padding": "max_length", "max_length": 16}
        net, padding = {"clip": (clip(), {"padding": True}), "siglip": (siglip(), pad)}[kind]
        texts = [f"This is a photo of {label}." for label in LABELS]
        tokens = tokenizer()(texts, return_tensors="pt", **padding)
        tokens = {key: tokens[key] for key in ("input_ids", "attention_mask")[: 2 if kind == "clip" else 1]}
        with torch.no_grad():
            logits = net(pixel_values=found.normalised(images()), **tokens).logits_per_image
        expected = logits.softmax(dim=1) if kind == "clip" else logits.sigmoid()
        assert torch.allclose(found.probabilities(images()), expected, atol=1e-5)
        assert expected.std() > 1e-3
        assert found.reading.kind == {"clip": "softmax", "siglip": "sigmoid"}[kind]
        assert found.names == LABELS

    def test_padding_matters_to_siglip(self, folders):
        tokens = tokenizer()(["This is a photo of a cat."], return_tensors="pt")["input_ids"]
        padded = torch.nn.functional.pad(tokens, (0, 6))
        with torch.no_grad():
            short, whole = (siglip().get_text_features(input_ids=ids) for ids in (tokens, padded))
        first, second = (getattr(each, "pooler_output", each) for each in (short, whole))
        assert not torch.allclose(first, second, atol=1e-3)

    def test_texts_are_encoded_once_and_their_encoder_is_dropped(self, folders):
        found = loaded(folders / "clip", labels=LABELS)
        assert not [name for name, _ in found.net.named_parameters() if "text_model" in name]
        for net in (copy.deepcopy(found.net), pickle.loads(pickle.dumps(found.net))):
            assert torch.equal(found.with_net(net).logits(images()), found.logits(images()))

    def test_masks_and_maps(self, folders):
        for kind in ("clip", "siglip"):
            found = loaded(folders / kind, labels=LABELS)
            made = explain(found, images(1)[0], "a dog", iterations=2)
            assert made.target.names == ("a dog",)
            assert made.provenance.network["labels"] == list(LABELS)
            assert METHODS["gradient"](found, images(), [0, 1]).std() > 0
        found = loaded(folders / "clip", labels=LABELS)
        assert METHODS["grad_cam"](found, images(), [0, 1]).shape == (2, 4, 4)

    def test_labels_that_are_refused(self, folders):
        clip_folder = folders / "clip"
        assert "--labels" in line(clip_folder)
        assert "two or more" in line(clip_folder, labels=["a cat"])
        assert "twice" in line(clip_folder, labels=["a cat", "a cat"])
        assert "empty" in line(folders / "siglip", labels=[])
        assert "list of texts" in line(clip_folder, labels=["a", " "])
        assert "shorten" in line(clip_folder, labels=["a cat", "a dog " * 9])
        assert loaded(folders / "siglip", labels=["a cat"]).reading.classes == 1

    def test_on_the_command_line(self, folders, run, make_photo):
        model = ("--model", f"hf:{folders / 'clip'}")
        photo = make_photo()
        refused(run("explain", photo, *model), "--labels")
        labels = ("--labels", "a cat, a dog,a bird")
        result = run("explain", photo, *model, *labels, "--target", "a dog", "--iterations", 1, "--json")
        (record,) = strict(result.out)
        assert record["target"]["name"] == "a dog"
        assert record["network"]["labels"] == list(LABELS)
        assert record["network"]["template"] == "This is a photo of {}."
        assert record["head"] == "softmax"
        found = loaded(folders / "clip", labels=LABELS)
        own = found.probabilities(Squash().apply(read_photo(photo).pixels, found.size)[None])[0, 1]
        assert record["scores"]["original"] == pytest.approx(float(own), abs=1e-5)
        box = ("--from", "explanations/photo", "--box", "0,0,9,9", "--json")
        again = strict(run("interrogate", photo, *box).out)
        assert again["scores"]["original"] == pytest.approx(float(own), abs=1e-5)
        fewer = ("--labels", "a cat,a dog", "--target", "a dog")
        other = run("explain", photo, *model, *fewer, "--iterations", 1)
        assert "network.labels" in other.err


def test_a_folder_is_all_that_is_needed(folders, tmp_path):
    """No file outside the folder is read: a copy elsewhere gives the same scores."""
    shutil.copytree(folders / "siglip", tmp_path / "moved")
    first, second = (loaded(each, labels=LABELS) for each in (folders / "siglip", tmp_path / "moved"))
    assert torch.equal(first.logits(images()), second.logits(images()))
