"""Contact sheets of samples."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from unsee.datasets.sample import Sample
from unsee.errors import UnseeError


def contact_sheet(samples: Iterable[Sample], columns: int = 10, gap: int = 4) -> Image.Image:
    """The images row by row on white, `gap` pixels apart; all must have one size.

    Raises:
        UnseeError: there are no samples, or their sizes differ.
    """
    pictures = [sample.image for sample in samples]
    if not pictures or len({picture.shape for picture in pictures}) != 1:
        raise UnseeError("a contact sheet needs at least one sample, and all of one size")
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // columns)
    size = (rows * (height + gap) + gap, min(columns, len(pictures)) * (width + gap) + gap, 3)
    sheet = np.full(size, 255, dtype=np.uint8)
    for k, picture in enumerate(pictures):
        y, x = gap + k // columns * (height + gap), gap + k % columns * (width + gap)
        sheet[y : y + height, x : x + width] = picture
    return Image.fromarray(sheet)
