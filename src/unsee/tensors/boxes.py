"""Boxes round what a map marks: half-open [x0, y0, x1, y1), in pixels."""

from jaxtyping import Bool, Float
from torch import Tensor

from unsee.errors import UnseeError

Box = tuple[int, int, int, int]


def tightest_box(marked: Bool[Tensor, "h w"]) -> Box:
    """The smallest box round all marked pixels; the whole map where none is."""
    rows = marked.any(dim=1).nonzero().flatten()
    columns = marked.any(dim=0).nonzero().flatten()
    if len(rows) == 0:
        return 0, 0, marked.shape[1], marked.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fitted_box(saliency: Float[Tensor, "h w"], threshold: float) -> Box:
    """The tightest box round the pixels whose min-max normalised saliency is at least `threshold` (§5.3).

    The map is not changed; a constant map gives the whole picture.

    Raises:
        UnseeError: a threshold outside (0,1], or a map that is not finite.
    """
    if not 0 < threshold <= 1:
        raise UnseeError(f"a box is fitted at a threshold above 0 and up to 1, not {threshold}")
    if not bool(saliency.isfinite().all()):
        raise UnseeError("the saliency holds NaN or infinite values: there is no box to fit")
    low, high = saliency.min(), saliency.max()
    if low == high:
        return 0, 0, saliency.shape[1], saliency.shape[0]
    return tightest_box((saliency - low) / (high - low) >= threshold)
