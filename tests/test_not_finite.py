"""Networks that give NaN: every command says so, and the other photos are not lost."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks import adjusted
from unsee.masks.folders import explain_to_folders
from unsee.masks.photos import Plan
from unsee.masks.presets import PRESETS

LINE = "tiny gives scores for .*dark.* that are not finite"
SETTINGS = adjusted(PRESETS["fast"], iterations=2)


class DarkIsNaN(nn.Module):
    """Gives NaN for images whose mean is low."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        dark = images.mean(dim=(1, 2, 3)) < 0.1
        return torch.where(dark[:, None], torch.nan, self.net(images))


@pytest.fixture
def model(make_net):
    return Classifier(DarkIsNaN(make_net()), size=(32, 32), mean=0.0, std=1.0, name="tiny")


@pytest.fixture
def photos(tmp_path, make_photo):
    paths = [make_photo(f"in/{name}.png") for name in ("a", "b dark", "c", "d dark")]
    for path in (paths[1], paths[3]):
        Image.fromarray(np.full((40, 40, 3), 3, np.uint8)).save(path)
    return paths


@pytest.mark.parametrize(
    "call",
    [
        lambda model, photo: unsee.explain(model, photo, preset=SETTINGS),
        lambda model, photo: unsee.interrogate(model, photo, (0, 0, 9, 9)),
        lambda model, photo: unsee.compare(model, photo, methods=["gradient"]),
    ],
)
def test_such_a_photo_is_refused(model, photos, call):
    call(model, photos[0])
    with pytest.raises(UnseeError, match=LINE):
        call(model, photos[1])


def test_of_several_photos_the_others_are_explained(model, photos, tmp_path):
    report = explain_to_folders(model, photos, Plan(SETTINGS, batch_size=2), out=tmp_path / "out")
    assert [entry.folder.name for entry in report.saved] == ["a", "c"]
    assert [line.split(" gives scores for ")[1].split(" that")[0] for line in report.problems] == [
        "b dark.png",
        "d dark.png",
    ]
    for entry, name in zip(report.saved, ("a", "c"), strict=True):
        assert entry.manifest["photo"].endswith(f"{name}.png")
        assert entry.manifest["scores"]["original"] > 0


@pytest.mark.parametrize("method", ["mask", "gradient"])
def test_a_store_has_the_reason_in_the_row(model, photos, tmp_path, method):
    data = unsee.open_dataset(f"folder:{photos[0].parent}")
    store = unsee.learn(model, data, tmp_path / "store", method=method, preset=SETTINGS, batch_size=2)
    errors = {row["id"]: row["error"] for row in store.rows()}
    assert [bool(errors[id]) for id in sorted(errors)] == [False, True, False, True]
    assert all("not finite" in error for error in errors.values() if error)
