"""The learned mask as one of the saliency methods."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.images import read_photo
from unsee.masks.photos import learn_photos
from unsee.masks.plans import plan_for
from unsee.methods import Targets
from unsee.neutral import neutral
from unsee.saliency.targets import classes_of, on_device


@neutral()
def learned_mask(
    classifier: Classifier, images: Float[Tensor, "b c h w"], targets: Targets, seed: int = 0
) -> Float[Tensor, "b hm wm"]:
    """The learned mask (Fong and Vedaldi 2017) as a saliency map, by the preset `fast`.

    `unsee.explain` gives the mask with its scores and the edited image, by any preset.

    Args:
        classifier: borrowed, and given back as it was.
        images: in [0,1].
        targets: a class, or a set of them, for each image.
        seed: of each image's random draws.

    Returns:
        In [0,1], at the network's input size.

    Raises:
        UnseeError: images or targets are invalid.
    """
    rows = classes_of(classifier, images, targets)
    plan = plan_for(seed=seed)
    pixels = images.detach().float().clamp(0, 1).cpu()
    photos = [read_photo(image, channels=classifier.input_shape[0]) for image in pixels]
    learned = learn_photos(classifier, zip(photos, rows, strict=True), plan)
    masks = torch.stack([photo.learned.mask for photo in learned])
    return plan.settings.objective.game.saliency(masks).to(on_device(classifier, images))
