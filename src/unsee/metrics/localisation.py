"""Weak localisation (§5.6, table 1): boxes around the thresholded map, and whether they find the object."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from unsee.errors import UnseeError
from unsee.metrics.maps import picture_size, readable
from unsee.tensors import upsampling_matrix

VALUE_ALPHAS = tuple(round(0.05 * step, 2) for step in range(20))
"""The paper's thresholds by value."""
ENERGY_ALPHAS = VALUE_ALPHAS
"""The paper's thresholds by energy."""
MEAN_ALPHAS = tuple(0.5 * step for step in range(21))
"""The paper's thresholds by mean."""


_Cut = tuple[Float[Tensor, "h w"], Float[Tensor, " n"]]
"""Levels, one for each value of a map, and the lowest level kept, one for each threshold."""


def _by_value(saliency: Float[Tensor, "h w"], alphas: Float[Tensor, " n"]) -> _Cut:
    low, high = saliency.aminmax()
    return saliency - low, alphas * (high - low)


def _by_energy(saliency: Float[Tensor, "h w"], alphas: Float[Tensor, " n"]) -> _Cut:
    """A value is kept where those above it hold less than α of the sum; ties are kept or dropped together."""
    energy = saliency.clamp(min=0)
    highest = energy.flatten().sort(descending=True).values
    held = highest.cumsum(dim=0)
    enough = held >= alphas[:, None] * held[-1]
    return energy, highest[enough.int().argmax(dim=1)]


def _by_mean(saliency: Float[Tensor, "h w"], alphas: Float[Tensor, " n"]) -> _Cut:
    return saliency, alphas * saliency.mean()


_RULES: dict[str, tuple[Callable[[Tensor, Tensor], _Cut], tuple[float, ...], float]] = {
    "value": (_by_value, VALUE_ALPHAS, 1.0),
    "energy": (_by_energy, ENERGY_ALPHAS, 1.0),
    "mean": (_by_mean, MEAN_ALPHAS, math.inf),
}
"""Rule → its levels and cuts, the paper's thresholds, and the highest valid threshold."""


def boxes_at(
    saliency: Float[Tensor, "h w"],
    size: tuple[int, int],
    rule: str,
    alphas: Sequence[float] | None = None,
) -> Int[Tensor, "n 4"]:
    """The box around the part of a map above each threshold (§5.6).

    Pixels are kept at the map's own resolution: "value" keeps h - min ≥ α·(max - min); "energy" the
    highest that together hold α of the sum, at least one, with ties of the lowest of them, and values below 0
    counted as 0; "mean" keeps h ≥ α·mean, as printed. The binary map is then resized to the image
    bilinearly, centres on centres, and the box is the tightest around all values above 0. If nothing is
    kept, it is the whole image.

    A constant map gives the whole image at every α; by energy, so does a map without values above 0. By
    mean, a map whose mean is below 0 keeps more as α grows, not less.

    Args:
        saliency: at any size, high where salient; it is not changed.
        size: height and width of the image.
        rule: "value", "energy" or "mean".
        alphas: thresholds, up to 1 by value and energy; by default the paper's.

    Returns:
        Half-open (x0, y0, x1, y1) in pixels of the image, one row per threshold, on the CPU.

    Raises:
        UnseeError: an unknown rule, an invalid threshold, or a map that is not finite.
    """
    if rule not in _RULES:
        raise UnseeError(f"no threshold rule is called {rule!r}; choose from {', '.join(_RULES)}")
    cut, usual, most = _RULES[rule]
    wanted = torch.tensor(usual if alphas is None else tuple(alphas), dtype=torch.float64)
    if not bool(((wanted >= 0) & (wanted <= most) & wanted.isfinite()).all()):
        upper = "" if most == math.inf else f" and up to {most:g}"
        raise UnseeError(f"thresholds by {rule} must be finite, at least 0{upper}, got {wanted.tolist()}")
    return _boxes_around(*cut(readable(saliency), wanted), picture_size(size))


def _boxes_around(
    levels: Float[Tensor, "h w"], cuts: Float[Tensor, " n"], size: tuple[int, int]
) -> Int[Tensor, "n 4"]:
    """The tightest box around all pixels above 0 once the binary map of kept values is resized.

    A pixel is above 0 where a kept value contributes to it along both axes. Which value contributes to which
    pixel does not depend on the map, and the highest value of a row or column says whether any of it is kept.
    So the resized map is never computed.
    """
    down, across = (_lent(side, cells) for side, cells in zip(size, levels.shape, strict=True))
    top, bottom = _ends(levels[:, across.any(dim=0)].amax(dim=1) >= cuts[:, None], down)
    left, right = _ends(levels[down.any(dim=0)].amax(dim=0) >= cuts[:, None], across)
    boxes = torch.stack([left, top, right, bottom], dim=1)
    boxes[(right <= left) | (bottom <= top)] = torch.tensor([0, 0, size[1], size[0]])
    return boxes


def _lent(length: int, cells: int) -> Bool[Tensor, "length cells"]:
    """Which values of a line contribute to which of its pixels."""
    return upsampling_matrix(length, cells, "bilinear") > 0


def _ends(
    kept: Bool[Tensor, "n cells"], lent: Bool[Tensor, "length cells"]
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """The first pixel with a contribution, and the one after the last; (length, 0) if there is none."""
    pixels = (kept.double() @ lent.double().T > 0).long()
    some, length = pixels.any(dim=1), len(lent)
    first = torch.where(some, pixels.argmax(dim=1), length)
    return first, torch.where(some, length - pixels.flip(1).argmax(dim=1), 0)


def iou(boxes: Real[Tensor, "n 4"], others: Real[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of each box with each other, half-open (x0, y0, x1, y1); float64.

    A box without area overlaps with nothing, not even itself.

    Raises:
        UnseeError: a box that is not finite, or whose x1 < x0 or y1 < y0.
    """
    one, two = checked_boxes(boxes)[:, None], checked_boxes(others)[None].to(boxes.device)
    low = torch.maximum(one[..., :2], two[..., :2])
    high = torch.minimum(one[..., 2:], two[..., 2:])
    common = (high - low).clamp(min=0).prod(dim=2)
    union = _area(one) + _area(two) - common
    return torch.where(common > 0, common / union, 0.0)


def localised(
    boxes: Real[Tensor, "n 4"], truths: Real[Tensor, "m 4"], least: float = 0.5
) -> Bool[Tensor, " n"]:
    """Whether each box has an IoU of at least `least` with any of the true ones (§5.6).

    Raises:
        UnseeError: there is no true box, or a box is invalid.
    """
    if len(truths) == 0:
        raise UnseeError("there is no true box to find: leave out images without one")
    return iou(boxes, truths).amax(dim=1) >= least


def checked_boxes(boxes: Real[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """The boxes in float64.

    Raises:
        UnseeError: a box that is not finite, or whose x1 < x0 or y1 < y0.
    """
    exact = boxes.double()
    if not bool(exact.isfinite().all()):
        raise UnseeError("a box holds NaN or infinite values")
    if bool((exact[:, 2:] < exact[:, :2]).any()):
        raise UnseeError("a box is (x0, y0, x1, y1) with x0 ≤ x1 and y0 ≤ y1; is one given as x, y, w, h?")
    return exact


def _area(boxes: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b"]:
    return (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
