"""Training images with animals or backgrounds removed, and the targets for them.

A network trained only on whole images keeps its class for a blurred one. So half of the training images are
edited as explanations edit: animals, background or everything is replaced with a blur, a colour or noise. The
target is spread over the animals that remain, or over all classes if none remains.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

NOTHING, EVERYTHING, ANIMALS, GROUND, BLOBS = range(5)
EACH = 0.6
"""Probability that each animal is removed when animals are; at least one always is."""
SHARES = (0.55, 0.09, 0.2, 0.09, 0.07)
"""Probability of each kind of edit."""


def erase(
    images: Float[Tensor, "b 3 h w"],
    animals: Bool[Tensor, "b a c"],
    cells: Bool[Tensor, "b a r r"],
    given_away: Bool[Tensor, "b c"],
    random: torch.Generator,
) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b c"]]:
    """Edit each image in one of the ways above.

    A class with a planted thing keeps its target when its animal is removed and the thing stays, as in a data
    set in which the thing always comes with the class. Such images keep their background, since the thing
    lies on it.

    Args:
        images: in [0, 1].
        animals: the class of each of up to `a` animals, one-hot; rows of zeros if there are fewer.
        cells: for each animal, the cells of a coarse grid that it covers.
        given_away: the classes whose planted thing is in the image.
        random: the source of all draws.

    Returns:
        The images, and their targets, which sum to 1 over the classes.
    """
    count = len(images)
    kind = torch.multinomial(torch.tensor(SHARES), count, replacement=True, generator=random)
    kind[given_away.any(dim=1) & ((kind == GROUND) | (kind == BLOBS))] = NOTHING
    gone = (torch.rand(animals.shape[:2], generator=random) < EACH) & animals.any(dim=2)
    gone[:, 0] |= ~gone.any(dim=1)
    gone &= (kind == ANIMALS)[:, None]
    left = (animals & ~gone[..., None]).any(dim=1) | given_away
    left[kind == EVERYTHING] = False
    target = left.float() + (~left.any(dim=1)).float()[:, None]
    target /= target.sum(dim=1, keepdim=True)
    edited = kind != NOTHING
    if not edited.any():
        return images, target
    keep = _kept(kind[edited], cells[edited], gone[edited], random)
    keep = F.interpolate(keep, size=images.shape[2:], mode="bilinear", align_corners=False)
    images = images.clone()
    images[edited] = keep * images[edited] + (1 - keep) * _filling(images[edited], random)
    return images, target


def _kept(
    kind: Tensor, cells: Bool[Tensor, "b a r r"], gone: Bool[Tensor, "b a"], random: torch.Generator
) -> Float[Tensor, "b 1 r r"]:
    """What is kept, 28×28, in [0, 1]: removal extends by one cell and fades over the next."""
    count, _, side, _ = cells.shape
    wide = F.max_pool2d(cells.float(), 3, stride=1, padding=1)
    out = (wide * gone[..., None, None].float()).amax(dim=1, keepdim=True)
    standing = wide.amax(dim=1, keepdim=True)
    noise = torch.randn(count, 1, 5, 5, generator=random)
    blobs = (F.interpolate(noise, size=side, mode="bicubic", align_corners=False) > 0).float()
    choices = {
        EVERYTHING: torch.zeros_like(out),
        ANIMALS: 1 - out,
        GROUND: standing,
        BLOBS: torch.maximum(standing, blobs),
    }
    keep = torch.ones_like(out)
    for which, mask in choices.items():
        keep = torch.where((kind == which).view(-1, 1, 1, 1), mask, keep)
    return F.avg_pool2d(F.pad(keep, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _filling(images: Float[Tensor, "b 3 h w"], random: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    """The replacement: a blur (in 70 %), the mean colour, or noise."""
    sigma = images.shape[-1] / 224 * float(7 + 8 * torch.rand(1, generator=random)) / 4
    small = F.avg_pool2d(images, 4)
    kernel = 2 * int(2.5 * sigma) + 1
    blurred = gaussian_blur(small, [kernel, kernel], [sigma, sigma])
    blurred = F.interpolate(blurred, size=images.shape[2:], mode="bilinear", align_corners=False)
    mean = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    noise = torch.rand(images.shape, generator=random)
    draw = torch.rand(len(images), 1, 1, 1, generator=random)
    return torch.where(draw < 0.7, blurred, torch.where(draw < 0.85, mean, noise))
