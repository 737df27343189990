"""The one optimisation loop: Adam on values in [0,1], a whole batch at a time, each image on its own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.objective import Terms


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015) with the values clipped to [0,1] after each step.

    Raises:
        UnseeError: no iterations or a rate that is not above 0.
    """

    rate: float = 0.1
    iterations: int = 300
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise UnseeError(
                f"a mask takes a whole number of iterations, at least 1, not {self.iterations!r}"
            )
        if not self.rate > 0:
            raise UnseeError(f"the learning rate must be above 0, not {self.rate}")


@dataclass(frozen=True)
class Step:
    """Where a run stands, for whoever shows its progress: means over the images that are still sound.

    `score` is the objective's score term, the score itself in deletion and minus the score in preservation.
    """

    iteration: int
    iterations: int
    objective: float
    score: float


Progress = Callable[[Step], None]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run ends with.

    `history` holds score, l1 and tv terms before each step. `failed_at` is the iteration at which an image's
    loss or gradient stopped being finite, -1 where none did; its mask stays as it was before.
    """

    masks: Float[Tensor, "b h w"]
    history: Float[Tensor, "iterations 3 b"]
    failed_at: Int[Tensor, " b"]


def optimise(
    start: Float[Tensor, "b h w"],
    evaluate: Callable[[Tensor, int], Terms],
    adam: Adam,
    progress: Progress | None = None,
) -> Outcome:
    """Descend `evaluate(masks, iteration)` from `start`; returns the last iterate, as the paper does.

    Adam works on each value by itself and losses are summed only for the backward pass, so no image sees
    another. An image whose loss or gradient is NaN or infinite is put to rest where it was.
    """
    masks = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([masks], lr=adam.rate, betas=adam.betas, eps=adam.epsilon)
    failed_at = torch.full((len(start),), -1, device=start.device)
    history = start.new_empty(adam.iterations, 3, len(start))
    for iteration in range(adam.iterations):
        terms = evaluate(masks, iteration)
        loss = terms.total
        (gradient,) = torch.autograd.grad(loss.sum(), masks)
        history[iteration] = torch.stack([part.detach() for part in terms])
        sound = _sound(loss.detach(), gradient) & (failed_at < 0)
        failed_at = torch.where(sound | (failed_at >= 0), failed_at, iteration)
        _step(masks, optimizer, gradient, sound[:, None, None])
        if progress is not None:
            progress(_report(iteration, adam.iterations, terms, sound))
    return Outcome(masks.detach(), history, failed_at)


def _step(masks: Tensor, optimizer: torch.optim.Optimizer, gradient: Tensor, sound: Tensor) -> None:
    before = masks.detach().clone()
    masks.grad = torch.where(sound, gradient, 0.0)
    optimizer.step()
    with torch.no_grad():
        masks.copy_(torch.where(sound, masks.clamp(0, 1), before))


def _sound(loss: Tensor, gradient: Tensor) -> Bool[Tensor, " b"]:
    return loss.isfinite() & gradient.isfinite().flatten(1).all(dim=1)


def _report(iteration: int, iterations: int, terms: Terms, sound: Tensor) -> Step:
    share = sound.to(terms.score.dtype) / sound.sum().clamp(min=1)
    means = [
        float((torch.where(sound, part.detach(), 0.0) * share).sum()) for part in (terms.total, terms.score)
    ]
    return Step(iteration + 1, iterations, means[0], means[1])
