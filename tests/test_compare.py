"""Comparisons of the learned mask with other methods: the smallest box, the command, and its files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import unsee
from unsee.classifier import Classifier
from unsee.cli import app
from unsee.errors import UnseeError
from unsee.experiments import photo_comparison
from unsee.experiments.smallest_box import boxes_of, smallest_box
from unsee.figures.comparison import comparison_figure
from unsee.saliency import METHODS
from unsee.tensors import smooth

RUN = CliRunner()


class Patch(nn.Module):
    """Class 1 scores high if one patch of the image is striped."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        stripes = x[:, 0, 8:16, 20:28].std(dim=(1, 2))
        return torch.stack([torch.zeros_like(stripes), self.weight * (20 * stripes - 4)], dim=1)


def striped():
    image = torch.full((3, 32, 32), 0.5)
    image[:, 8:16, 20:28:2] = 1.0
    image[:, 8:16, 21:28:2] = 0.0
    return image


@pytest.fixture
def striped_classifier():
    return Classifier(Patch().eval(), size=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3, name="striped")


def test_the_smallest_box_is_the_tightest_that_blurs_the_score_away(striped_classifier):
    saliency = torch.zeros(32, 32)
    saliency[8:16, 20:28] = 1
    saliency[0, 0] = 0.6
    found = smallest_box(striped_classifier, striped(), saliency, (1,), blur=4.0)
    assert found.box == (20, 8, 28, 16)
    assert found.area == 64
    assert found.suppression >= 0.9
    hidden = striped()
    hidden[:, 8:16, 20:28] = smooth(striped(), 4.0)[:, 8:16, 20:28]
    assert found.score == pytest.approx(float(striped_classifier.probabilities(hidden[None])[0, 1]), abs=1e-6)
    assert torch.equal(saliency.unique(), torch.tensor([0.0, 0.6, 1.0]))


def test_a_map_that_misses_needs_a_larger_box_and_a_small_share_a_smaller(striped_classifier):
    saliency = torch.zeros(32, 32)
    saliency[20:, :8] = 1
    saliency[8:16, 20:28] = 0.5
    assert smallest_box(striped_classifier, striped(), saliency, (1,), blur=4.0).box == (0, 8, 28, 32)
    image = striped()
    spread = torch.zeros(32, 32)
    spread[8:16, 20:28] = torch.linspace(0.5, 1, 8)[:, None]
    half = smallest_box(striped_classifier, image, spread, (1,), share=0.5, blur=4.0)
    whole = smallest_box(striped_classifier, image, spread, (1,), share=0.99, blur=4.0)
    assert half.area < whole.area


def test_there_is_no_box_if_blurring_changes_nothing(striped_classifier):
    assert smallest_box(striped_classifier, torch.full((3, 32, 32), 0.5), torch.rand(32, 32), (1,)) is None


def test_there_is_no_box_if_blurring_raises_the_score(striped_classifier):
    saliency = torch.zeros(32, 32)
    saliency[8:16, 20:28] = 1
    assert smallest_box(striped_classifier, striped(), saliency, (0,), blur=4.0) is None


def test_a_map_that_is_not_finite_is_left_out_and_the_rest_goes_on(classifier, make_photo, monkeypatch):
    monkeypatch.setitem(METHODS, "gradient", lambda *_: torch.full((1, 4, 4), torch.nan))
    found = unsee.compare(classifier, make_photo(), ["gradient", "center"])
    assert list(found.results) == ["center"]
    assert "NaN" in found.refused["gradient"]


def test_targets_in_a_list_are_one_for_each_photo(classifier, make_photo):
    found = unsee.compare(classifier, [make_photo("a.png"), make_photo("b.png")], ["center"], ["bee", "dog"])
    assert [one.target.names for one in found] == [("bee",), ("dog",)]
    with pytest.raises(UnseeError, match="2 photos need 2 targets"):
        unsee.compare(classifier, [make_photo("a.png"), make_photo("b.png")], ["center"], ["bee"])


def test_a_constant_map_gives_the_whole_image_and_nan_is_refused():
    assert boxes_of(torch.ones(4, 4), (32, 32)) == [(0, 0, 32, 32)]
    with pytest.raises(UnseeError, match="NaN"):
        boxes_of(torch.full((4, 4), torch.nan), (32, 32))


def test_boxes_only_shrink_as_the_threshold_rises():
    boxes = boxes_of(torch.rand(8, 8, generator=torch.Generator().manual_seed(2)), (40, 56))
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]
    assert areas == sorted(areas, reverse=True)
    assert len(boxes) > 3


def test_python_compares_and_names_unsupported_methods(classifier, make_photo):
    photo = make_photo()
    told = []
    names = ["mask", "gradient", "cam", "smooth-grad"]
    found = unsee.compare(classifier, photo, names, targets="bee", progress=lambda *what: told.append(what))
    assert list(found.results) == ["mask", "gradient", "smooth_grad"]
    assert "CAM needs" in found.refused["cam"]
    assert told == [("photo.png", name.replace("-", "_")) for name in names]
    assert found.target.names == ("bee",)
    assert found.results["gradient"].saliency.shape == (32, 32)
    direct = METHODS["gradient"](classifier, unsee.Squash().apply(found.photo.pixels, (32, 32))[None], [1])
    assert torch.equal(found.results["gradient"].saliency, direct[0])
    manifest = json.loads(json.dumps(found.manifest()))
    assert manifest["methods"]["gradient"]["shape"] == [32, 32]
    assert (manifest["seed"], manifest["preset"], manifest["model"]) == (0, "fast", "tiny")
    several = unsee.compare(classifier, [photo, photo], ["center"])
    assert [list(one.results) for one in several] == [["center"]] * 2


def test_the_mask_is_the_one_that_explain_learns(classifier, make_photo):
    found = unsee.compare(classifier, make_photo(), ["mask"], seed=3)
    explained = unsee.explain(classifier, make_photo(), seed=3)
    settings = unsee.PRESETS["fast"]
    pixels = settings.grid.upsampler((32, 32), explained.mask_grid)(explained.mask_grid)
    assert torch.allclose(found.results["mask"].saliency, 1 - pixels, atol=1e-6)


def test_a_box_is_mapped_to_the_photo(classifier, make_photo):
    photo = make_photo(height=64, width=96)
    answers = (unsee.compare(classifier, photo, ["center"], targets=target) for target in range(5))
    found = next(answer for answer in answers if answer.results["center"].box is not None)
    left, top, right, bottom = found.results["center"].box.box
    assert found.box_on_photo("center") == (3 * left, 2 * top, 3 * right, 2 * bottom)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"methods": ["gradcam"]}, "no method is called 'gradcam'"),
        ({"methods": []}, "name at least one method"),
        ({"preset": "slow"}, "no preset"),
        ({"layer": "layer9"}, "no layer called 'layer9'"),
        ({"targets": "cow"}, "no class called 'cow'"),
    ],
)
def test_bad_arguments_are_refused(arguments, said, classifier, make_photo):
    with pytest.raises(UnseeError, match=said):
        unsee.compare(classifier, make_photo(), **{"methods": ["center"], **arguments})


def test_the_figure_has_a_row_for_each_photo_and_a_column_for_each_method(classifier, make_photo):
    photos = [make_photo("a.png"), make_photo("b.png", height=70, width=40)]
    figure = comparison_figure(unsee.compare(classifier, photos, ["mask", "center", "cam"]))
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 8
    assert [title.split("\n")[0] for title in titles[1:4]] == ["mask", "center", "cam"]
    assert "left out" in titles[3]
    boxed = [len(axes.patches) for axes in figure.axes[1:3]]
    found = unsee.compare(classifier, photos[0], ["mask", "center"])
    assert boxed == [int(found.results[name].box is not None) for name in ("mask", "center")]


@pytest.fixture
def compare(classifier, make_photo, tmp_path, monkeypatch):
    """Runs `unsee compare` on a photo with a small network."""
    monkeypatch.setattr("unsee.cli.names.load", lambda *_: classifier)
    monkeypatch.setattr(
        "unsee.drawing.panels.save", lambda _figure, path: Image.new("RGB", (3, 1)).save(path, format="PNG")
    )
    photo = make_photo()

    def run(*options, photos=(photo,)):
        out = str(tmp_path / "out")
        return RUN.invoke(app, ["compare", *map(str, photos), "--out", out, *options])

    run.out = tmp_path / "out"
    return run


def test_the_command_writes_figure_numbers_and_maps(compare):
    result = compare("--methods", "mask,gradient,occlusion", "--json")
    assert result.exit_code == 0
    (printed,) = json.loads(result.stdout)
    assert (compare.out / "compare.png").exists()
    assert json.loads((compare.out / "compare.json").read_text()) == [printed]
    assert list(printed["methods"]) == ["mask", "gradient", "occlusion"]
    saved = np.load(compare.out / "photo" / "occlusion.npy")
    assert list(saved.shape) == printed["methods"]["occlusion"]["shape"]


def count(monkeypatch):
    looked = []
    look = photo_comparison.PhotoComparer.run

    def noted(self, method):
        looked.append(method)
        look(self, method)

    monkeypatch.setattr(photo_comparison.PhotoComparer, "run", noted)
    return looked


def test_what_is_there_is_not_computed_again(compare, monkeypatch):
    compare("--methods", "gradient,mask")
    looked = count(monkeypatch)
    first = compare("--methods", "gradient,mask", "--json")
    assert looked == []
    compare("--methods", "center,gradient")
    assert looked == ["center"]
    assert json.loads(compare("--methods", "gradient,mask", "--json").stdout) == json.loads(first.stdout)
    assert looked == ["center"]
    compare("--methods", "gradient", "--force")
    assert looked == ["center", "gradient"]


def boxes(result):
    """The smallest boxes that a run has printed."""
    return [
        {name: row["smallest_box"] for name, row in each["methods"].items()}
        for each in json.loads(result.stdout)
    ]


def test_a_stopped_run_continues(compare, monkeypatch):
    whole = compare("--methods", "gradient,center,occlusion", "--json", "--force")
    numbers = boxes(whole)
    (compare.out / "photo" / "comparison.json").unlink()
    look = photo_comparison.PhotoComparer.run

    def stopping(self, method):
        if method == "occlusion":
            raise KeyboardInterrupt
        look(self, method)

    monkeypatch.setattr(photo_comparison.PhotoComparer, "run", stopping)
    assert compare("--methods", "gradient,center,occlusion").exit_code == 130
    monkeypatch.setattr(photo_comparison.PhotoComparer, "run", look)
    looked = count(monkeypatch)
    again = compare("--methods", "gradient,center,occlusion", "--json")
    assert looked == ["occlusion"]
    assert numbers == boxes(again)


def test_another_setting_is_refused_with_what_differs(compare):
    compare("--methods", "center")
    result = compare("--methods", "center", "--seed", "3", "--target", "dog")
    assert result.exit_code == 2
    assert "different seed, target" in " ".join(result.stderr.split())
    assert compare("--methods", "center", "--seed", "3", "--force").exit_code == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": {}}'])
def test_a_damaged_record_is_named(compare, text):
    compare("--methods", "center")
    (compare.out / "photo" / "comparison.json").write_text(text)
    result = compare("--methods", "center")
    assert result.exit_code == 2
    assert "--force replaces it" in " ".join(result.stderr.split())


def test_an_unsupported_method_that_is_named_exits_with_2(compare):
    result = compare("--methods", "cam,center")
    assert result.exit_code == 2
    assert "CAM needs" in " ".join(result.stderr.split())
    assert (compare.out / "photo" / "center.npy").exists()


def test_a_photo_that_cannot_be_read_does_not_stop_the_others(compare, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    result = compare("--methods", "center", photos=(broken, tmp_path / "photo.png"))
    assert result.exit_code == 2
    assert "broken.png" in result.stderr
    assert len(json.loads((compare.out / "compare.json").read_text())) == 1


def test_methods_are_listed():
    listed = json.loads(RUN.invoke(app, ["methods", "--json"]).stdout)
    assert list(listed) == ["mask", *(name.replace("_", "-") for name in METHODS)]
    assert all(listed.values())
    assert "grad-cam" in RUN.invoke(app, ["methods"]).stdout
