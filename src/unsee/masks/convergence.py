"""Whether a mask's optimisation converged (supplement §6.6: some do not)."""

import math

from jaxtyping import Float
from torch import Tensor

from unsee.masks.game import Game
from unsee.verdicts import CONVERGED, NO_GAIN, NO_SCORE

LEARNED, START, IDEAL, EDITED = "learned", "start", "ideal", "edited"
"""What a returned mask can be: a learned one, the start, the one that costs nothing, the fully edited one."""
_TAIL = 0.1
_SLACK = 0.1
_LEAST_CHANGE = 0.1


def verdict(
    objective: Float[Tensor, " iterations"],
    failed_at: int,
    final: float,
    scores: Float[Tensor, " 3"],
    chosen: str,
    game: Game,
    areas: tuple[float, float, float] | None = None,
) -> str:
    """ "converged", or in words what went wrong.

    A run has converged if it and its final scores stayed finite, if its objective over the last tenth of the
    iterations differs from the tenth before by no more than a tenth of its range, if a learned mask is better
    than the start, the untouched and the fully perturbed image, and if it changes the score by at least a
    tenth of the difference between these two images.

    Args:
        objective: before each step.
        failed_at: the iteration at which it stopped being finite, -1 if it did not.
        final: the objective of the mask that is returned.
        scores: of the original, the edited and the fully perturbed image.
        chosen: what is returned: LEARNED, START, IDEAL or EDITED.
        game: what the mask was learned for.
        areas: the one that was asked for, the mask's, and by which share of it they may differ; None where
            the penalties decide it. With areas `objective` is the score's term alone, since the penalty's
            weight grows to the last; and a small area may change the score by little.
    """
    if not bool(scores[1:].isfinite().all()):
        edited = "fully perturbed" if bool(scores[1].isfinite()) else "edited"
        return f"{NO_SCORE} of the {edited} image"
    if failed_at >= 0:
        return f"not finite at iteration {failed_at + 1}: the mask is the best one before"
    if not math.isfinite(final):
        return "not finite after the last step: its scores cannot be read"
    if areas is not None:
        return _other_area(areas, scores, chosen, game) or _unsettled(objective) or CONVERGED
    return _no_gain(scores, chosen, game) or _unsettled(objective) or CONVERGED


def _other_area(
    areas: tuple[float, float, float], scores: Float[Tensor, " 3"], chosen: str, game: Game
) -> str:
    """That the mask is no better than another, or of another area than was asked for; else empty."""
    asked, own, tolerance = areas
    if chosen != LEARNED:
        return f"{NO_GAIN}: no mask was better than {_in_words(chosen, game)}"
    if abs(own - asked) > tolerance * asked:
        return f"another area: {own:.1%} of the picture instead of {asked:.1%}"
    original, edited, perturbed = scores.tolist()
    free = original if game.ideal == 1 else perturbed
    if game.sign * (free - edited) <= 0:
        return f"{NO_GAIN}: the score is no better than that of {_in_words(IDEAL, game)}"
    return ""


def _no_gain(scores: Float[Tensor, " 3"], chosen: str, game: Game) -> str:
    """That no mask was better than another, or that the mask hardly changes the score; empty if neither."""
    if chosen != LEARNED:
        return f"{NO_GAIN}: no mask was better than {_in_words(chosen, game)}"
    original, edited, perturbed = scores.tolist()
    free = original if game.ideal == 1 else perturbed
    if game.sign * (free - edited) < _LEAST_CHANGE * abs(original - perturbed):
        ideal, most = _in_words(IDEAL, game), _in_words(EDITED, game)
        return f"{NO_GAIN}: the score is less than a tenth of the way from that of {ideal} to that of {most}"
    return ""


def _unsettled(objective: Float[Tensor, " iterations"]) -> str:
    """That the objective was still moving at the end; empty if it was not."""
    tail = max(round(_TAIL * len(objective)), 1)
    late = float(objective[-tail:].mean())
    before = float(objective[-2 * tail : -tail].mean()) if len(objective) >= 2 * tail else late
    spread = float(objective.max() - objective.min())
    if late - before > _SLACK * spread:
        return "still rising: the objective grew over the last tenth of the iterations"
    if before - late > _SLACK * spread:
        return "still falling: the objective had not converged after the last iteration"
    return ""


def _in_words(chosen: str, game: Game) -> str:
    untouched, perturbed = "the untouched image", "the fully perturbed image"
    ends = {IDEAL: untouched, EDITED: perturbed} if game.ideal == 1 else {IDEAL: perturbed, EDITED: untouched}
    return ends.get(chosen, "the start")
