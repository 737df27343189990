"""The score of target classes together, by name, from the logits of all classes; each is (B,)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Score = Callable[[Tensor, Tensor], Tensor]
"""(logits (B,C), targets (B,C) with 1 for each target class) → (B,) scores."""

SOFTMAX, SIGMOID, SIGMOID_ALL, LOGIT = "softmax", "sigmoid", "sigmoid-all", "logit"

_SMALL, _FAR = 1e-4, 1e6
_MOST_LOG_ODDS = 1e6


def softmax_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The summed probabilities of the target classes, in [0,1]: the paper's score."""
    return (logits.softmax(dim=1) * targets).sum(dim=1)


def softmax_log_odds(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The log-odds of the summed probabilities: they still have a gradient where these round to 0 or 1.

    The log-sum-exp of the target classes' logits minus that of the others; within ±10⁶, which it reaches
    where every class is a target, or none.
    """
    aside = torch.full_like(logits, -_MOST_LOG_ODDS)
    own = torch.where(targets > 0, logits, aside).logsumexp(dim=1)
    others = torch.where(targets > 0, aside, logits).logsumexp(dim=1)
    return (own - others).clamp(-_MOST_LOG_ODDS, _MOST_LOG_ODDS)


def sigmoid_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The probability that at least one target class is there, each on its own, in [0,1]."""
    return sigmoid_log_odds(logits, targets).sigmoid()


def sigmoid_all_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The probability that every target class is there, each on its own, in [0,1]."""
    return sigmoid_all_log_odds(logits, targets).sigmoid()


def sigmoid_all_log_odds(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The log-odds of that probability."""
    return sigmoid_log_odds(logits, targets, every=True)


def logit_score(logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The summed logits of the target classes."""
    return (logits * targets).sum(dim=1)


SCORES: dict[str, Score] = {
    SOFTMAX: softmax_score,
    SIGMOID: sigmoid_score,
    SIGMOID_ALL: sigmoid_all_score,
    LOGIT: logit_score,
}
"""By name; each head's own score has its name."""


def sigmoid_log_odds(
    logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"], every: bool = False
) -> Float[Tensor, " b"]:
    """The log-odds that at least one target class is there, or that every one is; for one class its logit.

    The classes are taken as independent. For small probabilities the odds of "at least one" are their sum;
    there the logarithm is taken of that sum, so that the result has a gradient everywhere.
    """
    sign = -1.0 if every else 1.0
    signed = sign * logits
    total = (F.softplus(signed) * targets).sum(dim=1)
    small = total < _SMALL
    large = total.clamp(min=_SMALL)
    exact = large + (-torch.expm1(-large)).log()
    aside = torch.where(targets > 0, signed, torch.full_like(logits, -_FAR))
    return sign * torch.where(small, aside.logsumexp(dim=1), exact)
