"""Properties for every photo, size and seed: batches equal single photos, masks are in [0,1], and more."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks import PRESETS, explain
from unsee.masks.convergence import IDEAL, LEARNED, START, verdict
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.game import DELETION
from unsee.masks.grid import Grid
from unsee.masks.jittered import JitteredScorer
from unsee.masks.objective import Objective
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.penalties import L1, MeanAxisVariation, TotalVariation
from unsee.masks.starts import CircularStart, ConstantStart, RandomStart
from unsee.tensors import smooth

CLASSES = 4
FEW = settings(max_examples=8, deadline=None, derandomize=True)
SIZES = st.tuples(st.integers(17, 45), st.integers(17, 45))


def small_net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    last = nn.Linear(54, CLASSES)
    last.weight.data *= 20
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2), nn.Tanh(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), last
    ).double()


def classifier(size: tuple[int, int], seed: int = 0) -> Classifier:
    return Classifier(small_net(seed), size=size)


def photos(count: int, size: tuple[int, int], seed: int = 1) -> list[Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return [torch.rand(3, *size, generator=draws) for _ in range(count)]


def check_same_history(one, other):
    """Compare every term before every step, whichever mask was returned."""
    assert one.run.history.keys() == other.run.history.keys()
    for name, values in one.run.history.items():
        assert values == pytest.approx(other.run.history[name], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"tokens"}))
@settings(FEW, max_examples=2)
@given(size=SIZES, seed=st.integers(0, 2**40), batch_size=st.integers(1, 4))
def test_a_batch_gives_what_single_photos_give(preset, size, seed, batch_size):
    model, pictures = classifier(size), photos(3, (30, 21))
    options = {"preset": preset, "iterations": 4, "seed": seed}
    together = explain(model, pictures, targets=[0, None, (1, 2)], batch_size=batch_size, **options)
    alone = [explain(model, p, t, **options) for p, t in zip(pictures, [0, None, (1, 2)], strict=True)]
    for one, other in zip(together, alone, strict=True):
        check_same_history(one, other)
        assert torch.allclose(one.mask_grid, other.mask_grid, atol=1e-6)
        assert torch.allclose(one.perturbed, other.perturbed, atol=1e-6)
        assert math.isclose(one.objective, other.objective, rel_tol=1e-9)
        assert one.target.indices == other.target.indices
        assert one.run.evaluations == other.run.evaluations


@FEW
@given(perturbation=st.sampled_from(sorted(set(PERTURBATIONS) - {"tokens"})), seed=st.integers(0, 2**40))
def test_the_same_seed_gives_the_same_mask_bit_for_bit(perturbation, seed):
    model, (picture,) = classifier((32, 32)), photos(1, (40, 28))
    first, again = (
        explain(model, picture, perturbation=perturbation, iterations=5, seed=seed) for _ in range(2)
    )
    assert torch.equal(first.mask_grid, again.mask_grid)
    assert first.run.history == again.run.history


def test_another_seed_gives_another_run():
    model, (picture,) = classifier((32, 32)), photos(1, (40, 28))
    first, other = (explain(model, picture, iterations=5, seed=seed) for seed in (0, 1))
    assert first.run.history["score"] != other.run.history["score"]


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"tokens", "extremal", "extremal-fast"}))
@settings(FEW, max_examples=2)
@given(
    input_size=SIZES,
    photo_size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    cell=st.floats(2.0, 30.0),
    rate=st.floats(0.01, 5.0),
)
def test_any_size_and_aspect_ratio_gives_a_mask_in_range_at_the_photos_size(
    preset, input_size, photo_size, cell, rate
):
    model, (picture,) = classifier(input_size), photos(1, photo_size)
    base = PRESETS[preset]
    setting = replace(
        base,
        objective=replace(base.objective, penalties=()),  # so that few masks are the untouched image
        grid=replace(base.grid, cell=cell, shape=None),
        optimiser=Adam(rate=rate, iterations=4),
    )
    explanation = explain(model, picture, preset=setting)
    rows, columns = (max(round(side / cell), 1) for side in input_size)
    assert explanation.mask_grid.shape == (rows, columns)
    assert explanation.mask.shape == photo_size
    assert explanation.perturbed.shape == (3, *photo_size)
    for values in (explanation.mask_grid, explanation.mask, explanation.perturbed, explanation.saliency):
        assert values.min() >= 0
        assert values.max() <= 1


@pytest.mark.parametrize("start", [CircularStart(), ConstantStart(0.0), ConstantStart(0.5), RandomStart()])
def test_an_overwhelming_penalty_keeps_the_whole_photo(start):
    setting = replace(
        PRESETS["paper"],
        objective=Objective(penalties=(L1(1e6), TotalVariation(0.0))),
        start=start,
        optimiser=Adam(iterations=60),
    )
    explanation = explain(classifier((32, 32)), photos(1, (32, 32))[0], preset=setting)
    assert torch.allclose(explanation.mask_grid, torch.ones(4, 4))
    assert explanation.area == pytest.approx(0, abs=1e-6)


def test_without_penalties_deletion_lowers_the_score_and_preservation_keeps_it():
    free = Objective(penalties=(L1(0.0), TotalVariation(0.0)))
    setting = replace(
        PRESETS["paper"], objective=free, start=ConstantStart(0.5), optimiser=Adam(iterations=60)
    )
    model, (picture,) = classifier((40, 40), seed=3), photos(1, (40, 40))
    deleted = explain(model, picture, preset=setting)
    kept = explain(model, picture, preset=setting, game="preservation")
    still = explain(model, picture, preset=replace(setting, optimiser=Adam(rate=1e-9, iterations=1)))
    halfway = still.run.objective["score"]
    assert deleted.run.objective["score"] < halfway - 0.005
    assert -kept.run.objective["score"] > halfway + 0.005


class Spoilt(nn.Module):
    """NaN or infinite logits, from the nth call on, for images that are mostly red."""

    def __init__(self, value: float, after: int) -> None:
        super().__init__()
        self.net, self.value, self.after, self.calls = small_net(), value, after, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += torch.is_grad_enabled()
        red = (x[:, 0].mean(dim=(1, 2)) > x[:, 1].mean(dim=(1, 2)) + 0.5) & (self.calls > self.after)
        return self.net(x) + torch.where(red, self.value, 0.0)[:, None] * x.mean(dim=(1, 2, 3))[:, None]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("after", [0, 3])
def test_an_image_that_is_not_finite_is_reported_and_does_not_affect_the_others(value, after):
    red = torch.zeros(3, 32, 32)
    red[0] = 1
    first, last = photos(2, (32, 32))
    setting = replace(PRESETS["paper"], start=ConstantStart(0.9), optimiser=Adam(iterations=8))
    net = Spoilt(value, after)
    model = Classifier(net, size=(32, 32))
    assert model.reading.differentiable
    net.calls = 0
    spoilt = explain(model, [first, red, last], targets=0, preset=setting, batch_size=3)
    sound = explain(classifier((32, 32)), [first, last], targets=0, preset=setting)
    assert not spoilt[1].converged
    assert f"not finite at iteration {after + 1}" in spoilt[1].run.verdict
    assert spoilt[1].mask_grid.isfinite().all()
    for one, other in zip((spoilt[0], spoilt[2]), sound, strict=True):
        assert torch.allclose(one.mask_grid, other.mask_grid, atol=1e-9)
        assert one.run.verdict == other.run.verdict


def test_a_run_that_stops_too_early_has_not_converged(make_net, make_pixels):
    model = Classifier(make_net(), size=(32, 32))
    early = explain(model, make_pixels(32, 32, seed=3), preset="paper", iterations=8)
    assert "still falling" in early.run.verdict


STEPS = torch.arange(100, dtype=torch.float64)


RISEN = torch.cat([STEPS[:20] / 20, torch.ones(80)])


@pytest.mark.parametrize(
    ("objective", "final", "chosen", "expected"),
    [
        (torch.exp(-STEPS / 10), 0.0, LEARNED, "converged"),
        (1 - STEPS / 100, 0.0, LEARNED, "still falling"),
        (torch.cat([1 - STEPS[:80] / 80, STEPS[:20] / 20]), 0.5, LEARNED, "still rising"),
        (RISEN, 0.0, START, "no gain: no mask was better than the start"),
        (1 - STEPS / 100, 0.0, IDEAL, "no gain: no mask was better than the untouched image"),
        (torch.zeros(100), 0.0, LEARNED, "converged"),
    ],
)
def test_the_verdict_reads_the_end_of_the_history(objective, final, chosen, expected):
    scores, rest = torch.zeros(3), (chosen, DELETION)
    assert verdict(objective, -1, final, scores, *rest).startswith(expected)
    assert verdict(objective, 4, final, scores, *rest).startswith("not finite at iteration 5")
    for bad in (math.nan, math.inf, -math.inf):
        assert verdict(objective, -1, final + bad, scores, *rest).startswith("not finite after")
        edited, perturbed = torch.tensor([0, bad, 0]), torch.tensor([0, 0, bad])
        assert verdict(objective, -1, final, edited, *rest).endswith("no finite score of the edited image")
        assert verdict(objective, 4, final, perturbed, *rest).endswith("of the fully perturbed image")


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Grid(cell=0.0),
        lambda: Grid(shape=(0, 4)),
        lambda: Grid(blur=-1.0),
        lambda: Adam(iterations=0),
        lambda: Adam(rate=0.0),
        lambda: Bundle(iterations=0),
        lambda: Bundle(remembered=0),
        lambda: Bundle(shrink=1.0),
        lambda: Bundle(radius=0.0),
        lambda: ConstantStart(1.5),
        lambda: TotalVariation(1.0, beta=0.0),
        lambda: MeanAxisVariation(1.0, beta=0.5),
        lambda: replace(PRESETS["paper"], perturbations=()),
        lambda: replace(PRESETS["paper"], jitter=-1),
    ],
)
def test_invalid_settings_are_refused_in_one_line(broken):
    with pytest.raises(UnseeError) as refused:
        broken()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_masks_are_learned_even_if_gradients_are_switched_off(off):
    model, (picture,) = classifier((32, 32)), photos(1, (32, 32))
    with off():
        inside = explain(model, picture, iterations=3)
    outside = explain(model, picture, iterations=3)
    assert inside.run.history == outside.run.history
    assert torch.equal(inside.mask_grid, outside.mask_grid)


def test_a_large_image_is_smoothed_as_scipy_smooths_it():
    lines = torch.rand(2, 3, 1500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [gaussian_filter(line.numpy(), 7.0, mode="reflect", truncate=4) for line in lines]
    assert torch.allclose(smooth(lines, 7.0), torch.from_numpy(np.stack(expected)), atol=1e-12)
    assert torch.equal(smooth(lines, 0.0), lines)


def test_images_at_different_iterations_get_the_same_masks_as_alone(make_net, make_pixels, monkeypatch):
    classifier = Classifier(make_net().double(), size=(32, 32))
    photos = [make_pixels(seed=seed) for seed in range(9)]
    mixed = []
    scores = JitteredScorer.scores

    def noted(self, masks, iteration):
        mixed.append(len(set(iteration.tolist())) > 1)
        return scores(self, masks, iteration)

    monkeypatch.setattr(JitteredScorer, "scores", noted)
    together = explain(classifier, photos, batch_size=4)
    assert any(mixed)
    for photo, one in zip(photos, together, strict=True):
        alone = explain(classifier, photo)
        check_same_history(one, alone)
        assert torch.allclose(one.mask_grid, alone.mask_grid, atol=1e-6)
