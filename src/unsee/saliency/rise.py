"""RISE (Petsiuk et al. 2018): the mean of random soft masks, each weighted with its score.

Own code: no kept library has it.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.memory import BATCH_SIZE
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.targets import chosen, classes_of, on_device
from unsee.tensors import generator

_STREAM = 4


@neutral()
@torch.no_grad()
def rise(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    masks: int = 4000,
    cells: int = 7,
    kept: float = 0.5,
    seed: int = 0,
) -> Float[Tensor, "b h w"]:
    """S = Σ f(I ⊙ M)·M / (N·p), f the softmax probability; hidden pixels have the mean colour.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        masks: N, the same masks for every image; each costs one forward pass.
        cells: of a mask along each side, before it is upsampled and shifted.
        kept: p, the probability that a cell is shown.
        seed: of the masks.

    Returns:
        An estimate of the mean probability when a pixel is shown; 0 and above.

    Raises:
        UnseeError: images or targets are invalid.
    """
    rows = classes_of(classifier, images, targets)
    inputs = on_device(classifier, images)
    color = inputs.new_tensor(classifier.color)[:, None, None].expand(inputs.shape[1:])
    total = inputs.new_zeros(len(inputs), *inputs.shape[2:])
    with classifier.borrowed():
        for some in random_masks(masks, cells, kept, (inputs.shape[2], inputs.shape[3]), seed):
            shown = some.to(inputs)
            for number, (image, row) in enumerate(zip(inputs, rows, strict=True)):
                logits = classifier.logits(torch.lerp(color, image, shown[:, None]))
                scores = classifier.reading.target_scores(logits, chosen(logits, [row] * len(logits)))
                total[number] += torch.einsum("n,nhw->hw", scores, shown)
    return total / (masks * kept)


def random_masks(
    count: int, cells: int, kept: float, size: tuple[int, int], seed: int
) -> Iterator[Float[Tensor, "n h w"]]:
    """Random grids, upsampled bilinearly to one cell more than the image and cropped at a random offset."""
    draws = generator(seed, _STREAM)
    height, width = (-(-side // cells) for side in size)
    for first in range(0, count, BATCH_SIZE):
        number = min(BATCH_SIZE, count - first)
        grid = (torch.rand(number, 1, cells + 1, cells + 1, generator=draws) < kept).float()
        large = F.interpolate(grid, ((cells + 1) * height, (cells + 1) * width), mode="bilinear")[:, 0]
        down = torch.randint(0, height, (number,), generator=draws)
        across = torch.randint(0, width, (number,), generator=draws)
        every = large.unfold(1, size[0], 1).unfold(2, size[1], 1)
        yield every[torch.arange(number), down, across]
