"""What a network's answer means: logits or probabilities, one class for an image or several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.choices import look_up
from unsee.errors import UnseeError

SOFTMAX, SIGMOID, LOGIT, PROBABILITIES, AUTO = "softmax", "sigmoid", "logit", "probabilities", "auto"
HEADS = (AUTO, SOFTMAX, SIGMOID, PROBABILITIES, LOGIT)

Head = str | Callable[[object], Tensor]
"""A name in `HEADS`, or a function of the network's answer that returns (B,C) scores."""

_SUM = {torch.float16: 2e-2, torch.bfloat16: 2e-2}
_SMALL, _FAR = 1e-4, 1e6
_PASSED_ON: tuple[str, ...] = (
    "Alias",
    "Cat",
    "Clone",
    "Copy",
    "Expand",
    "Index",
    "Permute",
    "Reshape",
    "Select",
    "Slice",
)
_PASSED_ON += ("Squeeze", "ToCopy", "Transpose", "UnsafeView", "Unsqueeze", "View")
"""Operations that move values without changing them, as autograd names them."""


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
        differentiable: whether its scores have a gradient with respect to the image.
        head: a function of the answer, if one was given.
    """

    classes: int
    kind: str
    probabilities: bool = False
    why: str = ""
    paired: bool = False
    alone: str = ""
    differentiable: bool = True
    head: Callable[[object], Tensor] | None = None

    @property
    def summary(self) -> str:
        """The head as results record it."""
        if self.head is not None:
            return f"own function {getattr(self.head, '__name__', type(self.head).__name__)}"
        return f"{PROBABILITIES}, {self.kind}" if self.probabilities else self.kind

    def logits(self, output: object, count: int) -> Float[Tensor, "b c"]:
        """The network's answer as logits of the kind; probabilities become their logarithms or log-odds.

        Args:
            output: what the network returned.
            count: of images that it was given.

        Raises:
            UnseeError: the answer is not one row of scores for each image.
        """
        rows = rows_of(output if self.head is None else self.head(output), count)
        if self.probabilities:
            least = torch.finfo(rows.dtype).tiny if self.kind == SOFTMAX else torch.finfo(rows.dtype).eps
            rows = rows.clamp(min=least).log() if self.kind == SOFTMAX else rows.logit(least)
        return torch.cat([-rows, rows], dim=1) if self.paired else rows

    def scores(self, logits: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        """The score of every class: probabilities in [0,1], or the logits themselves for the kind "logit"."""
        if self.kind == SOFTMAX:
            return logits.softmax(dim=1)
        return logits.sigmoid() if self.kind == SIGMOID else logits

    def joint(self, scores: Float[Tensor, " c"], targets: Sequence[int]) -> float:
        """The score of target classes together, from the scores of all classes of one image."""
        own = scores[list(targets)]
        return float(1 - (1 - own).prod() if self.kind == SIGMOID else own.sum())

    def target_scores(
        self, logits: Float[Tensor, "b c"], targets: Float[Tensor, "b c"]
    ) -> Float[Tensor, " b"]:
        """The score of the target classes together.

        Softmax: the sum of their probabilities; sigmoid: the probability that at least one is there; logit:
        the sum.
        """
        scores = self.scores(logits)
        if self.kind == SIGMOID:
            return 1 - (1 - scores * targets).prod(dim=1)
        return (scores * targets).sum(dim=1)


def rows_of(output: object, count: int) -> Float[Tensor, "b c"]:
    """One row of scores for each image.

    Takes a tensor, an object or mapping with `logits`, or a sequence or mapping, of which the first tensor
    with a row for each image counts; (B,C,1,1) and (B,) are reshaped.

    Raises:
        UnseeError: there is none.
    """
    for tensor in _tensors(output):
        shape = tensor.shape
        if len(shape) == 2 and shape[0] == count:
            return tensor
        if len(shape) > 2 and shape[0] == count and max(shape[2:]) == 1:
            return tensor.flatten(1)
        if shape == (count,) and tensor.is_floating_point():
            return tensor[:, None]
    given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise UnseeError(
        f"the network returned {given} for {count} images; unsee needs scores of shape ({count}, classes): "
        "wrap the network in a module that returns them, or give head= a function that takes them out"
    )


def _tensors(output: object) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return [logits]
    if isinstance(output, Mapping):
        output = list(output.values())
    parts = [part for part in output if isinstance(part, Tensor)] if isinstance(output, Sequence) else []
    return sorted(parts, key=lambda part: part.ndim != 2)


def read_head(
    output: object, count: int, head: Head, names: int | None, differentiable: bool = True, alone: str = ""
) -> Reading:
    """What a network's answer to probe images says about its head.

    Args:
        output: what the network returned for them, with its autograd graph if it has one.
        count: of probe images.
        head: as the user gave it.
        names: how many class names there are; None if there are none.
        differentiable: whether the answer has a gradient with respect to the images.
        alone: see `Reading`.

    Raises:
        UnseeError: the head cannot be told from the answer, does not fit it, or the number of names is wrong.
    """
    if callable(head):
        rows, kind, own, why = rows_of(head(output), count), LOGIT, False, "a function of the answer is given"
    else:
        look_up(dict.fromkeys(HEADS), head, "head")
        rows = rows_of(output, count)
        kind, own, why = _found(rows) if head == AUTO else _told(rows, head)
    paired = rows.shape[1] == 1 and names == 2 and kind == SIGMOID
    classes = 2 if paired else rows.shape[1]
    if names is not None and names != classes:
        raise UnseeError(
            f"there are {names} class names, but the network gives {classes} scores for an image: "
            "give one name for each score, in order"
        )
    function = head if callable(head) else None
    return Reading(classes, kind, own, why, paired, alone, differentiable, function)


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
        return (SOFTMAX if _sums_to_one(rows) else SIGMOID), True, "given"
    return head, False, "given"


def _found(rows: Tensor) -> tuple[str, bool, str]:
    """Kind, whether the rows are probabilities, and why, for a head that is not given."""
    last = _last_operation(rows)
    if "LogSoftmax" not in last and "Softmax" in last and rows.shape[1] > 1:
        return SOFTMAX, True, "the network ends in a softmax"
    if last.startswith("Sigmoid"):
        return SIGMOID, True, "the network ends in a sigmoid"
    if rows.shape[1] == 1:
        raise UnseeError(
            "the network gives one number for an image, which can mean several things: use head='sigmoid' "
            "(--head sigmoid) if it is the logit of a binary classifier, 'probabilities' if its probability, "
            "'logit' for regression"
        )
    if _sums_to_one(rows):
        return SOFTMAX, True, "its scores are not negative and sum to 1"
    if _within(rows) and not last:
        raise UnseeError(
            "the network's scores lie in [0,1] and do not sum to 1: use head='probabilities' if each is the "
            "probability of its class, 'softmax' or 'sigmoid' if they are logits"
        )
    return SOFTMAX, False, "assumed: one class for an image, unless head= says otherwise"


def _within(rows: Tensor) -> bool:
    return bool(((rows >= 0) & (rows <= 1)).all())


def _sums_to_one(rows: Tensor) -> bool:
    slack = _SUM.get(rows.dtype, 1e-3)
    sums = rows.detach().double().sum(dim=1)
    return rows.shape[1] > 1 and bool((rows >= 0).all()) and bool(((sums - 1).abs() < slack).all())


def _last_operation(rows: Tensor) -> str:
    """The last operation that changed values, as autograd names it; empty if there is no graph."""
    node = rows.grad_fn
    while node is not None:
        name = str(node.name())
        if not any(name.startswith(part) for part in _PASSED_ON) or not node.next_functions:
            return name
        node = node.next_functions[0][0]
    return ""


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
