"""A batch of images in progress, with everything that their next step depends on."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.masks.jittered import JitteredScorer
from unsee.masks.objective import Objective
from unsee.masks.optimisers.protocol import Bounds, Memory, Optimiser
from unsee.masks.scoring import Scored

_SEEDS = 1 << 63
"""Seeds beyond what a tensor of whole numbers holds are wrapped round."""


@runtime_checkable
class Scorer(Protocol):
    """Scores masks of a group of images."""

    @property
    def objective(self) -> Objective:
        """What masks minimise."""

    @property
    def edits(self) -> int:
        """Perturbations over which the score is summed."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """One for each image."""

    def scores(self, masks: Float[Tensor, "b k r c"], iteration: Int[Tensor, " b"]) -> Scored:
        """Scores of k masks of each image, differentiable, each image at its own iteration."""

    @property
    def plain(self) -> JitteredScorer:
        """What scores masks under the settings' own penalties, as results are examined."""

    def select(self, rows: Int[Tensor, " n"]) -> Any:  # noqa: ANN401
        """Some of the images, as a scorer of the same kind."""

    def joined(self, other: Any) -> Any:  # noqa: ANN401
        """These images and others of the same kind."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Images in progress.

    Args:
        ids: the caller's name of each image.
        scorer: evaluates the network.
        masks: the current results, on their cells.
        start: the first masks.
        best: the evaluated mask with the lowest objective so far; the start before the first evaluation.
        lowest: its objective.
        memory: the optimiser's.
        iteration: how many steps each image has taken.
        evaluated: how many masks of each image have been evaluated in these steps.
        history: the objective's terms of each step, in the order of `Objective.names`; of the best mask where
            a step evaluates several.
        failed_at: the iteration at which an image's loss or gradient stopped being finite, -1 if none did;
            its mask stays as it was before.
        seconds: each image's share of the time.
        bounds: between which values each cell must stay; None for [0,1].
    """

    ids: tuple[int, ...]
    scorer: Scorer
    masks: Float[Tensor, "b r c"]
    start: Float[Tensor, "b r c"]
    best: Float[Tensor, "b r c"]
    lowest: Float[Tensor, " b"]
    memory: Memory
    iteration: Int[Tensor, " b"]
    evaluated: Int[Tensor, " b"]
    history: Float[Tensor, "b iterations terms"]
    failed_at: Int[Tensor, " b"]
    seconds: Float[Tensor, " b"]
    bounds: Bounds | None = None

    @classmethod
    def begin(cls, ids: tuple[int, ...], scorer: Scorer, masks: Tensor, optimiser: Optimiser) -> "Batch":
        """Images before their first step."""
        count, masks = len(ids), masks.detach()
        return cls(
            ids=ids,
            scorer=scorer,
            masks=masks,
            start=masks,
            best=masks,
            lowest=masks.new_full((count,), torch.inf),
            memory=optimiser.begin(
                masks, torch.tensor([seed % _SEEDS for seed in scorer.seeds], device=masks.device)
            ),
            iteration=torch.zeros(count, dtype=torch.long, device=masks.device),
            evaluated=torch.zeros(count, dtype=torch.long, device=masks.device),
            history=masks.new_zeros(count, optimiser.iterations, len(scorer.objective.names)),
            failed_at=torch.full((count,), -1, device=masks.device),
            seconds=torch.zeros(count, dtype=torch.float64),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, keep: Bool[Tensor, " b"]) -> "Batch":
        """Those of the images that are marked."""
        rows = keep.nonzero().flatten()
        here = rows.cpu()
        return Batch(
            ids=tuple(self.ids[row] for row in here.tolist()),
            scorer=self.scorer.select(rows),
            masks=self.masks[rows],
            start=self.start[rows],
            best=self.best[rows],
            lowest=self.lowest[rows],
            memory=tuple(part[rows] for part in self.memory),
            iteration=self.iteration[rows],
            evaluated=self.evaluated[rows],
            history=self.history[rows],
            failed_at=self.failed_at[rows],
            seconds=self.seconds[here],
            bounds=None if self.bounds is None else Bounds(*(part[rows] for part in self.bounds)),
        )

    def joined(self, other: "Batch") -> "Batch":
        """These images and others."""
        return Batch(
            ids=self.ids + other.ids,
            scorer=self.scorer.joined(other.scorer),
            masks=torch.cat([self.masks, other.masks]),
            start=torch.cat([self.start, other.start]),
            best=torch.cat([self.best, other.best]),
            lowest=torch.cat([self.lowest, other.lowest]),
            memory=tuple(torch.cat(pair) for pair in zip(self.memory, other.memory, strict=True)),
            iteration=torch.cat([self.iteration, other.iteration]),
            evaluated=torch.cat([self.evaluated, other.evaluated]),
            history=torch.cat([self.history, other.history]),
            failed_at=torch.cat([self.failed_at, other.failed_at]),
            seconds=torch.cat([self.seconds, other.seconds]),
            bounds=None
            if self.bounds is None or other.bounds is None
            else Bounds(*map(torch.cat, zip(self.bounds, other.bounds, strict=True))),
        )
