"""Real networks on real photos; needs the folder named by UNSEE_ASSETS."""

import json
import os
from pathlib import Path

import pytest
import skimage.data

from unsee.masks import explain
from unsee.models import load

ITERATIONS = 100
CASES = {
    "flute": ("flute.jpg", "flute", 0.45),
    "doberman": ("doberman.png", "Doberman", 0.45),
    "dog": ("cat_dog_both.png", 243, 0.45),
    "cat": ("cat_dog_both.png", 282, 0.45),
    "coffee": (skimage.data.coffee, "espresso", 1.0),
    "chelsea": (skimage.data.chelsea, "Egyptian cat", 1.0),
    "rocket": (skimage.data.rocket, "missile", 1.0),
}
"""Photo, target, and the largest allowed area: the cup and the cat's face fill their images."""
DOG = (slice(10, 136), slice(76, 171))
CAT = (slice(118, 223), slice(45, 206))
PREDICTED = {"flute.jpg": "flute", "doberman.png": "Appenzeller", "goldfish.jpg": "goldfish"}
"""What SqueezeNet predicts; it takes the Doberman for another dog of the same colours."""


def network(name: str, file: str):
    return load(name, Path(os.environ["UNSEE_ASSETS"]) / "weights" / file, "cpu")


@pytest.fixture(scope="module")
def explained():
    folder = Path(os.environ["UNSEE_ASSETS"]) / "photos"
    photos = [folder / photo if isinstance(photo, str) else photo() for photo, _, _ in CASES.values()]
    targets = [target for _, target, _ in CASES.values()]
    googlenet = network("unsee:googlenet-bvlc", "googlenet_bvlc.safetensors")
    return dict(zip(CASES, explain(googlenet, photos, targets, iterations=ITERATIONS), strict=True))


@pytest.mark.assets
@pytest.mark.parametrize("name", CASES)
def test_masks_suppress_googlenets_score(explained, name):
    explanation = explained[name]
    assert explanation.suppression >= 0.95
    assert explanation.area <= CASES[name][2]


@pytest.mark.assets
@pytest.mark.parametrize(("name", "own", "neighbour"), [("dog", DOG, "cat"), ("cat", CAT, "dog")])
def test_each_mask_of_the_cat_and_the_dog_lies_on_its_own_animal(explained, name, own, neighbour):
    """Its maximum and most of its sum lie there, and far more of it than of the other animal's mask."""
    saliency, other = explained[name].saliency, explained[neighbour].saliency
    row, column = divmod(int(saliency.argmax()), saliency.shape[1])
    assert own[0].start <= row < own[0].stop
    assert own[1].start <= column < own[1].stop
    share = saliency[own].sum() / saliency.sum()
    assert share > 0.5
    assert share > 1.5 * other[own].sum() / other.sum()


@pytest.mark.assets
def test_masks_suppress_squeezenets_score(assets):
    squeezenet = network("torchvision:squeezenet1_1", "squeezenet1_1.safetensors")
    found = explain(squeezenet, [assets / "photos" / name for name in PREDICTED], iterations=ITERATIONS)
    for explanation, name in zip(found, PREDICTED.values(), strict=True):
        assert explanation.target.names == (name,)
        assert explanation.suppression >= 0.95
        assert 0 < explanation.area < 0.9


@pytest.mark.assets
def test_mobilenet_weights_load_and_predict_the_dog(assets):
    mobilenet = network("torchvision:mobilenet_v2", "mobilenet_v2.safetensors")
    photo = assets / "photos" / "doberman.png"
    assert explain(mobilenet, photo, iterations=1).target.names == ("Doberman",)


@pytest.fixture
def measured(assets, run, tmp_path):
    """Runs an experiment with the paper's network; gives table → row → column → cell."""

    def call(name, data, *options):
        weights = assets / "weights" / "googlenet_bvlc.safetensors"
        given = (
            "--model",
            "unsee:googlenet-bvlc",
            "--weights",
            weights,
            "--data",
            f"imagenet:{assets / data}",
        )
        found = run("experiment", name, *given, *options, "--device", "cpu", "--out", "out")
        assert found.code == 0, found.err
        kept = json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))
        tables = {}
        for row in kept["tables"]:
            tables.setdefault(row["table"], {}).setdefault(row["row"], {})[row["column"]] = row
        return tables

    return call


@pytest.mark.assets
def test_boxes_find_imagenets_objects_as_often_as_in_the_paper(measured):
    """Table 1; for the gradient also the errors in % that another script found on 1,888 such images."""
    another = {"value": 42.3, "energy": 39.9, "mean": 39.5}
    options = ("--methods", "gradient,excitation-backprop")
    (rows,) = measured("localisation", "imagenet_val", *options).values()
    for method, cells in rows.items():
        for rule, expected in another.items():
            cell = cells[rule]
            assert cell["n"] == 160
            assert abs(cell["value"] - cell["paper"]) < 3 * cell["standard_error"], (method, rule)
            if method == "gradient":
                assert abs(cell["value"] - expected) < 3 * cell["standard_error"]
    assert [rows["gradient"][f"α of {rule}"]["value"] for rule in another] == [0.25, 0.1, 5.0]


@pytest.mark.assets
def test_the_masks_boxes_are_smaller_than_the_gradients_by_as_much_as_in_the_paper(measured):
    """Fig. 8, on twelve training images; areas vary so much that only the differences are compared."""
    tables = measured("minimality", "imagenet_train", "--methods", "mask,gradient", "--limit", 12)
    areas, _, more = tables.values()
    for share, cell in more["gradient"].items():
        printed = areas["gradient"][share]["paper"] - areas["mask"][share]["paper"]
        assert cell["value"] > 0
        assert abs(cell["value"] - printed) < 3 * cell["standard_error"]
