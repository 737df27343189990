"""What optimisers share that evaluate their one iterate at each step and take every iteration."""

from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.masks.optimisers.protocol import Memory


class SingleIterate:
    """The parts of `Optimiser` that do not depend on how the next iterate is found.

    Subclasses have the number of iterations, and `tell`.
    """

    iterations: int

    needs_gradient: ClassVar[bool] = True
    """The next iterate follows the gradient."""
    masks_per_step: ClassVar[int] = 1
    settles_early: ClassVar[bool] = False
    """Every image takes all iterations."""

    def ask(
        self,
        memory: Memory,  # noqa: ARG002
        masks: Float[Tensor, "b r c"],
        iteration: Int[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, "b k r c"]:
        """The current iterate."""
        return masks[:, None]

    def settled(
        self,
        history: Float[Tensor, "b iterations terms"],  # noqa: ARG002
        iteration: Int[Tensor, " b"],
    ) -> Bool[Tensor, " b"]:
        """After the last iteration, and never before it."""
        return iteration + 1 >= self.iterations
