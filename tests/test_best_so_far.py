"""Ctrl-C while masks are learned without a gradient: the best mask so far, which says so."""

import pytest
import torch
from PIL import Image
from torch import Tensor

from nets import Untrainable
from unsee.classifier import Classifier
from unsee.masks import explain, plan_for
from unsee.masks.folders import explain_to_folders
from unsee.masks.outcome import _course
from unsee.verdicts import STOPPED, advice

BUDGET = 160


class Interrupted(Untrainable):
    """Raises KeyboardInterrupt once, in the pass that brings the images that it was given to `after`."""

    def __init__(self, net: torch.nn.Module, after: int) -> None:
        super().__init__(net)
        self.left = after

    def forward(self, x: Tensor) -> Tensor:
        before, self.left = self.left, self.left - len(x)
        if before > 0 >= self.left:
            raise KeyboardInterrupt
        return super().forward(x)


@pytest.fixture
def box(make_net):
    """A black box that is interrupted after so many images."""
    return lambda after: Classifier(Interrupted(make_net().double(), after), size=(32, 32), name="box")


def photos(count: int) -> list[Tensor]:
    return [torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in range(count)]


def test_the_mask_is_the_best_so_far_and_says_so(box):
    found = explain(box(110), photos(1)[0], budget=BUDGET)
    assert found.run.verdict.startswith(
        f"{STOPPED} 100 of {BUDGET} evaluations"
    ) or found.run.verdict.startswith(f"{STOPPED} 80 of {BUDGET} evaluations")
    assert found.run.evaluations in (80, 100)
    assert "learns it to the end" in advice(found.run.verdict)
    assert found.scores.perturbed < found.scores.original


def test_before_the_first_step_there_is_none(box):
    with pytest.raises(KeyboardInterrupt):
        explain(box(12), photos(1)[0], budget=BUDGET)


def test_photos_that_were_not_begun_are_missed(box):
    with pytest.raises(KeyboardInterrupt):
        explain(box(110), photos(2), budget=BUDGET, batch_size=1)


def test_several_photos_in_progress_are_all_given(box):
    every = explain(box(230), photos(2), budget=BUDGET, batch_size=2)
    assert [one.run.verdict.startswith(STOPPED) for one in every] == [True, True]


def test_optimisers_by_gradients_are_stopped_as_before(make_net):
    class White(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.left = make_net(), 12

        def forward(self, x: Tensor) -> Tensor:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return self.net(x)

    with pytest.raises(KeyboardInterrupt):
        explain(Classifier(White(), size=(32, 32)), photos(1)[0])


def test_folders_keep_it_until_the_same_call_learns_it_to_the_end(box, tmp_path):
    file = tmp_path / "photo.png"
    Image.fromarray((255 * photos(1)[0]).byte().permute(1, 2, 0).numpy()).save(file)
    plan, out = plan_for(budget=BUDGET), tmp_path / "out"
    first = explain_to_folders(box(110), [file], plan, out=out)
    assert first.stopped
    assert first.saved[0].manifest["verdict"].startswith(STOPPED)
    assert not first.saved[0].manifest["converged"]
    again = explain_to_folders(box(-1), [file], plan, out=out)
    assert not again.stopped
    assert not again.saved[0].manifest["verdict"].startswith(STOPPED)
    assert again.saved[0].manifest["evaluations"] == BUDGET
    whole = explain(box(-1), file, budget=BUDGET)
    assert again.saved[0].manifest["objective"] == whole.objective


def test_many_masks_a_step_are_judged_by_the_best_so_far():
    costs = torch.tensor([3.0, 1.0, 2.0, 0.5, 0.9])
    assert _course(costs, True).tolist() == [3.0, 1.0, 1.0, 0.5, 0.5]
    assert _course(costs, False) is costs
