"""Adam, for many images that may each be at another iteration."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.errors import UnseeError
from unsee.masks.optimisers.iterate import SingleIterate
from unsee.masks.optimisers.protocol import Evaluation, Memory, whole_number_of_iterations, within


@dataclass(frozen=True)
class Adam(SingleIterate):
    """Adam (Kingma & Ba 2015) with the values clipped after each step, as in the paper (§4.3).

    Args:
        rate: the learning rate, above 0.
        iterations: steps for each image; the last iterate is the mask.
        betas: decay of the two running means.
        epsilon: added to the root of the second.

    Raises:
        UnseeError: no iterations, or a rate that is not above 0.
    """

    rate: float = 0.1
    iterations: int = 300
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    exact: ClassVar[bool] = True
    """The published presets use Adam."""

    def __post_init__(self) -> None:
        whole_number_of_iterations(self.iterations)
        if not self.rate > 0:
            raise UnseeError(f"the learning rate must be above 0, got {self.rate}")

    @property
    def summary(self) -> str:
        """Iterations and learning rate."""
        return f"{self.iterations} iterations at rate {self.rate:g}"

    def limited(self, iterations: int) -> "Adam":
        """The same with another number of steps."""
        return replace(self, iterations=iterations)

    def begin(self, masks: Float[Tensor, "b r c"], seeds: Int[Tensor, " b"]) -> Memory:  # noqa: ARG002
        """Both running means, at zero."""
        return torch.zeros_like(masks), torch.zeros_like(masks)

    def tell(
        self, memory: Memory, evaluation: Evaluation, iteration: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b r c"], Memory]:
        """The next iterate, bias-corrected for each image's own iteration."""
        assert evaluation.gradient is not None
        masks = evaluation.masks[:, 0]
        gradient = evaluation.gradient[:, 0] + evaluation.objective.penalty_gradient(masks, iteration)
        first, second = self.betas
        mean = first * memory[0] + (1 - first) * gradient
        square = second * memory[1] + (1 - second) * gradient.square()
        count = (iteration + 1).to(mean)[:, None, None]
        root = (square / (1 - second**count)).sqrt().add_(self.epsilon)
        masks = masks - self.rate * (mean / (1 - first**count)) / root
        return within(masks, evaluation.bounds), (mean, square)
