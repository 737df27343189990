"""The smallest mask that suffices: what it is checked by, how little it costs, and what it says of itself."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from literal import gaussian
from nets import bench
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks import PRESETS, adjusted, explain
from unsee.masks.batch import Batch
from unsee.masks.checks import SCORED_BEFORE, unseen_for
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.grid import Grid
from unsee.masks.jittered import JitteredScorer
from unsee.masks.loop import Capacity, optimise
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.optimisers.protocol import Bounds, within
from unsee.masks.paths import TOUCHES, Paths
from unsee.masks.photos import Plan, learn_photos
from unsee.masks.smallest_mask_arguments import asked_to_suffice
from unsee.masks.smallest_masks import suffice_each
from unsee.masks.walk import Bracket
from unsee.smallest_mask import Sufficient
from unsee.verdicts import CONVERGED, NOT_REACHED

GAMES = ("deletion", "preservation")
SETTINGS = replace(PRESETS["fast"], grid=Grid(shape=(8, 8), blur=2.0)).on("softmax")
RANKS = ((0,), (0,))


def settings_of(game):
    return adjusted(SETTINGS, game=game)


def answers(made, settings, question, rows=None):
    """What is learned of some of the photos, side by side."""
    requests = made.requests if rows is None else [made.requests[row] for row in rows]
    left = [requests]
    return [
        learned
        for _, learned in suffice_each(
            made.classifier, lambda _: left.pop() if left else [], settings, question, len(requests)
        )
    ]


@pytest.fixture(scope="module")
def made():
    return bench(SETTINGS, ranks=RANKS)


@pytest.fixture(scope="module")
def found(made):
    """The first answers in both games, shared."""
    return {game: answers(made, settings_of(game), Sufficient(0.7)) for game in GAMES}


class TestBracket:
    @pytest.mark.parametrize("highest", [-7.3, -0.2, 0.4, 9.1])
    def test_it_closes_in_on_the_highest_that_suffices(self, highest):
        bracket = Bracket(0.0)
        for _ in range(30):
            after = bracket.told(bracket.now <= highest)
            assert after.enough >= bracket.enough
            assert after.too_much <= bracket.too_much
            assert after.enough <= highest < after.too_much or math.isinf(after.enough)
            bracket = after
        assert bracket.too_much - bracket.enough < 1e-4
        assert bracket.enough == pytest.approx(highest, abs=1e-4)

    def test_steps_by_a_factor_until_both_sides_are_known(self):
        higher = Bracket(0.0).told(True)
        assert higher.now == pytest.approx(math.log(4))
        assert higher.told(False).now == pytest.approx(math.log(2))
        assert Bracket(0.0).told(False).now == pytest.approx(-math.log(4))


@pytest.mark.parametrize(
    ("learned", "unseen"),
    [
        *(("blur", "constant"), ("pyramid", "constant"), ("median", "constant"), ("noise", "constant")),
        *(("constant", "blur"), ("black", "blur"), ("joint", "median")),
    ],
)
def test_the_unseen_perturbation_is_of_another_kind(learned, unseen):
    assert unseen_for(PERTURBATIONS[learned]).name == unseen


class TestBounds:
    """Cells that are held stay where they are, whatever the optimiser."""

    @pytest.mark.parametrize("game", GAMES)
    @pytest.mark.parametrize("optimiser", [Adam(iterations=6), Bundle(iterations=6)], ids=["Adam", "Bundle"])
    def test_held_cells_never_move(self, made, game, optimiser):
        settings = replace(settings_of(game), optimiser=optimiser)
        scoring = made.scoring(settings)
        upsampler = settings.grid.upsampler(scoring.size, scoring.targets)
        held, ideal = torch.zeros(2, 8, 8, dtype=torch.bool), settings.objective.game.ideal
        held[:, 2:5, 1:7] = True
        low = torch.zeros(2, 8, 8, dtype=torch.float64).masked_fill(held, ideal)
        bounds = Bounds(low, torch.ones_like(low).masked_fill(held, ideal))
        offsets = torch.zeros(2, 6, 2, dtype=torch.long)
        scorer = JitteredScorer(scoring, settings, upsampler, offsets, torch.zeros(2, dtype=torch.long))
        start = torch.full_like(low, 1 - ideal)

        def learned(bounds):
            masks = within(start, bounds)
            left = [replace(Batch.begin((0, 1), scorer, masks, optimiser), bounds=bounds)]
            (batch,) = optimise(lambda _: left.pop() if left else None, optimiser, Capacity(2))
            return batch

        batch, free = learned(bounds), learned(None)
        for masks in (batch.masks, batch.best):
            assert bool((masks[held] == ideal).all())
            assert bool((masks[~held] != ideal).any())
        assert bool((free.masks[held] != ideal).any())
        (one, other) = (batch.select(torch.tensor([True, False])), batch.select(torch.tensor([False, True])))
        assert torch.equal(one.joined(other).bounds.low, bounds.low)


def literal_scores(made, row, grid, names):
    """Scores of a photo under a mask on 8×8 cells by each perturbation, in numpy."""
    one = made.inputs[row]
    image = one.plain.numpy()
    height, width = image.shape[1:]
    mask = gaussian(np.kron(grid, np.ones((height // 8, width // 8)))[None], 2.0)[0]
    ends = {
        "blur": gaussian(image, 10.0),
        "constant": np.broadcast_to(np.array(one.mean_color)[:, None, None], image.shape),
    }
    pictures = [mask * image + (1 - mask) * ends[name] for name in names]
    with torch.no_grad():
        logits = made.net(torch.from_numpy(np.stack(pictures)))
    return mask, logits.softmax(dim=1)[:, made.targets[row][0]].numpy()


class TestChecked:
    """Everything that is said of a mask, computed anew in numpy and float64."""

    @pytest.mark.parametrize("game", GAMES)
    def test_scores_shares_and_area(self, made, found, game):
        names = ("blur", "constant")
        for row, learned in enumerate(found[game]):
            point = learned.sufficiency.chosen
            mask, edited = literal_scores(made, row, learned.grid.numpy(), names)
            _, (original, _) = literal_scores(made, row, np.ones((8, 8)), names)
            _, ends = literal_scores(made, row, np.zeros((8, 8)), names)
            kept = (edited - ends) / (original - ends)
            shares = 1 - kept if game == "deletion" else kept
            assert [point.score, point.unseen_score] == pytest.approx(edited.tolist(), abs=1e-9)
            assert [point.share, point.unseen_share] == pytest.approx(shares.tolist(), abs=1e-7)
            assert learned.scores.tolist() == pytest.approx([original, edited[0], ends[0]], abs=1e-9)
            marked = 1 - mask if game == "deletion" else mask
            assert point.area == pytest.approx(marked.mean(), abs=1e-6)
            assert point.reaches == bool(shares.min() >= 0.7)
            assert learned.terms["l1"] == pytest.approx(point.lambda1 * 784 * learned_saliency(learned, game))

    @pytest.mark.parametrize("game", GAMES)
    def test_the_smallest_of_those_that_suffice_is_returned(self, found, game):
        for learned in found[game]:
            path = learned.sufficiency.path
            assert [point.reaches for point in path] == [
                min(point.share, point.unseen_share) >= 0.7 for point in path
            ]
            enough = [point.area for point in path if point.reaches]
            assert learned.verdict == CONVERGED
            assert learned.sufficiency.chosen.area == min(enough)
            assert len({point.lambda1 for point in path}) > 3
            assert [one.evaluations for one in path] == sorted(one.evaluations for one in path)


def learned_saliency(learned, game):
    grid = learned.grid.numpy()
    return float((1 - grid if game == "deletion" else grid).mean())


def searched(made, row, settings, game, share):
    """The least area over a fine grid of λ1, each optimised to the end by plain gradient steps."""
    l1 = torch.tensor([2e-4 * 1.8**k for k in range(12)], dtype=torch.float64)
    image = made.inputs[row].plain
    blurred = torch.from_numpy(gaussian(image.numpy(), 10.0))
    target, best = made.targets[row][0], math.inf
    sign, ideal = (1, 1.0) if game == "deletion" else (-1, 0.0)
    up = settings.grid.upsampler(tuple(image.shape[1:]), image)
    masks = torch.full((len(l1), 8, 8), 1 - ideal, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([masks], lr=0.07)
    for _ in range(80):
        adam.zero_grad()
        large = up(masks)[:, None]
        score = made.net(large * image + (1 - large) * blurred).softmax(dim=1)[:, target]
        down, right = torch.diff(masks, dim=1), torch.diff(masks, dim=2)
        down = torch.cat([down, torch.zeros(len(masks), 1, 8)], dim=1)
        right = torch.cat([right, torch.zeros(len(masks), 8, 1)], dim=2)
        variation = 0.01 * ((down**2 + right**2 + 1e-12) ** 1.5).sum(dim=(1, 2))
        area = l1 * 784 / 64 * (masks - ideal).abs().sum(dim=(1, 2))
        (sign * score + area + variation).sum().backward()
        adam.step()
        with torch.no_grad():
            masks.clamp_(0, 1)
    _, (original, _) = literal_scores(made, row, np.ones((8, 8)), ("blur", "constant"))
    _, ends = literal_scores(made, row, np.zeros((8, 8)), ("blur", "constant"))
    for grid in masks.detach().numpy():
        for by in np.geomspace(0.7, 3.4, 16):
            one = np.abs(ideal - np.minimum(np.abs(ideal - grid) * by, 1))
            mask, edited = literal_scores(made, row, one, ("blur", "constant"))
            kept = (edited - ends) / (original - ends)
            if (1 - kept if game == "deletion" else kept).min() >= share:
                best = min(best, float(np.abs(ideal - mask).mean()))
    return best


@pytest.mark.parametrize("game", GAMES)
def test_about_as_small_as_a_fine_search_finds(made, found, game):
    for row, learned in enumerate(found[game]):
        slow = searched(made, row, SETTINGS, game, 0.7)
        assert 0.4 * slow <= learned.sufficiency.chosen.area <= 1.8 * slow


class Counting(nn.Module):
    """A network that counts the images it is given."""

    def __init__(self, net):
        super().__init__()
        self.net, self.images = net, 0

    def forward(self, images):
        self.images += len(images)
        return self.net(images)


class TestBudget:
    @pytest.mark.parametrize(
        ("perturbation", "another"),
        [("blur", 0), ("joint", 0), ("blur", 1)],
        ids=["blur", "joint", "another"],
    )
    def test_every_evaluation_is_counted_and_none_is_beyond(self, made, perturbation, another):
        counting = Counting(made.classifier.net)
        classifier = replace(made.classifier, net=counting)
        settings = adjusted(SETTINGS, perturbation=perturbation).on("softmax")
        _ = classifier.reading
        counting.images = 0
        question = Sufficient(0.7, another=another)
        found = Paths.prepare(classifier, classifier, made.requests, settings, question).answers()
        every = [one for learned in found for one in (learned, *learned.others)]
        again = SCORED_BEFORE * (len(every) - len(found))  # the others count the photo's own scores too
        assert max(one.evaluations for one in every) <= 80
        assert min(one.evaluations for one in every) > 50
        counted = sum(one.evaluations for one in every) - again
        assert counting.images == counted - len(found)  # the target was scored before

    def test_a_smaller_budget_is_kept(self, made):
        (learned, *_) = answers(made, SETTINGS, Sufficient(0.7, evaluations=45))
        assert learned.evaluations <= 45


class TestBatches:
    def test_a_batch_gives_what_single_images_give(self, made, found):
        for row, learned in enumerate(found["deletion"]):
            (alone,) = answers(made, SETTINGS, Sufficient(0.7), [row])
            assert torch.allclose(alone.grid, learned.grid, atol=1e-9)
            assert alone.evaluations == learned.evaluations
            assert alone.sufficiency.chosen.row() == pytest.approx(learned.sufficiency.chosen.row(), abs=1e-9)

    def test_the_same_seed_gives_the_same_mask(self, made, found):
        again = answers(made, SETTINGS, Sufficient(0.7))
        assert all(torch.equal(one.grid, two.grid) for one, two in zip(again, found["deletion"], strict=True))

    def test_the_model_comes_back_as_it_was(self, classifier, make_pixels):
        net = classifier.net.train()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        explain(classifier, make_pixels(), suppress=0.5, another=1)
        assert net.training
        assert all(weight.requires_grad for weight in net.parameters())
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


class Middle(nn.Module):
    """Sees the middle of the photo alone."""

    def forward(self, images):
        seen = images[:, :, 12:20, 12:20].diff(dim=-1).abs().mean(dim=(1, 2, 3))
        return torch.stack([20 * seen - 3, torch.zeros_like(seen)], dim=1)


class TestAnother:
    @pytest.mark.parametrize("game", GAMES)
    def test_other_masks_do_not_touch_the_earlier(self, made, game):
        settings = settings_of(game)
        for learned in answers(made, settings, Sufficient(0.4, another=2, evaluations=50)):
            saliency = settings.objective.game.saliency
            taken = torch.zeros(8, 8, dtype=torch.bool)
            assert learned.others
            for number, one in enumerate((learned, *learned.others)):
                assert not bool((saliency(one.grid)[taken] > 0).any())
                taken |= saliency(one.grid) > TOUCHES
                assert one.sufficiency.number == number
            verdicts = [one.verdict for one in (learned, *learned.others)]
            assert all(verdict == CONVERGED for verdict in verdicts[:-1])
            ended = len(learned.others) < 2 or verdicts[-1] != CONVERGED
            assert ended == bool(learned.sufficiency.stopped)

    def test_it_stops_and_says_so_where_nothing_else_suffices(self):
        striped = np.zeros((32, 32, 3), dtype=np.uint8)
        striped[:, ::2] = 255
        found = explain(Classifier(Middle(), size=(32, 32)), striped, 0, suppress=0.9, another=3)
        assert found.run.verdict == CONVERGED
        assert len(found.others) == 1
        (other,) = found.others
        assert other.run.verdict.startswith(NOT_REACHED)
        assert "of the 90.0% asked for" in other.run.verdict
        assert not other.converged
        assert other.sufficiency.chosen.worst == max(point.worst for point in other.sufficiency.path)
        assert found.sufficiency.stopped.startswith("no further mask suffices: another 1 was not reached")

    def test_without_a_first_there_is_no_other(self):
        flat = Classifier(Middle(), size=(32, 32))
        found = explain(flat, np.full((32, 32, 3), 90, dtype=np.uint8), 0, suppress=0.9, another=1)
        assert found.run.verdict.startswith(f"{NOT_REACHED}: no share can be told")
        assert (found.others, found.sufficiency.stopped) == (
            (),
            "no mask suffices, so that no other was looked for",
        )


def test_learned_photos_carry_the_answer(classifier, make_pixels):
    from unsee.images import read_photo

    plan = Plan(PRESETS["fast"], "fast", sufficient=Sufficient(0.5))
    (learned,) = learn_photos(classifier, [(read_photo(make_pixels()), None)], plan)
    assert learned.learned.sufficiency.asked == Sufficient(0.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"suppress": 0.9, "keep": 0.9}, "give one of them"),
        ({"suppress": 1.0}, "above 0 and below 1"),
        ({"keep": 0.0}, "above 0 and below 1"),
        ({"suppress": 0.9, "another": -1}, "whole number"),
        ({"path": True}, "need suppress or keep"),
        ({"another": 1}, "need suppress or keep"),
        ({"suppress": 0.9, "game": "preservation"}, "is for the game deletion"),
        ({"keep": 0.9, "game": "deletion"}, "is for the game preservation"),
        ({"suppress": 0.9, "iterations": 9}, "chooses its iterations itself"),
        ({"suppress": 0.9, "preset": "paper"}, "use the preset fast"),
        ({"suppress": 0.9, "layer": "0"}, "masks on pixels"),
    ],
)
def test_what_makes_no_sense_is_refused(classifier, make_pixels, arguments, words):
    with pytest.raises(UnseeError, match=words) as error:
        explain(classifier, make_pixels(), **arguments)
    assert "\n" not in str(error.value)


def test_nothing_is_asked_without_a_share():
    assert asked_to_suffice(None, None, game="preservation") == (None, "preservation")
