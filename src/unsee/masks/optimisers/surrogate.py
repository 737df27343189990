"""An optimiser without a gradient: it learns a model of the score from evaluations, and minimises that.

Only the score is unknown: the penalties are known in closed form. Each step asks for a few masks; the first
steps for the two ends and smooth random masks, all others for those that minimise the exact penalties plus a
function that the score could be, given all evaluations (`ScoreModel`): its mean and samples of it, as in
Thompson sampling, within a trust region round the best mask that shrinks (TuRBO: Eriksson et al. 2019).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.objective import SCORE, penalty_total
from unsee.masks.optimisers.descent import minimised
from unsee.masks.optimisers.protocol import Evaluation, Memory
from unsee.masks.optimisers.random_masks import smooth_random_masks
from unsee.masks.optimisers.score_model import Features, ScoreModel, choices_near
from unsee.masks.optimisers.search import Known, Link, Search, State
from unsee.tensors import generator

_MODEL_STREAM, _FIRST_STREAM = 7_000_000, 8_000_000
_SAME = 1e-3
_REFITTED = 3
"""Steps after which length and noise of the model are chosen again."""
_GROWTH, _SHRINKAGE, _LEAST_TRUST = 1.4, 0.9, 0.4


@dataclass(frozen=True)
class Surrogate:
    """Descent on a model of the score that is made of evaluations without gradients.

    It knows no bounds but [0,1]: others are set by paths alone, which need gradients (`Continuing`).

    Args:
        budget: evaluations of masks for each image, in whole steps.
        probes: masks that each step asks for.
        opening: masks that are drawn at random before the model is used.
        remembered: evaluations that the model is made of at most, those nearest to the best mask.
        waves: cosines along each axis that the model is made of.
        radius: how far each cell may move in the first step of the model, in mask values.
        least_radius: how far in the last.
        inner: steps on the model for each evaluation.

    Raises:
        UnseeError: a count below 1, a budget below the masks of the opening, or a radius outside its range.
    """

    budget: int = 1000
    probes: int = 20
    opening: int = 40
    remembered: int = 400
    waves: int = 16
    radius: float = 1.5
    least_radius: float = 0.1
    inner: int = 30

    needs_gradient: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    """It approximates the published optimiser's result."""
    settles_early: ClassVar[bool] = False
    """Every image takes the whole budget."""

    def __post_init__(self) -> None:
        counts = (self.probes - 2, self.remembered, self.waves, self.inner)
        if any(not isinstance(count, int) or count < 1 for count in counts):
            raise UnseeError(
                "Surrogate needs at least 3 probes, and remembered, waves and inner of at least 1"
            )
        if not isinstance(self.budget, int) or self.budget < self.least_budget:
            raise UnseeError(
                f"masks without a gradient need a budget of at least {self.least_budget} evaluations, "
                f"got {self.budget!r}"
            )
        if not 0 < self.least_radius <= self.radius:
            raise UnseeError("Surrogate needs least_radius in (0, radius]")

    @property
    def least_budget(self) -> int:
        """Evaluations of the opening, and of two steps of the model."""
        return self.opening + 2 * self.probes

    @property
    def iterations(self) -> int:
        """Steps for each image."""
        return self.budget // self.probes

    @property
    def masks_per_step(self) -> int:
        """Masks that each step asks for."""
        return self.probes

    @property
    def summary(self) -> str:
        """The budget."""
        return f"{self.budget} evaluations, without a gradient"

    def limited(self, iterations: int) -> "Surrogate":
        """The same with another number of steps."""
        return replace(self, budget=iterations * self.probes)

    def begin(self, masks: Float[Tensor, "b r c"], seeds: Int[Tensor, " b"]) -> Memory:
        """What is known of each image before the first step: nothing.

        Evaluated masks, their scores, penalties and jitter; the next masks to ask for; the numbers of
        `State`; the seed.
        """
        batch = len(masks)
        count = self.iterations * self.probes
        first = [self._drawn(masks[0], seed, 0) for seed in seeds.tolist()]
        state = masks.new_tensor(State()).expand(batch, -1).clone()
        return (
            masks.new_zeros(batch, count, *masks.shape[1:]),
            masks.new_full((batch, count), math.nan),
            masks.new_zeros(batch, count),
            seeds.new_zeros(batch, count),
            torch.stack(first),
            state,
            seeds.clone(),
        )

    def ask(
        self,
        memory: Memory,
        masks: Float[Tensor, "b r c"],  # noqa: ARG002
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, "b k r c"]:
        """The masks that `tell` has prepared."""
        return memory[4]

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The best mask so far, and the masks that the model, with these evaluations, finds promising."""
        points, scores, penalties, jitter = (part.clone() for part in memory[:4])
        state, seeds = memory[5:]
        objective, asked = evaluation.objective, evaluation.masks
        rows = torch.arange(len(asked), device=asked.device)[:, None]
        places = iteration[:, None] * self.probes + torch.arange(self.probes, device=asked.device)
        points[rows, places] = asked
        scores[rows, places] = objective.game.sign * evaluation.terms[SCORE] / evaluation.edits
        penalties[rows, places] = penalty_total(evaluation.terms)
        if evaluation.places is not None:
            jitter[rows, places] = evaluation.places
        link = Link.of(objective, evaluation.edits)
        searches = []
        for row, step in enumerate(iteration.tolist()):
            count = (step + 1) * self.probes
            seen = [part[row, :count].cpu() for part in (points, scores, penalties, jitter)]
            known = Known(seen[0], seen[1], seen[2], seen[3], link)
            before = State(*state[row].tolist())
            searches.append(self._searched(known, before, int(seeds[row]), step, objective.game.ideal))
        proposed = self._proposed(searches, evaluation, iteration)
        after = torch.tensor([search.state for search in searches], dtype=state.dtype)
        masks = torch.stack([search.center for search in searches]).to(asked)
        return masks, (points, scores, penalties, jitter, proposed, after.to(state), seeds)

    def settled(
        self,
        history: Float[Tensor, "b iterations terms"],  # noqa: ARG002
        iteration: Int[Tensor, " b"],
    ) -> Bool[Tensor, " b"]:
        """After the last step, and never before it."""
        return iteration + 1 >= self.iterations

    def reach(self, step: int) -> float:
        """How far a cell may move in a step, in mask values, where the last steps were good."""
        done = step / max(self.iterations - 1, 1)
        return self.radius * math.pow(self.least_radius / self.radius, done)

    def _searched(self, known: Known, before: State, seed: int, step: int, ideal: float) -> Search:
        """Where an image's search stands after a step."""
        costs = known.costs()
        best = int(costs.argmin())
        lowest = float(costs[best])
        drawn = self._drawn(known.masks[0], seed, step + 1)
        if len(costs) < self.opening or lowest == math.inf:
            return Search(known.masks[best], drawn, None, 0.0, before._replace(lowest=lowest))
        better = lowest < before.lowest - _SAME * abs(before.lowest) or before.choice < 0
        trust = min(1.0, _GROWTH * before.trust) if better else max(_SHRINKAGE * before.trust, _LEAST_TRUST)
        features = Features.near(known.masks[best], ideal, self.waves)
        used = features.of(known.masks).square().sum(dim=1).where(costs.isfinite(), math.inf)
        rows = used.argsort(stable=True)[: min(self.remembered, int(costs.isfinite().sum()))]
        choice = None if before.choice < 0 else int(before.choice)
        model = ScoreModel.fitted(
            features,
            known.masks[rows],
            known.values()[rows],
            known.jitter[rows],
            self.probes,
            generator(seed, _MODEL_STREAM + step),
            (choice,) if choice is not None and step % _REFITTED else choices_near(choice),
        )
        means = known.link.score(model.means(known.masks[rows]), model.shifts)
        center = known.masks[rows[int((known.penalties[rows] + known.link.rise * means).argmin())]]
        state = State(trust, lowest, float(model.choice))
        return Search(center, drawn, model, self.reach(step) * trust, state)

    def _proposed(
        self, searches: Sequence[Search], evaluation: Evaluation, iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b k r c"]:
        """The masks to ask for next: those of the models, or random ones where an image has none yet."""
        objective, asked = evaluation.objective, evaluation.masks
        link = Link.of(objective, evaluation.edits)
        start = torch.stack([search.center for search in searches]).to(asked)[:, None].expand_as(asked)
        reach = start.new_tensor([search.reach for search in searches])[:, None, None, None]
        low, high = (start - reach).clamp(0, 1), (start + reach).clamp(0, 1)
        steps = iteration.repeat_interleave(self.probes)

        def gradient(masks: Tensor) -> Tensor:
            pull = objective.penalty_gradient(masks.flatten(0, 1), steps).view_as(masks)
            return pull + torch.stack(
                [search.pull(own, link) for search, own in zip(searches, masks, strict=True)]
            )

        found = start
        if any(search.model is not None for search in searches):
            found = minimised(gradient, start, (low, high), reach, self.inner)
        drawn = torch.stack([search.drawn for search in searches]).to(asked)
        opening = torch.tensor([search.model is None for search in searches], device=asked.device)
        return torch.where(opening[:, None, None, None], drawn, found)

    def _drawn(self, like: Float[Tensor, "r c"], seed: int, step: int) -> Float[Tensor, "k r c"]:
        """Random masks of an opening step; the first two of the first step are the ends."""
        shape = like.shape[0], like.shape[1]
        masks = smooth_random_masks(self.probes, shape, generator(seed, _FIRST_STREAM + step)).to(like)
        if step == 0:
            masks[0], masks[1] = 1, 0
        return masks
