"""What a network's answer means: logits or probabilities, one class for an image or several."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.answers import answer_of
from unsee.choices import look_up
from unsee.errors import UnseeError
from unsee.target_scores import LOGIT, SCORES, SIGMOID, SOFTMAX

PROBABILITIES, AUTO = "probabilities", "auto"
GIVEN = "given"
"""Why a head is what it is, where the user says so."""
HEADS = (AUTO, SOFTMAX, SIGMOID, PROBABILITIES, LOGIT)

Head = str | Callable[[object], Tensor]
"""A name in `HEADS`, or a function of the network's answer that returns (B,C) scores."""

_SUM = {torch.float16: 2e-2, torch.bfloat16: 2e-2}
_BEYOND = 1e-4
_PASSED_ON = (
    *("Alias", "Clone", "Copy", "Expand", "Index", "Permute", "Reshape", "Select", "Slice"),
    *("Squeeze", "ToCopy", "Transpose", "UnsafeView", "Unsqueeze", "View"),
)
"""Operations that move values without changing them, as autograd names them."""
_AVERAGED = ("Mean", "AvgPool", "AdaptiveAvgPool", "MkldnnAdaptiveAvgPool")
"""Operations that leave values within the range that they have, as autograd names them."""
_UNBOUNDED = ("Addmm", "Convolution", "MkldnnConvolution", "SlowConv", "Relu")
"""Operations of a last layer: averaged or not, their values are no probabilities, wherever they lie."""


@dataclass(frozen=True)
class Reading:
    """What was understood of a network from its answer to two probe images.

    Args:
        classes: how many scores it gives for an image.
        kind: "softmax" (one class for an image), "sigmoid" (each class on its own), or "logit" (a score
            without a range, as in regression).
        probabilities: whether the network itself returns probabilities.
        why: how the kind was found.
        paired: whether its one number was made into the scores of two classes.
        alone: why images are given to it one at a time; empty if they are given as a batch.
        random: whether it gave the same image different scores.
        taken: which of several tensors the scores are in; empty if it returns no others of that form.
        differentiable: whether its scores have a gradient with respect to the image.
        head: a function of the answer, if one was given.
        score: a name in `unsee.target_scores.SCORES` for what target classes score together; empty for that
            of the kind.
    """

    classes: int
    kind: str
    probabilities: bool = False
    why: str = ""
    paired: bool = False
    alone: str = ""
    random: bool = False
    taken: str = ""
    differentiable: bool = True
    head: Callable[[object], Tensor] | None = None
    score: str = ""

    @property
    def score_name(self) -> str:
        """What target classes score together: a name in `unsee.target_scores.SCORES`."""
        return self.score or self.kind

    @property
    def summary(self) -> str:
        """The head as results record it."""
        if self.head is not None:
            kind = f"own function {getattr(self.head, '__name__', type(self.head).__name__)}"
        else:
            kind = f"{PROBABILITIES}, {self.kind}" if self.probabilities else self.kind
        random = "different at each evaluation" if self.random else ""
        score = "" if self.score_name == self.kind else f"score {self.score_name}"
        return ", ".join(part for part in (kind, self.taken, random, score) if part)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a reader of results must know about the scores, one sentence each."""
        score = f"reported is {self.score_name}; the network's head is {self.kind}"
        random = "the network gives an image others at each evaluation, so results vary as much"
        several = f"read from {self.taken} that the network returns; head= or class names choose another"
        found = ((self.score_name != self.kind, score), (self.random, random), (bool(self.taken), several))
        return tuple(text for holds, text in found if holds)

    def logits(self, output: object, count: int) -> Float[Tensor, "b c"]:
        """The network's answer as logits of the kind; probabilities become their logarithms or log-odds.

        Args:
            output: what the network returned.
            count: of images that it was given.

        Raises:
            UnseeError: the answer is not one row of scores for each image.
        """
        width = 1 if self.paired else self.classes
        rows = answer_of(output if self.head is None else self.head(output), count, width).rows
        if self.probabilities:
            least = torch.finfo(rows.dtype).tiny if self.kind == SOFTMAX else torch.finfo(rows.dtype).eps
            rows = rows.clamp(min=least).log() if self.kind == SOFTMAX else rows.logit(least)
        return torch.cat([-rows, rows], dim=1) if self.paired else rows

    def scores(self, logits: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        """The score of every class: probabilities in [0,1], or the logits themselves for the kind "logit"."""
        if self.kind == SOFTMAX:
            return logits.softmax(dim=1)
        return logits.sigmoid() if self.kind == SIGMOID else logits

    def target_scores(
        self, logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]
    ) -> Float[Tensor, " b"]:
        """The score of the target classes together, by `score_name`."""
        return SCORES[self.score_name](logits, targets)


def read_head(
    rows: Float[Tensor, "b c"], graph: Float[Tensor, "n c"], head: Head, names: int | None
) -> Reading:
    """What the scores of probe images say about a network's head.

    Args:
        rows: what the network, or the function that is its head, returned for images that differ much.
        graph: one or more of these rows with their autograd graph, if they have one.
        head: as the user gave it.
        names: how many class names there are; None if there are none.

    Raises:
        UnseeError: the head cannot be told from the answer, does not fit it, or the number of names is wrong.
    """
    if callable(head):
        kind, own, why = LOGIT, False, "a function of the answer is given"
    else:
        look_up(dict.fromkeys(HEADS), head, "head")
        kind, own, why = _found(rows, graph) if head == AUTO else _told(rows, head)
    paired = rows.shape[1] == 1 and names == 2 and kind == SIGMOID
    classes = 2 if paired else rows.shape[1]
    if names is not None and names != classes:
        raise UnseeError(
            f"there are {names} class names, but the network gives {classes} scores for an image: "
            "give one name for each score, in order"
        )
    return Reading(classes, kind, own, why, paired, head=head if callable(head) else None)


def _told(rows: Tensor, head: str) -> tuple[str, bool, str]:
    """Kind, whether the rows are probabilities, and why, for a head that is given."""
    if head == SOFTMAX and rows.shape[1] == 1:
        raise UnseeError("the softmax of one number is always 1: use head='sigmoid' or 'logit'")
    if head == PROBABILITIES:
        if not _within(rows):
            low, high = (float(value) for value in rows.detach().aminmax())
            raise UnseeError(
                f"head='probabilities', but the network gave values from {low:.4g} to {high:.4g}: "
                "use head='softmax' or 'sigmoid' for logits"
            )
        return (SOFTMAX if _sums_to_one(rows) else SIGMOID), True, GIVEN
    return head, False, GIVEN


def _found(rows: Tensor, graph: Tensor) -> tuple[str, bool, str]:
    """Kind, whether the rows are probabilities, and why, for a head that is not given.

    Raises:
        UnseeError: several things could be meant.
    """
    last = _last_operation(graph, _PASSED_ON)
    if last.startswith("Sigmoid"):
        return SIGMOID, True, "the network ends in a sigmoid"
    if rows.shape[1] == 1:
        raise UnseeError(
            "the network gives one number for an image, which can mean several things: use head='sigmoid' "
            "(--head sigmoid) if it is the logit of a binary classifier, 'probabilities' if its probability, "
            "'logit' for regression"
        )
    if _sums_to_one(rows):
        softmax = last.startswith(("Softmax", "SafeSoftmax"))
        why = "the network ends in a softmax" if softmax else "its scores are at least 0 and sum to 1"
        return SOFTMAX, True, why
    if _within(rows) and not _last_operation(graph, _PASSED_ON + _AVERAGED).startswith(_UNBOUNDED):
        raise UnseeError(
            "the network's scores lie in [0,1] and do not sum to 1: use head='probabilities' if each is the "
            "probability of its class, 'softmax' or 'sigmoid' if they are logits"
        )
    if last.startswith("LogSigmoid"):
        raise UnseeError(
            "the network ends in the logarithm of a sigmoid: give head= a function that returns what comes "
            "before it, or let the network return that and use head='sigmoid'"
        )
    if (total := _constant_sum(rows)) is not None:
        raise UnseeError(
            f"the network's scores are at least 0 and always sum to {total:.6g}: if they are shares, let the "
            "network return them divided by that; use head='softmax' or 'sigmoid' if they are logits"
        )
    return SOFTMAX, False, "assumed: one class for an image, unless head= says otherwise"


def _within(rows: Tensor) -> bool:
    return bool(((rows >= -_BEYOND) & (rows <= 1 + _BEYOND)).all())


def _sums(rows: Tensor) -> Tensor:
    return rows.detach().double().sum(dim=1)


def _sums_to_one(rows: Tensor) -> bool:
    slack = _SUM.get(rows.dtype, 1e-3)
    return rows.shape[1] > 1 and bool((rows >= 0).all()) and bool(((_sums(rows) - 1).abs() < slack).all())


def _constant_sum(rows: Tensor) -> float | None:
    """The sum of every row, if all are alike and no value is negative, such as 100 for per cents."""
    sums = _sums(rows)
    same = bool(((sums - sums[0]).abs() <= _BEYOND * sums[0].abs()).all())
    differ = bool((rows[0] != rows[1:]).any())
    return float(sums[0]) if same and differ and bool((rows >= 0).all()) else None


def _last_operation(rows: Tensor, passed: tuple[str, ...]) -> str:
    """The last operation outside `passed`, as autograd names it; empty if there is no graph."""
    node = rows.grad_fn
    while node is not None:
        name = str(node.name())
        if not name.startswith(passed) or not node.next_functions:
            return name
        node = node.next_functions[0][0]
    return ""
