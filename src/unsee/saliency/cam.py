"""Class activation maps (Zhou et al. 2016): the last maps, weighted as the last layer weights their means.

Own code: no kept library has it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import opened
from unsee.layers import is_map
from unsee.methods import Targets, usable
from unsee.neutral import neutral
from unsee.saliency.overrides import Function, FunctionOverrides, Override, first_argument
from unsee.saliency.targets import chosen, classes_of, on_device

_POOLS = (F.avg_pool2d, F.adaptive_avg_pool2d, torch.mean, Tensor.mean)
_SHARE, _LEAST = 1e-3, 1e-4


@neutral()
@torch.no_grad()
def cam(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets
) -> Float[Tensor, "b hl wl"]:
    """Σ_k w_k·A_k: A the maps whose means the last layer takes, w its weights for the target.

    Where the means are the logits, as in SqueezeNet, it is the target's map.

    Args:
        classifier: must end in global average pooling and at most one linear layer.
        images: in [0,1].
        targets: a class, or a set of them, for each image.

    Returns:
        Contributions to the logit, of either sign, at the size of the maps.

    Raises:
        UnseeError: the network does not end so, or images or targets are invalid.
    """
    classes = classes_of(classifier, images, targets)
    classifier = opened(classifier)
    pooled: list[Tensor] = []
    weighted: list[tuple[Tensor, Tensor]] = []

    def note_pooled(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Any:  # noqa: ANN401
        pooled.append(first_argument(args, named)[0])
        return function(*args, **named)

    def note_weighted(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Any:  # noqa: ANN401
        x, further, _ = first_argument(args, named)
        weighted.append((x, further[0] if further else named["weight"]))
        return function(*args, **named)

    overrides: dict[Function, Override] = {F.linear: note_weighted}
    overrides |= dict.fromkeys(_POOLS, note_pooled)
    with classifier.borrowed():
        with FunctionOverrides(overrides):
            logits = classifier.logits(on_device(classifier, images))
        marks = chosen(logits, classes)
        for maps in (part for part in reversed(pooled) if is_map(part.shape)):
            means = maps.mean(dim=(2, 3))
            if _same(means, logits):
                return torch.einsum("bkhw,bk->bhw", maps.to(marks), marks)
            if weighted and _same(means, weighted[-1][0]) and len(weighted[-1][1]) == logits.shape[1]:
                return torch.einsum("bkhw,bk->bhw", maps.to(marks), marks @ weighted[-1][1].to(marks))
    raise UnseeError(
        "CAM needs a network that ends in global average pooling and one linear layer, and "
        f"{classifier.name} does not; {usable(classifier)} need none of it"
    )


def _same(means: Tensor, others: Tensor) -> bool:
    return means.shape == others.shape and torch.allclose(means.to(others), others, _SHARE, _LEAST)
