"""Variable occlusion (supplement, §4.1): discs of random sizes at random places; the smallest that matters.

Own code: no library has it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.occluders import SIDE, discs, hide, scale
from unsee.saliency.targets import classes_of, on_device
from unsee.tensors import generator, smooth

_LOG_AREA = (7.5060, 1.2848)
"""Mean and deviation of the logarithm of the area, in pixels of a 224-pixel image (supplement, fig. 1)."""
_ROW = (116.0759, 47.5054)
"""Mean and deviation of the centre's row; the column is uniform."""
_STREAM = 3


@neutral()
def variable_occlusion(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    draws: int = 784,
    share: float = 0.1,
    blur: float = 10.0,
    seed: int = 0,
) -> Float[Tensor, "b h w"]:
    """Among the discs whose blurring lowers the logit most, the one with the smallest radius.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        draws: discs, the same for every image.
        share: the fraction of them that counts as lowering it most.
        blur: standard deviation of the Gaussian that softens the discs, and of the one that blurs the image,
            in pixels of a 224-pixel image; all sizes scale with the image.
        seed: of the draws.

    Returns:
        In [0,1]: the soft disc, highest at its centre.

    Raises:
        UnseeError: images or targets are invalid.
    """
    rows = classes_of(classifier, images, targets)
    inputs = on_device(classifier, images)
    size = (inputs.shape[2], inputs.shape[3])
    unit = scale(size)
    centers, radii = (part * unit for part in drawn_discs(draws, (size[0] / unit, size[1] / unit), seed))
    best = math.ceil(share * draws)
    maps = []
    with classifier.borrowed():
        for image, row in zip(inputs, rows, strict=True):
            pieces = discs(size, centers, radii, blur * unit)
            hidden = hide(classifier, image, row, smooth(image, blur * unit), pieces)
            falls = torch.cat([some.falls for some in hidden]).cpu()
            strongest = falls.topk(best).indices
            chosen = strongest[radii[strongest].argmin()]
            (disc,) = next(discs(size, centers[chosen][None], radii[chosen][None], blur * unit))
            maps.append(disc.to(image))
    return torch.stack(maps)


def drawn_discs(
    draws: int, size: tuple[float, float], seed: int
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
    """Centres (row, column) and radii, in an image whose shorter side is 224."""
    source = generator(seed, _STREAM)
    mean, deviation = _LOG_AREA
    radii = ((mean + deviation * torch.randn(draws, generator=source)).exp() / math.pi).sqrt()
    mean, deviation = _ROW
    down = (mean + deviation * torch.randn(draws, generator=source)) * size[0] / SIDE
    across = torch.rand(draws, generator=source) * size[1]
    return torch.stack([down.clamp(0, size[0] - 1), across], dim=1), radii
