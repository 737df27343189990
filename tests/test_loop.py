"""The loop without a network: images join, converge at their own pace, wait for memory, and leave."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.batch import Batch
from unsee.masks.loop import Capacity, Step, optimise
from unsee.masks.objective import Objective
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.penalty_protocol import Penalty
from unsee.masks.scoring import Scored


@dataclass(frozen=True)
class Clock(Penalty):
    """A penalty that is the iteration, so that histories tell the order of steps."""

    name: str = "clock"

    def value(self, masks: Tensor, game: object, iteration: Tensor) -> Tensor:
        return 0 * masks.sum(dim=(1, 2)) + iteration

    def gradient(self, masks: Tensor, game: object, iteration: Tensor) -> Tensor:
        return torch.zeros_like(masks)


@dataclass(frozen=True, eq=False)
class Bowls:
    """A scorer without a network: the squared distance from each image's own mask value."""

    bottoms: Tensor
    fits: int = 100
    objective: Objective = Objective(penalties=(Clock(),), score=lambda *_: None)
    edits: int = 1
    asked: list = None
    plain: None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        return (0,) * len(self.bottoms)

    def scores(self, masks: Tensor, iteration: Tensor) -> Scored:
        if len(masks) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.asked is not None:
            self.asked.append(len(masks))
        return Scored((masks - self.bottoms[:, None, None, None]).square().sum(dim=(2, 3)), None)

    def select(self, rows: Tensor) -> "Bowls":
        return Bowls(self.bottoms[rows], self.fits, self.objective, self.edits, self.asked)

    def joined(self, other: "Bowls") -> "Bowls":
        bottoms = torch.cat([self.bottoms, other.bottoms])
        return Bowls(bottoms, self.fits, self.objective, self.edits, self.asked)


BOTTOMS = torch.linspace(0.2, 0.8, 7, dtype=torch.float64)


def run(optimiser, capacity, fits=100, count=7, progress=None, asked=None):
    """Mask and history of each of some images; the groups in which they finished."""
    left = list(range(count))

    def more(places):
        new = [left.pop(0) for _ in range(min(places, len(left)))]
        if not new:
            return None
        bowls = Bowls(BOTTOMS[new], fits, asked=asked)
        return Batch.begin(tuple(new), bowls, torch.zeros(len(new), 2, 2, dtype=torch.float64), optimiser)

    found, groups = {}, []
    for finished in optimise(more, optimiser, Capacity(capacity), progress):
        groups.append(finished.ids)
        for row, name in enumerate(finished.ids):
            found[name] = finished.masks[row], finished.history[row, : finished.iteration[row]]
    return found, groups


class Uneven(Adam):
    """Adam whose images take as many steps as the bottom they aim for is high."""

    def settled(self, history: Tensor, iteration: Tensor) -> Tensor:
        first = history[:, 0, 0]
        return iteration + 1 >= (20 * first.sqrt()).round()


def test_the_last_iterate_and_the_history_before_each_step_are_returned():
    found, groups = run(Adam(rate=0.05, iterations=200), 7)
    assert groups == [tuple(range(7))]
    for name, (mask, history) in found.items():
        assert torch.allclose(mask, BOTTOMS[name].expand(2, 2), atol=1e-3)
        assert history[0, 0] == 4 * BOTTOMS[name] ** 2
        assert history[:, 1].tolist() == list(range(200))


@pytest.mark.parametrize("optimiser", [Adam(iterations=30), Uneven(iterations=40), Bundle(iterations=30)])
@pytest.mark.parametrize(("capacity", "fits"), [(1, 100), (3, 100), (4, 100), (7, 3), (7, 1)])
def test_an_image_ends_the_same_in_every_batch(optimiser, capacity, fits):
    alone, _ = run(optimiser, 7)
    together, groups = run(optimiser, capacity, fits)
    assert sorted(sum(groups, ())) == list(range(7))
    for name, (mask, history) in alone.items():
        assert torch.allclose(mask, together[name][0], rtol=0, atol=1e-12)
        assert torch.allclose(history, together[name][1], rtol=0, atol=1e-12)


def test_free_places_are_filled_while_others_are_in_progress():
    asked = []
    run(Uneven(iterations=40), 4, asked=asked)
    steps = sum(len(history) for _, history in run(Uneven(iterations=40), 4)[0].values())
    assert sum(asked) == steps
    assert asked[:8] == [4] * 8
    assert len(asked) < steps / 2.5
    assert max(asked) == 4


def test_when_memory_runs_out_half_of_the_images_wait():
    asked = []
    found, _ = run(Adam(iterations=5), 7, fits=2, asked=asked)
    assert max(asked) == 1
    assert len(found) == 7
    assert asked[:5] == [1] * 5  # 7, then 3, then 1 at a time: never more than half of what was too much
    with pytest.raises(UnseeError, match="not enough memory to evaluate one image"):
        run(Adam(iterations=5), 7, fits=0)


def test_waiting_images_fill_free_places():
    asked = []
    run(Uneven(iterations=40), 7, fits=4, asked=asked)
    assert asked[:3] == [3, 3, 3]
    assert max(asked) == 3
    assert asked.count(3) > len(asked) / 2


def test_progress_never_falls_when_memory_runs_out():
    steps: list[Step] = []
    run(Uneven(iterations=40), 7, fits=2, progress=steps.append)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[-1] == 7


def test_another_error_is_not_taken_for_a_lack_of_memory(monkeypatch):
    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr(Bowls, "scores", broken)
    with pytest.raises(RuntimeError, match="boom"):
        run(Adam(iterations=5), 7)


def test_progress_counts_images_and_ends_with_all_of_them():
    steps: list[Step] = []
    run(Uneven(iterations=40), 4, progress=steps.append)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[-1] == 7
    assert 0 < done[0] < 1


def test_an_image_that_is_not_finite_leaves_with_the_mask_it_had():
    optimiser = Adam(iterations=9)
    bottoms = torch.tensor([0.5, torch.nan, 0.4], dtype=torch.float64)
    start = torch.full((3, 2, 2), 0.7, dtype=torch.float64)
    batches = [Batch.begin((0, 1, 2), Bowls(bottoms), start, optimiser)]
    first, rest = optimise(lambda _: batches.pop() if batches else None, optimiser, Capacity(3))
    assert (first.ids, first.failed_at.tolist()) == ((1,), [0])
    assert torch.equal(first.masks, start[:1])
    assert (rest.ids, rest.iteration.tolist()) == ((0, 2), [9, 9])
