"""Comparisons of the learned mask with other methods: the smallest box, and what Python gets."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.comparison_figure import comparison_figure
from unsee.experiments.smallest_box import boxes_of, smallest_box
from unsee.methods import METHODS
from unsee.tensors import smooth


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
    holes = replace(METHODS["gradient"], function=lambda *_: torch.full((1, 4, 4), torch.nan))
    monkeypatch.setitem(METHODS, "gradient", holes)
    found = unsee.compare(classifier, make_photo(), ["gradient", "center"])
    assert list(found.results) == ["center"]
    assert "NaN" in found.refused["gradient"]


def test_targets_in_a_list_are_one_for_each_photo(classifier, make_photo):
    found = unsee.compare(classifier, [make_photo("a.png"), make_photo("b.png")], ["center"], ["bee", "dog"])
    assert [one.target.names for one in found] == [("bee",), ("dog",)]
    with pytest.raises(UnseeError, match="2 photos and 1 target: give one for each"):
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
    events = []
    names = ["mask", "gradient", "cam", "smooth-grad"]
    found = unsee.compare(classifier, photo, names, targets="bee", progress=lambda *what: events.append(what))
    assert list(found.results) == ["mask", "gradient", "smooth_grad"]
    assert "CAM needs" in found.refused["cam"]
    assert events == [("photo.png", name.replace("-", "_")) for name in names]
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


def test_an_optimiser_and_a_budget_are_the_masks(classifier, make_photo):
    options = {"optimiser": "surrogate", "budget": 80, "seed": 3}
    found = unsee.compare(classifier, make_photo(), ["mask", "center"], **options)
    explained = unsee.explain(classifier, make_photo(), **options)
    pixels = unsee.PRESETS["fast"].grid.upsampler((32, 32), explained.mask_grid)(explained.mask_grid)
    assert torch.allclose(found.results["mask"].saliency, 1 - pixels, atol=1e-6)
    with pytest.raises(UnseeError, match="budget is for the learned mask"):
        unsee.compare(classifier, make_photo(), ["center"], budget=80)


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
