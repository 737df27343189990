"""Gradient descent with momentum, for many images that may each be at another iteration."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.optimisers.iterate import SingleIterate
from unsee.masks.optimisers.protocol import Evaluation, Memory, whole_number_of_iterations, within


@dataclass(frozen=True)
class Momentum(SingleIterate):
    """Steps along a running mean of the gradients; the values are clipped to [0,1] after each.

    The running mean begins with the first gradient: PyTorch's `SGD` with a dampening equal to its momentum,
    as Fong, Patrick & Vedaldi 2019 use it.

    Args:
        rate: the learning rate, above 0.
        iterations: steps for each image.
        momentum: decay of the running mean, at least 0 and below 1.

    Raises:
        UnseeError: no iterations, or a rate or momentum outside its range.
    """

    rate: float = 0.01
    iterations: int = 800
    momentum: float = 0.9

    exact: ClassVar[bool] = True
    """A published preset uses it."""

    def __post_init__(self) -> None:
        whole_number_of_iterations(self.iterations)
        if not (self.rate > 0 and 0 <= self.momentum < 1):
            raise UnseeError(
                "momentum needs a learning rate above 0 and a decay in [0, 1), got "
                f"{self.rate} and {self.momentum}"
            )

    @property
    def summary(self) -> str:
        """Iterations and learning rate."""
        return f"{self.iterations} iterations at rate {self.rate:g}, momentum {self.momentum:g}"

    def limited(self, iterations: int) -> "Momentum":
        """The same with another number of steps."""
        return replace(self, iterations=iterations)

    def begin(self, masks: Float[Tensor, "b r c"], seeds: Int[Tensor, " b"]) -> Memory:  # noqa: ARG002
        """The running mean, at zero."""
        return (torch.zeros_like(masks),)

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The next iterate; each image's first gradient counts whole."""
        assert evaluation.gradient is not None
        masks = evaluation.masks[:, 0]
        gradient = evaluation.gradient[:, 0] + evaluation.objective.penalty_gradient(masks, iteration)
        mean = torch.lerp(gradient, memory[0], self.momentum)
        mean = torch.where(iteration[:, None, None] == 0, gradient, mean)
        return within(masks - self.rate * mean, evaluation.bounds), (mean,)
