"""A bundle method: few evaluations of the network, each used for more than one step.

Only evaluations of the network are expensive; the penalties are known in closed form. Each evaluation gives a
score and its gradient: a linear model of the score's logit. The next mask minimises the exact penalties plus
the score that the last evaluations predict, within a trust region that shrinks. If a mask turns out far worse
than predicted, or its score is saturated on the wrong side, its evaluation is kept, and the next step starts
from the last good mask again, with a smaller region. (Bundle methods: Lemaréchal 1978, Kiwiel 1990; modelling
the logit makes them work for a score that saturates.)
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.objective import SCORE, Objective, log_odds_of, penalty_total, total
from unsee.masks.optimisers.descent import minimised
from unsee.masks.optimisers.protocol import (
    Bounds,
    Evaluation,
    Linear,
    Memory,
    whole_number_of_iterations,
    within,
)

_INSIDE = 1e-3
"""Share of the way to the fully edited mask at which the penalties of every cell have a gradient."""


@dataclass(frozen=True)
class Bundle:
    """Descent on a model of the score that is built from the last evaluations of the network.

    Args:
        iterations: evaluations for each image at most; it ends sooner where the objective has converged.
        remembered: how many evaluations the model is made of.
        probe: share of the way towards the unedited mask at which the second evaluation is taken.
        radius: how far each cell may move after the third evaluation, in mask values; the third is free.
        shrink: factor on the radius at each further evaluation.
        least_radius: where the radius stops shrinking; an image can end from then on.
        nearness: root mean square distance at which an evaluation's weight falls to 1/e.
        memory: factor on an evaluation's weight at each further one.
        inner: steps on the model for each evaluation.
        window: evaluations over which the objective is averaged to see whether it still falls.
        gain: share by which it has to fall from one window to the next.
        slack: how much worse than the last good mask another may be: a share of the geometric mean of the
            start's penalties and a probability's range; half as much of the change of any other score from
            the first to the second evaluation.

    Raises:
        UnseeError: a count below 1, or a share or radius outside its range.
    """

    iterations: int = 40
    remembered: int = 8
    probe: float = 0.3
    radius: float = 0.4
    shrink: float = 0.9
    least_radius: float = 0.02
    nearness: float = 0.15
    memory: float = 0.85
    inner: int = 12
    window: int = 4
    gain: float = 0.01
    slack: float = 0.2

    needs_gradient: ClassVar[bool] = True
    """Its linear models are made of gradients."""
    exact: ClassVar[bool] = False
    """It approximates the published optimiser's result, so lower precision is acceptable."""
    masks_per_step: ClassVar[int] = 1
    settles_early: ClassVar[bool] = True
    """An image ends once its objective has converged."""

    def __post_init__(self) -> None:
        whole_number_of_iterations(self.iterations)
        if min(self.remembered, self.inner, self.window) < 1 or min(self.radius, self.nearness) <= 0:
            raise UnseeError(
                "Bundle needs remembered, inner and window of at least 1, and radius and nearness above 0"
            )
        if not 0 <= self.least_radius <= self.radius or self.gain < 0:
            raise UnseeError("Bundle needs least_radius in [0, radius] and a gain of at least 0")
        if not (0 < self.shrink < 1 and 0 < self.memory <= 1 and 0 <= self.probe <= 1):
            raise UnseeError("Bundle needs shrink in (0, 1), memory in (0, 1] and probe in [0, 1]")

    @property
    def summary(self) -> str:
        """The largest number of iterations."""
        return f"at most {self.iterations} iterations"

    def limited(self, iterations: int) -> "Bundle":
        """The same with another number of steps."""
        return replace(self, iterations=iterations)

    def begin(self, masks: Float[Tensor, "b r c"], seeds: Int[Tensor, " b"]) -> Memory:  # noqa: ARG002
        """What is known of each image before the first evaluation: nothing.

        Offsets, gradients and masks of the evaluations; the last good mask, its objective, how much worse
        another may be, the factor on the radius, and the good mask's score term.
        """
        batch, cells = len(masks), masks[0].numel()
        planes = masks.new_zeros(batch, self.remembered, cells)
        cost, slack, trust, score = masks.new_full((4, batch), torch.inf).unbind()
        offsets = masks.new_zeros(batch, self.remembered)
        return offsets, planes, planes.clone(), masks, cost, slack, trust.clone(), score.clone()

    def ask(
        self,
        memory: Memory,  # noqa: ARG002
        masks: Float[Tensor, "b r c"],
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, "b k r c"]:
        """The masks that the model predicts to be best."""
        return masks[:, None]

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The masks that the model, with this evaluation added, predicts to be best within reach."""
        linear, objective = evaluation.linear, evaluation.objective
        assert linear is not None
        asked, value = evaluation.masks[:, 0], linear.value[:, 0]
        terms = {name: values[:, 0] for name, values in evaluation.terms.items()}
        cost_now = total(terms)
        place, plane = asked.flatten(1), linear.gradient[:, 0].flatten(1)
        offset = value - (plane * place).sum(dim=1)
        offsets, planes, places = (
            torch.cat([old[:, 1:], new[:, None]], dim=1)
            for old, new in zip(memory[:3], (offset, plane, place), strict=True)
        )
        first = iteration == 0
        center, cost, slack, trust, score = memory[3:]
        slack = torch.where(iteration == (0 if linear.log_odds else 1), self._slack(evaluation, score), slack)
        lost = (terms[SCORE] > score) & _on_a_plateau(linear, evaluation, iteration)
        good = first | ((cost_now <= cost + slack) & ~lost)
        score = torch.where(good, terms[SCORE], score)
        center = torch.where(good[:, None, None], asked, center)
        cost = torch.where(good, cost_now, cost)
        trust = torch.where(first, 1.0, torch.where(good, (2 * trust).clamp(max=1.0), trust / 2))
        weights = self._weights(places, center.flatten(1), iteration)
        reach = (self.reach(iteration).to(trust) * trust)[:, None, None]
        rise = objective.game.sign * evaluation.edits * weights
        model = BundleModel(
            offsets, planes, rise, linear.log_odds, center, objective, iteration, evaluation.bounds
        )
        bounds = within(center - reach, evaluation.bounds), within(center + reach, evaluation.bounds)
        best = minimised(model.gradient, center, bounds, reach, self.inner)
        probe = center + self.probe * (objective.game.ideal - center)
        masks = torch.where(first[:, None, None], probe, best)
        return masks, (offsets, planes, places, center, cost, slack, trust, score)

    def continuing(self, steps: int, radius: float) -> tuple["Bundle", int]:
        """The same for so many further steps, and the iteration of the first.

        Everything that is remembered counts from there on.
        """
        first = max(self.remembered, 2)
        scaled = max(radius / self.shrink ** (first - 2), self.least_radius)
        return replace(self, radius=scaled, iterations=first + steps), first

    def reweighted(self, memory: Memory, objective: Objective, edits: int) -> Memory:
        """The same evaluations under other penalties: the models of the score stay as they are.

        The last good mask stays, at its new objective; trust begins again.
        """
        offsets, planes, places, center, _, slack, trust, score = memory
        iteration = torch.zeros(len(center), dtype=torch.long, device=center.device)

        def penalties(masks: Tensor) -> Float[Tensor, " b"]:
            return penalty_total(objective.terms(masks, torch.zeros_like(score), iteration))

        if objective.score is not None and log_odds_of(objective.score) is not None:
            slack = self.slack * (edits * penalties(torch.full_like(center, 1 - objective.game.ideal))).sqrt()
        cost = score + penalties(center)
        return offsets, planes, places, center, cost, slack, torch.ones_like(trust), score

    def reach(self, iteration: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """How far a cell may move in an iteration, in mask values."""
        shrunk = self.radius * self.shrink ** (iteration - 2).float()
        return torch.where(iteration < 2, 1.0, shrunk.clamp(min=self.least_radius))

    def settled(
        self, history: Float[Tensor, "b iterations terms"], iteration: Int[Tensor, " b"]
    ) -> Bool[Tensor, " b"]:
        """Where the radius is at its least and the objective stopped falling, or after the last iteration."""
        back = torch.arange(2 * self.window, device=iteration.device)
        places = (iteration[:, None] - back).clamp(min=0)
        late, before = history.sum(dim=2).gather(1, places).view(-1, 2, self.window).mean(dim=2).unbind(dim=1)
        flat = late > before - self.gain * before.abs()
        small = self.reach(iteration) <= self.least_radius
        long_enough = iteration + 1 >= 2 * self.window
        over: Tensor = (flat & small & long_enough) | (iteration + 1 >= self.iterations)
        return over

    def _slack(self, evaluation: Evaluation, score: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """How much worse than the last good mask another may be.

        For a probability it is known after the first evaluation, whose mask has the highest penalties. Any
        other score has no known range: there the second evaluation shows by how much it changes.
        """
        terms = {name: values[:, 0] for name, values in evaluation.terms.items()}
        if evaluation.linear is not None and evaluation.linear.log_odds:
            return self.slack * (evaluation.edits * penalty_total(terms)).sqrt()
        return self.slack * (terms[SCORE] - score).abs() / 2

    def _weights(
        self, places: Float[Tensor, "b k n"], place: Float[Tensor, "b n"], iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b k"]:
        """The weight of each evaluation, less for old and far ones; the sum is 1."""
        age = torch.arange(self.remembered - 1, -1, -1, device=place.device)
        distance = (places - place[:, None]).square().mean(dim=2)
        weight = age * math.log(self.memory) - distance / self.nearness**2
        weight = torch.where(age <= iteration[:, None], weight, -torch.inf)
        return weight.softmax(dim=1)


@dataclass(frozen=True, eq=False)
class BundleModel:
    """The objective as the evaluations predict it: exact penalties, and a weighted sum of linear models.

    Args:
        offsets, planes: each evaluation's linear model of the mean score, or of its log-odds.
        weights: of each model in the objective.
        log_odds: whether the models are of the log-odds.
        center: where the descent starts.
        objective: gives the penalties.
        iteration: of each image.
        bounds: of each cell; None for [0,1].
    """

    offsets: Float[Tensor, "b k"]
    planes: Float[Tensor, "b k n"]
    weights: Float[Tensor, "b k"]
    log_odds: bool
    center: Float[Tensor, "b r c"]
    objective: Objective
    iteration: Int[Tensor, " b"]
    bounds: Bounds | None = None

    def gradient(self, masks: Float[Tensor, "b r c"]) -> Float[Tensor, "b r c"]:
        """The gradient of the model at masks."""
        rise = self.weights
        if self.log_odds:
            value = torch.bmm(masks.flatten(1)[:, None], self.planes.mT)[:, 0]
            score = value.add_(self.offsets).sigmoid_()
            rise = rise * score * (1 - score)
        predicted = torch.bmm(rise[:, None], self.planes)[:, 0].view_as(masks)
        return predicted + self.objective.penalty_gradient(masks, self.iteration)


def _on_a_plateau(linear: Linear, evaluation: Evaluation, iteration: Int[Tensor, " b"]) -> Bool[Tensor, " b"]:
    """Where the score is on the side that the game wants to leave, and no cell pulls it back.

    There the score's gradient is smaller than that of the penalties in every cell, so that they alone would
    shape the next steps.
    """
    objective, masks, gradient = evaluation.objective, evaluation.masks[:, 0], evaluation.gradient
    if not linear.log_odds or gradient is None:
        return torch.zeros_like(iteration, dtype=torch.bool)
    inside = torch.lerp(masks, torch.full_like(masks, 1 - objective.game.ideal), _INSIDE)
    pull = gradient[:, 0].abs().flatten(1).amax(dim=1)
    push = objective.penalty_gradient(inside, iteration).abs().flatten(1).amax(dim=1)
    return (pull < push) & (objective.game.sign * linear.value[:, 0] > 0)
