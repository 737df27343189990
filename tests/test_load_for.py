"""`load_for`: the network of a saved explanation."""

from dataclasses import replace

import pytest

import unsee
from unsee.errors import UnseeError


@pytest.fixture
def made_with(explanation):
    """An explanation that a network of this name was used for."""

    def made_with(model, weights_sha256=None, **network):
        origin = replace(explanation.provenance, model=model, weights_sha256=weights_sha256, network=network)
        return replace(explanation, provenance=origin)

    return made_with


@pytest.fixture
def asked(monkeypatch, classifier):
    """What `unsee.load` is asked for."""
    calls = []

    def load(*arguments, **options):
        calls.append((arguments, options))
        return classifier

    monkeypatch.setattr("unsee.models.saved.load", load)
    return calls


def test_the_package_knows_where_its_weights_are(make_pixels):
    model = unsee.load("unsee:menagerie", device="cpu")
    found = unsee.explain(model, make_pixels(), iterations=1)
    again = unsee.load_for(found, device="cpu")
    assert (again.name, again.weights_sha256) == (model.name, model.weights_sha256)


def test_a_weight_file_has_to_be_given(made_with, asked):
    saved = made_with("torchvision:resnet18", "ab12")
    with pytest.raises(UnseeError, match="with a weight file: name it with weights="):
        unsee.load_for(saved)
    unsee.load_for(saved, "mine.safetensors", "cpu")
    assert asked == [(("torchvision:resnet18", "mine.safetensors", "cpu"), {})]


def test_labels_come_from_the_explanation(made_with, asked):
    saved = made_with("hf:clip", "ab12", labels=["a cat", "a dog"])
    unsee.load_for(saved, options={"size": 64})
    unsee.load_for(saved, options={"labels": ["a bird"]})
    assert [options for _, options in asked] == [
        {"labels": ["a cat", "a dog"], "size": 64},
        {"labels": ["a bird"]},
    ]
