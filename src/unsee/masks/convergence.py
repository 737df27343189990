"""Whether a mask's optimisation converged (supplement §6.6: some do not)."""

import math

from jaxtyping import Float
from torch import Tensor

CONVERGED = "converged"
_TAIL = 0.1
_SLACK = 0.1


def verdict(
    objective: Float[Tensor, " iterations"],
    failed_at: int,
    final: float,
    scores: Float[Tensor, " 3"],
) -> str:
    """ "converged", or in words what went wrong.

    A run has converged if it and its final scores stayed finite, if its objective over the last tenth of the
    iterations differs from the tenth before by no more than a tenth of its range, and if the final objective
    is not worse than the first.

    Args:
        objective: before each step.
        failed_at: the iteration at which it stopped being finite, -1 if it did not.
        final: the objective of the mask that is returned.
        scores: of the original, the edited and the fully perturbed image.
    """
    if failed_at >= 0:
        return f"not finite at iteration {failed_at + 1}: the mask is the last one that was"
    if not (math.isfinite(final) and bool(scores.isfinite().all())):
        return "not finite after the last step: its scores cannot be read"
    tail = max(round(_TAIL * len(objective)), 1)
    late = float(objective[-tail:].mean())
    before = float(objective[-2 * tail : -tail].mean()) if len(objective) >= 2 * tail else late
    spread = float(objective.max() - objective.min())
    if late - before > _SLACK * spread:
        return "still rising: the objective grew over the last tenth of the iterations"
    if before - late > _SLACK * spread:
        return "still falling: the objective had not converged after the last iteration"
    start = float(objective[0])
    if final > start + _SLACK * max(spread, abs(start)):
        return "no gain: the objective ends above where it started"
    return CONVERGED
