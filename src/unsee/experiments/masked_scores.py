"""The score of one image under many masks."""

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.edits.linear_blend import blend
from unsee.memory import BATCH_SIZE


@torch.no_grad()
def scores_under(
    classifier: Classifier,
    image: Float[Tensor, "c h w"],
    reference: Float[Tensor, "c h w"],
    keep: Float[Tensor, "n h w"],
    target: tuple[int, ...],
) -> Float[Tensor, " n"]:
    """The summed probability of the target under each mask, on the CPU.

    Args:
        classifier: evaluated once for each mask.
        image: at the network's input, in [0,1], on the classifier's device.
        reference: the values of deleted pixels.
        keep: the masks; 1 keeps.
        target: the classes whose probabilities are summed.
    """
    scores = []
    with classifier.borrowed():
        for some in torch.split(keep, BATCH_SIZE):
            images, edits = (part.expand(len(some), -1, -1, -1) for part in (image, reference))
            logits = classifier.logits(blend(images, edits, some[:, None]))
            marks = torch.zeros_like(logits)
            marks[:, list(target)] = 1
            scores.append(classifier.reading.target_scores(logits, marks))
    return torch.cat(scores).cpu()
