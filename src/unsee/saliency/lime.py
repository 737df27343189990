"""LIME (Ribeiro et al. 2016): a linear model of the score over segments of the image.

Captum's Lime fits it; the segments are scikit-image's SLIC.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.memory import BATCH_SIZE
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.pixels import GREY, RGB
from unsee.saliency.libraries import library
from unsee.saliency.seeding import seeded
from unsee.saliency.targets import classes_of, on_device, score_of

_KERNEL_WIDTH = 0.25
_COMPACTNESS = 10.0
"""SLIC's default: how much a pixel's place counts beside its colour."""
_LIGHTNESS = 100.0
"""White in CIELAB."""


@neutral()
def lime(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    targets: Targets,
    samples: int = 1000,
    segments: int = 50,
    seed: int = 0,
) -> Float[Tensor, "b h w"]:
    """How much each segment adds to the logit, by a ridge regression over random halves of the segments.

    Args:
        classifier: any.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        samples: images with some segments in the mean colour; each costs one forward pass.
        segments: about how many segments the image is divided into.
        seed: of the samples.

    Returns:
        One weight for all pixels of a segment, of either sign.

    Raises:
        UnseeError: images or targets are invalid.
    """
    rows = classes_of(classifier, images, targets)
    linear_model = library("captum._utils.models.linear_model")
    kernel = library("captum.attr._core.lime").get_exp_kernel_similarity_function
    similarity = kernel("cosine", kernel_width=_KERNEL_WIDTH)
    maps: list[Tensor] = []
    with classifier.borrowed(), torch.no_grad():
        inputs = on_device(classifier, images)
        color = inputs.new_tensor(classifier.color)[None, :, None, None].expand(1, *inputs.shape[1:])
        for image, row in zip(inputs, rows, strict=True):
            method = library("captum.attr").Lime(
                score_of(classifier, [row]),
                interpretable_model=linear_model.SkLearnRidge(alpha=1.0),
                similarity_func=similarity,
            )
            parts = torch.from_numpy(segments_of(image, segments)).to(image.device)
            with seeded(seed, classifier.device):
                weights = method.attribute(
                    image[None],
                    baselines=color,
                    feature_mask=parts[None, None],
                    n_samples=samples,
                    perturbations_per_eval=BATCH_SIZE,
                )
            maps.append(weights[:, 0])
    return torch.cat(maps).to(inputs)


def segments_of(image: Float[Tensor, "c h w"], count: int) -> np.ndarray:
    """Numbered from 0; by colour in CIELAB for grey and RGB, else by the values of the channels."""
    grey = image.expand(RGB, -1, -1) if len(image) == GREY else image
    pixels = grey.float().permute(1, 2, 0).cpu().numpy()
    near = _COMPACTNESS if len(grey) == RGB else _COMPACTNESS / _LIGHTNESS
    found: np.ndarray = library("skimage.segmentation").slic(
        pixels, n_segments=count, compactness=near, start_label=0
    )
    return found
