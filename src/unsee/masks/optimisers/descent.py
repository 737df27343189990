"""Descent within bounds on an objective that is cheap to evaluate, such as a model of the network's."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

_BETAS = (0.7, 0.8)
_TINY = 1e-18


def minimised(
    gradient: Callable[[Tensor], Tensor],
    start: Float[Tensor, "*b r c"],
    bounds: tuple[Tensor, Tensor],
    reach: Tensor,
    steps: int,
) -> Float[Tensor, "*b r c"]:
    """Descend within bounds by normalised steps like Adam's, whose length falls to 0.

    Args:
        gradient: of masks.
        start: of the descent.
        bounds: the lowest and the highest value of each cell.
        reach: of each mask, how far its steps lead together at most; it broadcasts.
        steps: how many.
    """
    masks, mean, square = start, torch.zeros_like(start), torch.zeros_like(start)
    first, second = _BETAS
    rates = torch.cos(torch.linspace(0, torch.pi, steps + 1)[:-1]).add(1).mul(0.125).tolist()
    for count, rate in enumerate(rates, start=1):
        found = gradient(masks)
        mean = torch.lerp(found, mean, first)
        square = torch.lerp(found.square(), square, second)
        move = (square / (1 - second**count)).add_(_TINY).rsqrt_().mul_(mean).mul_(reach)
        masks = masks.sub(move, alpha=rate / (1 - first**count)).clamp(*bounds)
    return masks
