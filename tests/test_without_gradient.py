"""Masks without a gradient from every entry: networks that only answer, settings, ONNX files, commands."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nets import Untrainable, bench, learn_masks
from unsee.classifier import Classifier
from unsee.defaults import OPTIMISER_NAMES
from unsee.errors import UnseeError
from unsee.masks import PRESETS, explain, plan_for
from unsee.masks import settings as settings_file
from unsee.masks.convergence import LEARNED
from unsee.masks.grid import Grid
from unsee.masks.jittered import JitteredScorer
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.optimisers.surrogate import Surrogate
from unsee.masks.settings import OPTIMISERS, Settings, adjusted
from unsee.masks.starts import EditedStart
from unsee.methods import METHODS
from unsee.tensors import jitter_offsets
from unsee.verdicts import CONVERGED, NO_GAIN

FAST = PRESETS["fast"]
BUDGET = 160
CHANGES = {
    "deletion": {},
    "preservation": {"game": "preservation"},
    "joint": {"perturbation": "joint"},
    "logit": {"score": "logit"},
    "sigmoid": {"score": "sigmoid"},
}


def gained(settings: Settings) -> list[float]:
    """By how much the mask of each of two photos is better than the mask that costs nothing."""
    made = bench(settings, ranks=((0,), (1,)))
    learned = learn_masks(made.classifier, made.requests, settings)
    game, edits = settings.objective.game, len(settings.perturbations)
    gains = []
    for one in learned:
        original, _, perturbed = one.scores.tolist()
        free = original if game.ideal == 1 else perturbed
        gains.append(edits * game.sign * free - sum(one.terms.values()))
        assert one.chosen == LEARNED
    return gains


@pytest.mark.parametrize(
    ("change", "grid"),
    [*((change, FAST.grid) for change in CHANGES), ("deletion", Grid(shape=(4, 4)))],
    ids=[*CHANGES, "4x4"],
)
def test_masks_gain_nearly_what_those_by_gradients_gain(change, grid):
    """Float64 networks with jitter, 160 evaluations."""
    settings = replace(adjusted(FAST, **CHANGES[change]), grid=grid)
    pairs = zip(gained(settings), gained(settings.without_gradient().with_budget(BUDGET)), strict=True)
    for by_gradients, without in pairs:
        assert without > 0.5 * by_gradients > 0


def test_a_mask_on_a_layer_has_cells_of_its_own(classifier, make_pixels):
    options = {"layer": "0", "optimiser": "surrogate", "budget": 80}
    found = explain(classifier, make_pixels(), **options)
    assert found.mask_grid.shape == (32, 32)
    assert found.run.evaluations == 80
    assert found.scores.perturbed < found.scores.original


class Fixed(nn.Module):
    """The same answer to every image, or one that depends on how many pixels are bright."""

    def __init__(self, pixels: bool = False, sharp: bool = False) -> None:
        super().__init__()
        self.pixels, self.sharp = pixels, sharp

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        logit = 40 * ((x > 0.8).double().mean(dim=(1, 2, 3)) - 0.05) if self.pixels else 0 * x.mean((1, 2, 3))
        logit = logit.float()
        other = torch.zeros_like(logit)
        scores = torch.stack([other, logit, other + 0.5], dim=1)
        return nn.functional.one_hot(scores.argmax(dim=1), 3).float() if self.sharp else scores


def of_pixels(net: nn.Module, head: str = "softmax") -> Classifier:
    return Classifier(net, size=(32, 32), mean=0.0, std=1.0, head=head)


def bright_spot() -> Tensor:
    picture = torch.full((3, 32, 32), 0.3)
    picture[:, 6:16, 8:20] = 1.0
    return picture


def test_a_constant_score_says_that_nothing_depends_on_the_picture():
    found = explain(of_pixels(Fixed()), bright_spot(), budget=80)
    assert found.run.verdict.startswith(NO_GAIN)
    assert found.area < 0.02


def test_a_label_alone_is_enough():
    """The answer is the best class, 1 or 0, as from a service without scores."""
    found = explain(of_pixels(Fixed(True, True), "probabilities"), bright_spot(), 1, budget=200)
    assert found.scores.original > 0.99
    assert found.scores.perturbed < 0.01
    assert 0 < found.area < 0.5
    assert found.run.verdict == CONVERGED or "still" in found.run.verdict
    assert found.saliency[6:16, 8:20].mean() > 1.3 * found.saliency.mean()


def test_scores_that_are_never_finite_end_the_run(monkeypatch):
    scores = JitteredScorer.scores

    def broken(self, masks, iteration):
        found = scores(self, masks, iteration)
        return found._replace(values=torch.full_like(found.values, torch.nan))

    monkeypatch.setattr(JitteredScorer, "scores", broken)
    found = explain(of_pixels(Fixed(True)), bright_spot(), 1, budget=80)
    assert found.run.verdict.startswith("not finite at iteration 1")


@pytest.mark.parametrize("many", [True, False])
def test_many_masks_a_step_are_judged_by_the_best_so_far(many, monkeypatch):
    """All scores are worse in the last tenth of the steps: with one mask a step the objective has risen."""
    changed = FAST.without_gradient() if many else PRESETS["paper"]
    settings = changed.with_budget(20 * changed.optimiser.masks_per_step)
    scores = JitteredScorer.scores

    def worse_at_last(self, masks, iteration):
        found = scores(self, masks, iteration)
        return found._replace(values=found.values + (iteration >= 18)[:, None].to(found.values))

    monkeypatch.setattr(JitteredScorer, "scores", worse_at_last)
    made = bench(settings)
    (learned,) = learn_masks(made.classifier, made.requests, settings)
    costs = [sum(values) for values in zip(*learned.history.values(), strict=True)]
    assert min(costs[-2:]) > max(costs[-4:-2]) + 0.5
    assert learned.verdict.startswith("still rising") is not many


def test_batches_of_any_size_give_the_same_masks(make_net):
    black_box = Classifier(Untrainable(make_net().double()), size=(32, 32))
    photos = [torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    every = explain(black_box, photos, budget=80, batch_size=3)
    for size in (1, 2):
        for one, other in zip(every, explain(black_box, photos, budget=80, batch_size=size), strict=True):
            assert one.objective == pytest.approx(other.objective, rel=1e-3)
            assert torch.allclose(one.mask_grid, other.mask_grid, atol=1e-3)


def test_a_module_that_gives_no_gradient_is_learned_as_one_that_does(make_net, make_pixels):
    black_box = Classifier(Untrainable(make_net().double()), size=(32, 32))
    white_box = Classifier(make_net().double(), size=(32, 32))
    found = explain(black_box, make_pixels(), budget=80)
    own = explain(white_box, make_pixels(), optimiser="surrogate", budget=80)
    assert torch.allclose(found.mask_grid, own.mask_grid, atol=1e-6)


def test_the_method_learns_it_too(make_net, monkeypatch):
    monkeypatch.setattr(settings_file, "Surrogate", lambda: Surrogate(budget=80))
    black_box = Classifier(Untrainable(make_net()), size=(16, 16))
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = METHODS["mask"](black_box, image, [1])
    assert found.shape[0] == 1
    assert bool(found.isfinite().all())
    assert 0 < float(found.mean()) < 1


def test_every_mask_of_a_step_has_a_jitter_of_its_own():
    """Against each mask scored alone at its own turn's place."""
    made = bench(FAST)
    scoring, count = made.scoring(FAST), 6
    scoring = replace(scoring, edits=scoring.edits[:1])
    upsampler = FAST.grid.upsampler(scoring.size, scoring.targets)
    offsets = jitter_offsets(list(scoring.seeds), 5 * count, 4).transpose(0, 1)
    scorer = JitteredScorer(scoring, FAST, upsampler, offsets, torch.zeros(1, dtype=torch.long))
    cells = FAST.grid.cells(scoring.size)
    mask = torch.rand(cells, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        found = scorer.scores(mask.expand(1, count, *cells), torch.tensor([3])).values[0]
        pixels = upsampler(mask[None])
        turns = range(3 * count, 4 * count)
        alone = [scoring.jittered_scores(pixels, offsets[:, turn]).values[0] for turn in turns]
    assert torch.allclose(found, torch.stack(alone), rtol=0, atol=1e-12)
    assert len({round(float(score), 9) for score in found}) > 1


class TestSettings:
    def test_names_of_the_help_are_those_of_the_table(self):
        assert tuple(OPTIMISERS) == OPTIMISER_NAMES
        assert [name for name, one in OPTIMISERS.items() if not one.needs_gradient] == ["surrogate"]

    def test_an_optimiser_by_name_is_one_attempt(self):
        plan = plan_for(optimiser="surrogate", budget=300)
        assert plan.settings == replace(FAST, optimiser=Surrogate(), start=EditedStart(), retries=())
        assert adjusted(FAST, optimiser="bundle") == replace(FAST, optimiser=Bundle(), retries=())
        assert adjusted(FAST, optimiser=Surrogate(budget=90)).optimiser.budget == 90
        assert plan.budget == 300

    def test_without_a_gradient_the_objective_stays(self):
        settings = PRESETS["top5"].without_gradient()
        assert settings.objective == PRESETS["top5"].objective
        assert settings.perturbations == PRESETS["top5"].perturbations
        assert not settings.needs_gradient
        assert settings.without_gradient() is settings

    def test_a_budget_is_of_whole_steps(self):
        settings = FAST.without_gradient()
        step = settings.optimiser.masks_per_step
        assert settings.with_budget(20 * step - 1).optimiser.budget == 19 * step
        assert FAST.with_budget(25).optimiser.iterations == 25

    def test_a_network_with_a_gradient_keeps_its_optimiser(self, classifier):
        assert plan_for().on(classifier).settings.optimiser == FAST.optimiser
        assert plan_for(budget=33).on(classifier).settings.optimiser.iterations == 33

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            ({"budget": 100, "iterations": 5}, "leave budget= (--budget) out"),
            ({"budget": 100, "suppress": 0.9}, "leave budget= (--budget) out"),
            ({"optimiser": "surogate"}, "did you mean surrogate"),
            ({"optimiser": "surrogate", "area": 0.1}, "leave optimiser= (--optimiser) out"),
            ({"optimiser": "surrogate", "suppress": 0.9}, "use the preset fast"),
            ({"optimiser": "surrogate", "iterations": 1}, "evaluations, got"),
        ],
    )
    def test_what_excludes_each_other_is_refused_without_a_network(self, options, line):
        with pytest.raises(UnseeError) as error:
            plan_for(**options)
        assert line in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            ({"budget": 3}, f"a step takes {Surrogate().masks_per_step} evaluations, and the budget is 3"),
            ({"budget": 20}, f"a budget of at least {Surrogate().least_budget} evaluations, got 20"),
            ({"budget": 0}, "a whole number of evaluations above 0, got 0"),
            ({"budget": True}, "a whole number of evaluations above 0, got True"),
            ({"iterations": 5}, "give budget= (--budget) instead"),
            ({"suppress": 0.9}, "leave suppress= (--suppress) and keep= (--keep) out"),
            ({"keep": 0.9}, "leave suppress= (--suppress) and keep= (--keep) out"),
            ({"area": 0.1}, "leave area= (--area) out"),
            ({"area": "smallest"}, "leave area= (--area) out"),
        ],
    )
    def test_what_a_network_without_a_gradient_cannot_give_is_refused(self, make_net, options, line):
        black_box = Classifier(Untrainable(make_net()), size=(32, 32), name="box")
        with pytest.raises(UnseeError) as error:
            explain(black_box, torch.rand(3, 32, 32), **options)
        assert line in str(error.value)
        assert "\n" not in str(error.value)
