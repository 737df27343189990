"""Boxes around marked pixels: half-open [x0, y0, x1, y1), in pixels."""

from jaxtyping import Bool, Float
from torch import Tensor

from unsee.errors import UnseeError

Box = tuple[int, int, int, int]


def tightest_box(marked: Bool[Tensor, "h w"]) -> Box:
    """The smallest box around all marked pixels; the whole map if none is marked."""
    rows = marked.any(dim=1).nonzero().flatten()
    columns = marked.any(dim=0).nonzero().flatten()
    if len(rows) == 0:
        return 0, 0, marked.shape[1], marked.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fitted_box(saliency: Float[Tensor, "h w"], threshold: float) -> Box:
    """The tightest box around the pixels whose min-max normalised saliency is at least `threshold` (§5.3).

    A constant map gives the whole image.

    Raises:
        UnseeError: the threshold is outside (0,1], or the map is not finite.
    """
    if not 0 < threshold <= 1:
        raise UnseeError(f"the threshold of a box must be in (0, 1], got {threshold}")
    if not bool(saliency.isfinite().all()):
        raise UnseeError("the saliency map must be finite to fit a box, but holds NaN or infinite values")
    low, high = saliency.min(), saliency.max()
    if low == high:
        return 0, 0, saliency.shape[1], saliency.shape[0]
    return tightest_box((saliency - low) / (high - low) >= threshold)
