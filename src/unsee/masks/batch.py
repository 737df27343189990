"""Images on their way through the loop."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.masks.objective import Objective, Terms
from unsee.masks.optimisers.protocol import Algorithm, Memory


@runtime_checkable
class Task(Protocol):
    """A group of images to be asked about."""

    @property
    def objective(self) -> Objective:
        """What masks are rewarded for."""

    @property
    def edits(self) -> int:
        """Perturbations, over which the score is summed."""

    def terms(self, masks: Float[Tensor, "b r c"], iteration: Int[Tensor, " b"]) -> Terms:
        """The objective's parts, differentiable, each image at its own iteration."""

    def select(self, rows: Int[Tensor, " k"]) -> Any:  # noqa: ANN401
        """Some of the images, as a task of the same kind."""

    def joined(self, other: Any) -> Any:  # noqa: ANN401
        """These images and others of the same kind."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Images on their way, with all that their next step depends on.

    Args:
        ids: what each image is called by whoever sent it.
        task: asks the network.
        masks: where they are.
        memory: the algorithm's.
        iteration: how many steps each has taken.
        history: score, l1 and tv terms before each step.
        failed_at: the iteration at which an image's loss or gradient stopped being finite, -1 where none did;
            its mask stays as it was before.
        seconds: each image's share of the time.
    """

    ids: tuple[int, ...]
    task: Task
    masks: Float[Tensor, "b r c"]
    memory: Memory
    iteration: Int[Tensor, " b"]
    history: Float[Tensor, "b iterations 3"]
    failed_at: Int[Tensor, " b"]
    seconds: Float[Tensor, " b"]

    @classmethod
    def begin(cls, ids: tuple[int, ...], task: Task, masks: Tensor, algorithm: Algorithm) -> "Batch":
        """Images before their first step."""
        count = len(ids)
        return cls(
            ids=ids,
            task=task,
            masks=masks.detach(),
            memory=algorithm.begin(masks.detach()),
            iteration=torch.zeros(count, dtype=torch.long, device=masks.device),
            history=masks.new_zeros(count, algorithm.iterations, 3),
            failed_at=torch.full((count,), -1, device=masks.device),
            seconds=torch.zeros(count, dtype=torch.float64),
        )

    def select(self, keep: Bool[Tensor, " b"]) -> "Batch":
        """Those of the images that are marked."""
        rows = keep.nonzero().flatten()
        here = rows.cpu()
        return Batch(
            ids=tuple(self.ids[row] for row in here.tolist()),
            task=self.task.select(rows),
            masks=self.masks[rows],
            memory=tuple(part[rows] for part in self.memory),
            iteration=self.iteration[rows],
            history=self.history[rows],
            failed_at=self.failed_at[rows],
            seconds=self.seconds[here],
        )

    def joined(self, other: "Batch") -> "Batch":
        """These images and others."""
        return Batch(
            ids=self.ids + other.ids,
            task=self.task.joined(other.task),
            masks=torch.cat([self.masks, other.masks]),
            memory=tuple(torch.cat(pair) for pair in zip(self.memory, other.memory, strict=True)),
            iteration=torch.cat([self.iteration, other.iteration]),
            history=torch.cat([self.history, other.history]),
            failed_at=torch.cat([self.failed_at, other.failed_at]),
            seconds=torch.cat([self.seconds, other.seconds]),
        )
