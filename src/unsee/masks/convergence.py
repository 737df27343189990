"""Did a mask's descent end well? (supplement §6.6: some do not converge)."""

import math

from jaxtyping import Float
from torch import Tensor

CONVERGED = "converged"
_TAIL = 0.1
_SLACK = 0.1


def verdict(
    history: Float[Tensor, "iterations 3"],
    failed_at: int,
    terms: Float[Tensor, " 3"],
    scores: Float[Tensor, " 3"],
) -> str:
    """ "converged", or in words what went wrong.

    A run has converged if it and its final scores stayed finite, if its objective over the last tenth of the
    iterations differs from the tenth before by no more than a tenth of the range it went through, and if what
    it ends with is not worse than what it started from.
    """
    objective, final = history.sum(dim=1), float(terms.sum())
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
        return "still falling: the objective had not settled after the last iteration"
    start = float(objective[0])
    if final > start + _SLACK * max(spread, abs(start)):
        return "no gain: the objective ends above where it started"
    return CONVERGED
