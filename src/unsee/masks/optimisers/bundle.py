"""A bundle method: few looks at the network, and each look used for more than one step.

The network is all that is dear; the penalties are known in closed form. Each look gives a score and its
slope: a linear model of the score's logit. The next mask minimises the penalties, exactly, plus the score as
the last looks predict it, within a trust region that shrinks. A look that turns out far worse is remembered,
and the next one starts again from where the last good one was, nearer. (Bundle methods: Lemaréchal 1978,
Kiwiel 1990; the logit is what makes them work for a score that saturates.)
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.optimisers.protocol import Memory, Point, whole_number_of_iterations

_BETAS = (0.7, 0.8)
_LEAST, _MOST = 1e-10, 1 - 1e-6
_TINY = 1e-18


@dataclass(frozen=True)
class Bundle:
    """Descent on a model of the score that is made of the last looks at the network.

    Args:
        iterations: looks for each image at most; it ends sooner where the objective has settled.
        looks: how many are remembered.
        probe: share of the way towards the mask that edits nothing at which the second look is taken.
        radius: how far each cell may move after the third look, in mask values; the third goes anywhere.
        shrink: what the radius is multiplied by at each further look.
        least_radius: where it stops shrinking; an image can settle from then on.
        nearness: root mean square distance at which a look counts 1/e.
        memory: what a look's weight is multiplied by at each further look.
        inner: steps on the model for each look.
        window: looks over which the objective is averaged to see whether it still falls.
        gain: share by which it has to fall from one window to the next.

    Raises:
        UnseeError: no iterations, no looks, or a share that is none.
    """

    iterations: int = 40
    looks: int = 8
    probe: float = 0.3
    radius: float = 0.4
    shrink: float = 0.9
    least_radius: float = 0.02
    nearness: float = 0.15
    memory: float = 0.85
    inner: int = 12
    window: int = 4
    gain: float = 0.01

    def __post_init__(self) -> None:
        whole_number_of_iterations(self.iterations)
        if min(self.looks, self.inner, self.window) < 1 or min(self.radius, self.nearness) <= 0:
            raise UnseeError("a bundle needs looks, inner steps, a window, a radius and a nearness above 0")
        if not 0 <= self.least_radius <= self.radius or self.gain < 0:
            raise UnseeError(
                "a bundle's least radius lies between 0 and its radius, and its gain is not negative"
            )
        if not (0 < self.shrink < 1 and 0 < self.memory <= 1 and 0 <= self.probe <= 1):
            raise UnseeError("a bundle's shrink, memory and probe are shares between 0 and 1")

    @property
    def exact(self) -> bool:
        """It approximates the published optimiser's result, so lower precision is acceptable."""
        return False

    @property
    def settles_early(self) -> bool:
        """An image ends once its objective has converged."""
        return True

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        return f"at most {self.iterations} iterations"

    def limited(self, iterations: int) -> "Bundle":
        """The same with another number of steps."""
        return replace(self, iterations=iterations)

    def begin(self, masks: Float[Tensor, "b r c"]) -> Memory:
        """Offsets, slopes and places of the looks; the last good mask, its objective, how much worse another
        may be, and what the radius is multiplied by. None is known yet."""
        batch, cells = len(masks), masks[0].numel()
        planes = masks.new_zeros(batch, self.looks, cells)
        cost, slack, trust = masks.new_full((3, batch), torch.inf).unbind()
        return masks.new_zeros(batch, self.looks), planes, planes.clone(), masks, cost, slack, trust.clone()

    def step(
        self, memory: Memory, point: Point, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The masks that the model thinks best within reach."""
        value, slopes = _linked(point)
        place, slope = point.masks.flatten(1), slopes.flatten(1)
        offset = value - (slope * place).sum(dim=1)
        offsets, planes, places = (
            torch.cat([old[:, 1:], new[:, None]], dim=1)
            for old, new in zip(memory[:3], (offset, slope, place), strict=True)
        )
        first = iteration == 0
        center, cost, slack, trust = memory[3:]
        slack = torch.where(first, point.terms.l1 + point.terms.tv, slack)
        good = first | (point.terms.total <= cost + slack)
        center = torch.where(good[:, None, None], point.masks, center)
        cost = torch.where(good, point.terms.total, cost)
        trust = torch.where(first, 1.0, torch.where(good, (2 * trust).clamp(max=1.0), trust / 2))
        weights = self._weights(places, center.flatten(1), iteration)
        reach = (self.reach(iteration).to(trust) * trust)[:, None, None]
        best = _minimise(Model(offsets, planes, weights, center, point), reach, self.inner)
        probe = center + self.probe * (point.objective.game.ideal - center)
        masks = torch.where(first[:, None, None], probe, best)
        return masks, (offsets, planes, places, center, cost, slack, trust)

    def reach(self, iteration: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """How far a cell may move in an iteration, in mask values."""
        shrunk = self.radius * self.shrink ** (iteration - 2).float()
        return torch.where(iteration < 2, 1.0, shrunk.clamp(min=self.least_radius))

    def settled(
        self, history: Float[Tensor, "b iterations 3"], iteration: Int[Tensor, " b"]
    ) -> Bool[Tensor, " b"]:
        """Where the radius is at its least and the objective has stopped falling, or looks are used up."""
        back = torch.arange(2 * self.window, device=iteration.device)
        places = (iteration[:, None] - back).clamp(min=0)
        late, before = history.sum(dim=2).gather(1, places).view(-1, 2, self.window).mean(dim=2).unbind(dim=1)
        flat = late > before - self.gain * before.abs()
        small = self.reach(iteration) <= self.least_radius
        long_enough = iteration + 1 >= 2 * self.window
        over: Tensor = (flat & small & long_enough) | (iteration + 1 >= self.iterations)
        return over

    def _weights(
        self, places: Float[Tensor, "b k n"], place: Float[Tensor, "b n"], iteration: Int[Tensor, " b"]
    ) -> Float[Tensor, "b k"]:
        """What each look counts: old ones and far ones less, the sum 1."""
        age = torch.arange(self.looks - 1, -1, -1, device=place.device)
        distance = (places - place[:, None]).square().mean(dim=2)
        weight = age * math.log(self.memory) - distance / self.nearness**2
        weight = torch.where(age <= iteration[:, None], weight, -torch.inf)
        return weight.softmax(dim=1)


@dataclass(frozen=True, eq=False)
class Model:
    """The objective as the looks predict it: penalties, and a weighted mean of the linear models."""

    offsets: Float[Tensor, "b k"]
    planes: Float[Tensor, "b k n"]
    weights: Float[Tensor, "b k"]
    center: Float[Tensor, "b r c"]
    point: Point

    def slopes(self, masks: Float[Tensor, "b r c"]) -> Float[Tensor, "b r c"]:
        """The gradient of the model at masks."""
        objective = self.point.objective
        rise = self.weights * (objective.game.sign * self.point.edits)
        if objective.bounded:
            value = torch.bmm(masks.flatten(1)[:, None], self.planes.mT)[:, 0]
            score = value.add_(self.offsets).sigmoid_()
            rise = rise * score * (1 - score)
        predicted = torch.bmm(rise[:, None], self.planes)[:, 0].view_as(masks)
        return predicted + objective.penalty_slopes(masks)


def _linked(point: Point) -> tuple[Float[Tensor, " b"], Float[Tensor, "b r c"]]:
    """Value and slopes of what is modelled: the logit of a probability, any other score as it is."""
    sign = point.objective.game.sign * point.edits
    value, slopes = point.terms.score.detach() / sign, point.slopes / sign
    if not point.objective.bounded:
        return value, slopes
    share = value.clamp(_LEAST, _MOST)
    return torch.logit(share), slopes / (share * (1 - share))[:, None, None]


def _minimise(model: Model, reach: Float[Tensor, "b 1 1"], steps: int) -> Float[Tensor, "b r c"]:
    """Descend the model from its centre, by sign-like steps as Adam takes them, within reach."""
    start = model.center
    low, high = (start - reach).clamp_(min=0), (start + reach).clamp_(max=1)
    masks, mean, square = start, torch.zeros_like(start), torch.zeros_like(start)
    first, second = _BETAS
    rates = torch.cos(torch.linspace(0, torch.pi, steps + 1)[:-1]).add(1).mul(0.125).tolist()
    for count, rate in enumerate(rates, start=1):
        slopes = model.slopes(masks)
        mean = torch.lerp(slopes, mean, first)
        square = torch.lerp(slopes.square(), square, second)
        move = (square / (1 - second**count)).add_(_TINY).rsqrt_().mul_(mean).mul_(reach)
        masks = masks.sub(move, alpha=rate / (1 - first**count)).clamp_(low, high)
    return masks
