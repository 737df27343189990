"""SmoothGrad (Smilkov et al. 2017): the gradient averaged over noisy copies. Computed by Captum."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.memory import BATCH_SIZE
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.libraries import library
from unsee.saliency.seeding import seeded
from unsee.saliency.targets import classes_of, on_device, score_of


@neutral()
def smooth_grad(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
) -> Float[Tensor, "b h w"]:
    """The maximum over the colours of the absolute mean gradient.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        samples: noisy copies of each image; each costs one forward and backward pass.
        noise: standard deviation of the Gaussian noise, as a fraction of the image's range.
        seed: of the noise, which is the same for each image in any batch.

    Returns:
        0 and above.

    Raises:
        UnseeError: images or targets are invalid.
    """
    captum = library("captum.attr")
    maps: list[Tensor] = []
    rows = classes_of(classifier, images, targets)
    with classifier.borrowed(), torch.enable_grad():
        for image, row in zip(on_device(classifier, images), rows, strict=True):
            method = captum.NoiseTunnel(captum.Saliency(score_of(classifier, [row])))
            with seeded(seed, classifier.device):
                gradients = method.attribute(
                    image[None].clone().requires_grad_(),
                    nt_type="smoothgrad",
                    nt_samples=samples,
                    nt_samples_batch_size=BATCH_SIZE,
                    stdevs=float(noise * (image.max() - image.min())),
                    abs=False,
                )
            maps.append(gradients)
    return torch.cat(maps).detach().abs().amax(dim=1)
