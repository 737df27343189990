"""The seams of the mask core: an optimiser without gradients, a mask on an activation, a third penalty."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from against_literal import learned_with_last
from nets import Untrainable, bench, learn_masks
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.photo_interrogation import interrogate
from unsee.explanation import Explanation
from unsee.layers import last_spatial_layer, layer_named
from unsee.masks import PRESETS, explain
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.edits.perturbation import Blur
from unsee.masks.grid import Grid
from unsee.masks.jittered import JitteredScorer
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import Objective
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.protocol import Evaluation, Optimiser
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.penalty_protocol import Penalty, gradient_of
from unsee.masks.starts import ConstantStart
from unsee.tensors import generator
from unsee.tuning import tuned


@dataclass(frozen=True)
class RandomSearch:
    """Asks for masks round the best one so far, and keeps the best: no gradient, several masks a step."""

    iterations: int = 25
    several: int = 8
    spread: float = 0.3
    needs_gradient: bool = False
    exact: bool = False
    settles_early: bool = False
    summary: str = "random search"

    @property
    def masks_per_step(self) -> int:
        return self.several

    def limited(self, iterations: int) -> "RandomSearch":
        return replace(self, iterations=iterations)

    def begin(self, masks: Tensor, seeds: Tensor) -> tuple[Tensor, ...]:
        return masks.new_full((len(masks),), torch.inf), seeds

    def ask(self, memory: tuple[Tensor, ...], masks: Tensor, iteration: Tensor) -> Tensor:
        draws = [
            torch.randn(self.several, *masks.shape[1:], generator=generator(seed, 10_000 + count))
            for seed, count in zip(memory[1].tolist(), iteration.tolist(), strict=True)
        ]
        moves = self.spread * torch.stack(draws).to(masks)
        moves[:, 0] = 0
        return (masks[:, None] + moves).clamp(0, 1)

    def tell(
        self, memory: tuple[Tensor, ...], evaluation: Evaluation, iteration: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        assert evaluation.gradient is None
        costs = sum(evaluation.terms.values()).nan_to_num(nan=torch.inf)
        least, best = costs.min(dim=1)
        rows = torch.arange(len(best))
        return evaluation.masks[rows, best], (least, memory[1])

    def settled(self, history: Tensor, iteration: Tensor) -> Tensor:
        return iteration + 1 >= self.iterations


SEARCH = replace(
    PRESETS["paper"], optimiser=RandomSearch(), start=ConstantStart(0.0), jitter=0, grid=Grid(shape=(4, 4))
)


class TestWithoutGradient:
    def test_random_search_is_an_optimiser(self):
        assert isinstance(RandomSearch(), Optimiser)

    def test_it_lowers_the_objective_of_a_network_that_gives_no_gradient(self, make_net, make_pixels):
        black_box = Classifier(Untrainable(make_net()), size=(32, 32))
        found = explain(black_box, make_pixels(), preset=SEARCH, seed=3)
        history = [sum(values) for values in zip(*found.run.history.values(), strict=True)]
        assert history == sorted(history, reverse=True)
        assert history[-1] < history[0] - 0.01
        assert found.run.evaluations == 25 * 8
        same = explain(Classifier(make_net(), size=(32, 32)), make_pixels(), preset=SEARCH, seed=3)
        assert torch.equal(found.mask_grid, same.mask_grid)

    def test_a_batch_gives_what_single_images_give(self):
        made = bench(SEARCH, ranks=((0,), (1,), (2,)))
        together = learn_masks(made.classifier, made.requests, SEARCH)
        for request, one in zip(made.requests, together, strict=True):
            (alone,) = learn_masks(made.classifier, [request], SEARCH)
            assert torch.allclose(one.grid, alone.grid, rtol=0, atol=1e-12)
            assert one.evaluations == alone.evaluations

    @pytest.mark.parametrize("images", [1, 3])
    def test_many_masks_of_few_images_are_evaluated_in_groups(self, images, monkeypatch):
        many = replace(SEARCH, optimiser=RandomSearch(iterations=2, several=40))
        made = bench(many, ranks=((0,),) * images)
        sizes = []
        answer = Classifier.answer
        monkeypatch.setattr(Classifier, "answer", lambda self, x: sizes.append(len(x)) or answer(self, x))
        (learned, *_) = learn_masks(made.classifier, made.requests, many)
        assert learned.evaluations == 80
        assert max(sizes) <= 16
        assert sum(sizes) >= 80 * images

    def test_one_mask_that_is_not_finite_does_not_end_its_image(self, monkeypatch):
        made = bench(SEARCH)
        scores = JitteredScorer.scores

        def broken(self, masks, iteration):
            found = scores(self, masks, iteration)
            values = found.values.clone()
            values[:, 3] = torch.nan
            return found._replace(values=values)

        monkeypatch.setattr(JitteredScorer, "scores", broken)
        (learned,) = learn_masks(made.classifier, made.requests, SEARCH)
        assert len(learned.history["score"]) == 25
        assert all(value == value for value in learned.history["score"])  # noqa: PLR0124
        assert bool(learned.grid.isfinite().all())

    @pytest.mark.parametrize("preset", ["fast", "paper"])
    def test_an_optimiser_that_needs_a_gradient_gives_way_where_there_is_none(
        self, make_net, make_pixels, preset
    ):
        black_box = Classifier(Untrainable(make_net()), size=(32, 32))
        found = explain(black_box, make_pixels(), preset=preset, budget=80)
        assert found.run.settings["optimiser"]["type"] == "Surrogate"
        assert found.run.settings["retries"] == []
        assert found.run.evaluations == 80

    def test_the_loop_itself_says_that_there_is_none(self):
        made = bench(PRESETS["paper"])
        black_box = made.classifier.with_net(Untrainable(made.classifier.net))
        with pytest.raises(UnseeError, match="gives no gradient"):
            learn_masks(black_box, made.requests, PRESETS["paper"])


@dataclass(frozen=True, eq=False)
class ActivationEdit(Edit):
    """m ⊙ a: one mask for all channels of an activation, and only the network behind it runs."""

    activation: Tensor
    depth: int

    @property
    def size(self) -> tuple[int, int]:
        return self.activation.shape[-2], self.activation.shape[-1]

    def apply(self, masks: Tensor, offsets: Tensor | None = None) -> Tensor:
        return masks[:, None] * self.activation

    def logits(self, classifier: Classifier, given: Tensor) -> Tensor:
        return classifier.network[self.depth :](given)

    def select(self, rows: Tensor) -> "ActivationEdit":
        return ActivationEdit(self.activation[rows], self.depth)

    def joined(self, other: "ActivationEdit") -> "ActivationEdit":
        return ActivationEdit(torch.cat([self.activation, other.activation]), self.depth)


@dataclass(frozen=True)
class DropActivation(Perturbation):
    """Deletes cells of the activation after the first `depth` modules of a chain (supplement §6.4)."""

    depth: int
    name: str = "drop-activation"
    kind: ClassVar[None] = None

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        images = torch.stack([one.plain for one in inputs]).to(classifier.device)
        with torch.no_grad():
            activation = classifier.network[: self.depth](classifier.normalised(images))
        return ActivationEdit(activation, self.depth)

    def edited_photo(self, network_input: NetworkInput, mask: Tensor) -> None:
        return None


def test_a_mask_on_an_activation_needs_no_second_path():
    """The same learner, loop and objective; checked against the gradient descent written out."""
    grid = Grid(shape=(24, 24), upsampling="nearest", blur=0.0)
    settings = replace(
        PRESETS["paper"],
        objective=Objective(penalties=()),
        perturbations=(DropActivation(2),),
        optimiser=Adam(iterations=1),
        grid=grid,
        start=ConstantStart(0.5),
        jitter=0,
    )
    made = bench(settings)
    net, (one,), (target,) = made.classifier.net, made.inputs, made.targets
    (learned,), (last,) = learned_with_last(made, settings)
    with torch.no_grad():
        activation = net[:2](made.classifier.normalised(one.plain[None]))
    assert activation.shape[-2:] == (24, 24)
    mask = torch.full((24, 24), 0.5, dtype=torch.float64, requires_grad=True)
    score = net[2:](mask * activation).softmax(dim=1)[0, list(target)].sum()
    (gradient,) = torch.autograd.grad(score, mask)
    expected = 0.5 - 0.1 * gradient / (gradient.abs() + 1e-8)  # Adam's first step
    assert (expected - 0.5).abs().max() > 0.09
    assert learned.history["score"][0] == pytest.approx(float(score.detach()), abs=1e-12)
    assert torch.allclose(last.double(), expected, rtol=0, atol=1e-6)
    with torch.no_grad():
        edited = net[2:](learned.mask * activation).softmax(dim=1)[0, list(target)].sum()
    assert float(learned.scores[1]) == pytest.approx(float(edited), abs=1e-10)


def test_layers_are_named_alike_in_a_tuned_copy(make_net):
    classifier = Classifier(make_net(batch_norm=True), size=(32, 32))
    with classifier.borrowed():
        fast = tuned(classifier)
    assert last_spatial_layer(fast) == last_spatial_layer(classifier)
    assert layer_named(fast, "0") is fast.network.get_submodule("0")
    assert layer_named(fast, "0") is not classifier.net[0]


def test_perturbations_that_mask_different_things_are_refused(make_pixels):
    made = bench(PRESETS["paper"])
    preset = replace(PRESETS["paper"], perturbations=(DropActivation(2),), shown_with=Blur())
    with pytest.raises(UnseeError, match="masks of one size"):
        explain(made.classifier, make_pixels(48, 48), preset=preset)


def test_a_mask_that_edits_no_pixels_claims_no_edited_photo(make_pixels, tmp_path):
    made = bench(PRESETS["paper"])
    preset = replace(
        PRESETS["paper"],
        perturbations=(DropActivation(2),),
        optimiser=Adam(iterations=2),
        grid=Grid(shape=(24, 24), blur=0.0),
        start=ConstantStart(0.5),
        jitter=0,
    )
    found = explain(made.classifier, make_pixels(48, 48), preset=preset)
    assert found.perturbed is None
    assert found.scores.perturbed != found.scores.original
    assert [title for _, title in found.panels()][1].endswith("no pixel edited")
    folder = found.save(tmp_path / "out")
    assert not (folder / "perturbed.png").exists()
    loaded = Explanation.load(folder, make_pixels(48, 48))
    assert loaded.perturbed is None
    assert torch.equal(loaded.mask, found.mask)
    box = (2, 2, 20, 20)
    with pytest.raises(UnseeError, match="drop-activation edits no pixels"):
        interrogate(made.classifier, make_pixels(48, 48), box, 0, DropActivation(2))


@dataclass(frozen=True)
class AreaRamp(Penalty):
    """A penalty that grows with each iteration: the distance of the area from a given one."""

    aim: float
    name: str = "area"

    def value(self, masks: Tensor, game: object, iteration: Tensor) -> Tensor:
        return (iteration + 1) * (game.saliency(masks).mean(dim=(1, 2)) - self.aim).square()

    def gradient(self, masks: Tensor, game: object, iteration: Tensor) -> Tensor:
        return gradient_of(self, masks, game, iteration)


class TestNamedPenalties:
    def test_any_number_of_penalties_is_carried_by_name_to_the_manifest(self, classifier, make_pixels):
        objective = PRESETS["paper"].objective.with_penalty(AreaRamp(0.25))
        assert isinstance(AreaRamp(0.25), Penalty)
        preset = replace(PRESETS["paper"], objective=objective)
        found = explain(classifier, make_pixels(), preset=preset, iterations=40)
        manifest = found.manifest()
        assert list(found.run.history) == ["score", "l1", "tv", "area"]
        assert list(manifest["objective_terms"]) == ["score", "l1", "tv", "area"]
        assert manifest["settings"]["objective"]["penalties"][2] == {
            "type": "AreaRamp",
            "aim": 0.25,
            "name": "area",
        }
        grid = found.mask_grid.double()
        assert found.run.objective["area"] == pytest.approx(
            41 * float(((1 - grid).mean() - 0.25) ** 2), rel=1e-3, abs=1e-9
        )
        assert found.objective == pytest.approx(sum(found.run.objective.values()))

    def test_without_penalties_only_the_score_counts(self, classifier, make_pixels):
        preset = replace(PRESETS["fast"], objective=Objective(penalties=()))
        found = explain(classifier, make_pixels(), preset=preset)
        assert list(found.run.objective) == ["score"]
        assert found.objective == pytest.approx(found.run.objective["score"])

    def test_one_of_the_same_name_is_replaced(self):
        objective = Objective().with_penalty(L1(1e-3))
        assert objective.penalties == (L1(1e-3), TotalVariation(1e-2))

    @pytest.mark.parametrize("penalties", [(L1(1.0), L1(2.0)), (L1(1.0, name="score"),)])
    def test_names_that_clash_are_refused(self, penalties):
        with pytest.raises(UnseeError, match="names of their own"):
            Objective(penalties=penalties)
