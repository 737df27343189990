"""Images whose start or fully edited mask was better than what was found are begun again."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from nets import bench, learn_masks
from unsee.masks import PRESETS
from unsee.masks.learner import learn_each
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.settings import Retry, adjusted
from unsee.masks.starts import CircularStart, ConstantStart, EditedStart, Start, Started

RANKS = ((0,), (1, 0), (2, 6, 3))
"""Targets of three photos; of the last the untouched image is better than the fully perturbed one."""


def checkered(masks: Tensor) -> Tensor:
    """Masks that the total variation makes worse than any other."""
    rows, columns = (torch.arange(count) for count in masks.shape[1:])
    return ((rows[:, None] + columns) % 2).to(masks).expand_as(masks)


@dataclass(frozen=True)
class Lost(Adam):
    """Adam that ends at a chequered mask for images with these seeds."""

    seeds: tuple[int, ...] = (0, 1, 2)

    def begin(self, masks, seeds):
        return *super().begin(masks, seeds), seeds

    def tell(self, memory, evaluation, iteration):
        moved, after = super().tell(memory[:2], evaluation, iteration)
        lost = torch.isin(memory[2], torch.tensor(self.seeds))
        return torch.where(lost[:, None, None], checkered(moved), moved), (*after, memory[2])


@dataclass(frozen=True, eq=False)
class Given(Start):
    """Starts from a known mask."""

    mask: Tensor

    def __call__(self, scoring, game, cells):
        none = torch.zeros(len(scoring), dtype=torch.long)
        return Started(self.mask.expand(len(scoring), *cells), none)


AGAIN = Retry(ConstantStart(0.5), Lost(iterations=2))
SOUND = Retry(CircularStart(), Adam(iterations=15))


def lost(*retries, seeds=(0, 1, 2)):
    """Settings whose first attempt is stuck for these images, which start fully edited."""
    optimiser = Lost(iterations=3, seeds=seeds)
    return replace(PRESETS["paper"], start=EditedStart(), optimiser=optimiser, retries=retries)


def of(setting, ranks=RANKS, progress=None):
    """What is learned of some photos in one batch."""
    made = bench(setting, ranks=ranks)
    return learn_masks(made.classifier, made.requests, setting, progress)


def cost(learned):
    return sum(learned.terms.values())


def check_same(one, other):
    """Compare all that does not depend on the time."""
    assert torch.allclose(one.grid, other.grid, rtol=0, atol=1e-10)
    assert torch.allclose(one.scores, other.scores, rtol=0, atol=1e-10)
    told = [(x.verdict, x.evaluations, x.attempts, x.stuck) for x in (one, other)]
    assert told[0] == told[1]
    assert cost(one) == pytest.approx(cost(other), abs=1e-10)


class TestAStuckImage:
    def test_is_begun_again_with_each_retry_in_turn_until_one_is_better(self):
        setting = lost(AGAIN, SOUND, Retry(ConstantStart(0.5), Adam(iterations=7)))
        (found,) = of(setting, ((0,),))
        (alone,) = of(setting.with_retry(SOUND), ((0,),))
        assert not alone.stuck
        assert found.attempts == 3
        assert found.evaluations == 3 + 2 + alone.evaluations
        assert (found.history, found.verdict, found.stuck) == (alone.history, alone.verdict, False)
        assert torch.equal(found.grid, alone.grid)
        assert cost(found) == cost(alone)

    def test_keeps_the_better_attempt(self):
        (first,), (found,) = of(lost(), ((0,),)), of(lost(AGAIN), ((0,),))
        assert first.stuck
        assert (first.attempts, found.attempts) == (1, 2)
        assert found.evaluations == first.evaluations + 2
        assert (found.history, found.stuck) == (first.history, True)
        assert found.verdict == first.verdict == "no gain: no mask was better than the fully perturbed image"
        assert torch.equal(found.grid, first.grid)

    def test_goes_on_where_a_sound_attempt_is_worse_than_an_earlier_one(self):
        (good,) = of(lost().with_retry(SOUND), ((0,),))
        short = Retry(ConstantStart(0.5), Adam(rate=0.01, iterations=6))
        (worse,) = of(lost().with_retry(short), ((0,),))
        (found,) = of(replace(lost(short, AGAIN), start=Given(good.grid)), ((0,),))
        assert not worse.stuck
        assert cost(worse) > cost(good)
        assert (found.attempts, found.evaluations, found.stuck) == (3, 3 + 6 + 2, True)
        assert torch.equal(found.grid, good.grid)

    def test_costs_the_evaluations_and_the_time_of_every_attempt(self):
        (one,), (other,) = of(lost(), ((0,),)), of(lost().with_retry(SOUND), ((0,),))
        for first, second in ((one, other), (other, one)):
            both = replace(second, seconds=2.0, attempts=2).after(replace(first, seconds=3.0))
            assert (both.seconds, both.attempts) == (5.0, 3)
            assert both.evaluations == one.evaluations + other.evaluations
            assert cost(both) == cost(other)

    def test_does_not_affect_the_others(self):
        others = of(lost(AGAIN, SOUND, seeds=()))
        found = of(lost(AGAIN, SOUND, seeds=(1,)))
        assert [one.attempts for one in others] == [1, 1, 1]
        assert [one.attempts for one in found] == [1, 3, 1]
        for row in (0, 2):
            check_same(found[row], others[row])

    @pytest.mark.parametrize("batch_size", [1, 2, 3])
    def test_gives_in_a_batch_what_it_gives_alone(self, batch_size):
        setting = lost(AGAIN, SOUND, seeds=(0, 1))
        made = bench(setting, ranks=RANKS)
        left = list(made.requests)

        def take(places):
            return [left.pop(0) for _ in range(min(places, len(left)))]

        pairs = list(learn_each(made.classifier, take, setting, batch_size))
        together = dict(pairs)
        assert sorted(number for number, _ in pairs) == [0, 1, 2]
        assert [together[row].attempts for row in range(3)] == [3, 3, 1]
        for request in made.requests:
            (alone,) = learn_masks(made.classifier, [request], setting)
            check_same(together[request.id], alone)

    def test_lets_the_progress_never_fall(self):
        setting, steps = lost(AGAIN, SOUND, seeds=(0, 1)), []
        made = bench(setting, ranks=RANKS)
        left = list(made.requests)

        def take(places):
            return [left.pop(0) for _ in range(min(places, len(left)))]

        list(learn_each(made.classifier, take, setting, 2, progress=steps.append))
        done = [step.done for step in steps]
        assert done == sorted(done)
        assert done[-1] == 3
        assert len(steps) > 3 + 15


class TestNoRetry:
    def test_where_the_untouched_image_is_simply_best(self):
        *_, found = of(lost(AGAIN, SOUND))
        assert found.verdict == "no gain: no mask was better than the untouched image"
        assert (found.attempts, found.evaluations, found.stuck) == (1, 3, False)
        assert torch.equal(found.grid, torch.ones_like(found.grid))

    @pytest.mark.parametrize("name", sorted(set(PRESETS) - {"fast", "tokens"}))
    def test_in_a_published_preset(self, name):
        assert PRESETS[name].retries == ()

    def test_of_the_paper_even_if_it_is_stuck(self):
        (found,) = of(replace(PRESETS["paper"], optimiser=Lost(iterations=3)), ((0,),))
        assert found.stuck
        assert found.attempts == 1


class TestARetryForMore:
    def test_where_the_untouched_image_seems_best(self):
        *others, found = of(lost(replace(AGAIN, empty=True)))
        assert found.verdict == "no gain: no mask was better than the untouched image"
        assert (found.attempts, found.evaluations) == (2, 3 + 2)
        assert [one.attempts for one in others] == [2, 2]

    def test_where_a_mask_hardly_changes_the_score(self):
        (one,) = of(lost(), ((0,),))
        slight = replace(one, verdict="no gain: the score is less than a tenth of the way", chosen="learned")
        assert slight.goes_wrong(replace(AGAIN, empty=True))
        assert not slight.goes_wrong(AGAIN)

    def test_where_a_mask_has_not_converged(self):
        setting = replace(PRESETS["paper"], start=CircularStart(), optimiser=Adam(rate=0.02, iterations=20))
        (first,) = of(setting, ((0,),))
        assert first.verdict.startswith("still falling")
        again = setting.until_converged(ConstantStart(0.5), Adam(iterations=2))
        (found,) = of(again, ((0,),))
        assert (found.attempts, found.evaluations) == (2, first.evaluations + 2)

    def test_until_converged_replaces_the_same_attempt_and_repeats_no_first_one(self):
        start, optimiser = CircularStart(), Adam()
        last = Retry(start, optimiser, unconverged=True)
        fast, paper = PRESETS["fast"], PRESETS["paper"]
        assert fast.until_converged(start, optimiser).retries == (fast.retries[0], last)
        assert paper.until_converged(start, optimiser) == paper
        assert PRESETS["top5"].until_converged(ConstantStart(0.5), optimiser).retries == (
            Retry(ConstantStart(0.5), optimiser, unconverged=True),
        )

    def test_a_converged_attempt_is_better_than_any_other(self):
        (one,) = of(lost(), ((0,),))
        sound = replace(one, verdict="converged", chosen="learned", terms={"score": 9.0})
        falling = replace(one, verdict="still falling", chosen="learned", terms={"score": 1.0})
        assert sound.after(falling).verdict == falling.after(sound).verdict == "converged"
        worse = replace(falling, terms={"score": 2.0})
        assert worse.after(falling).terms == falling.after(worse).terms == falling.terms


class TestThePresetFast:
    def test_begins_twice_again_from_discs(self):
        again = Retry(CircularStart(), Bundle(), empty=True)
        assert PRESETS["fast"].retries == (again, Retry(CircularStart(), Adam()))
        limited = adjusted(PRESETS["fast"], iterations=5)
        assert [one.optimiser.iterations for one in (limited, *limited.retries)] == [5, 5, 5]

    def test_reaches_the_papers_mask_where_the_bundle_method_fails(self, monkeypatch):
        """Both attempts of the broken method are worse; the last is the paper's own."""
        tell = Bundle.tell

        def broken(self, *given):
            moved, memory = tell(self, *given)
            return checkered(moved), memory

        monkeypatch.setattr(Bundle, "tell", broken)
        setting = adjusted(PRESETS["fast"], iterations=20)
        (found,) = of(setting, ((0,),))
        (paper,) = of(adjusted(PRESETS["paper"], iterations=20), ((0,),))
        assert found.attempts == 3
        assert torch.equal(found.grid, paper.grid)
        assert found.verdict == paper.verdict
        assert found.evaluations == 20 + paper.evaluations + paper.evaluations
