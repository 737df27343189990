"""Interrogation (§5.1, fig. 6): perturb a box of a photo and see what becomes of the score.

A box that a person suspects, or one fitted to a mask, is perturbed; a fall of the score says that what is in
it matters, and a rise that it spoke against the class.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.explanation import Scores, Target
from unsee.fits import Fit
from unsee.images import Photo
from unsee.masks.edits.perturbation import Perturbation, blend
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import softmax_score
from unsee.masks.scoring import Scoring
from unsee.tensors import Box


@dataclass(frozen=True, eq=False)
class Interrogation:
    """What a box did: the scores before and after, and the edited photo, RGB in [0,1]."""

    photo: Photo
    box: Box
    target: Target
    scores: Scores
    perturbed: Float[Tensor, "3 h w"]
    perturbation: str
    model: str
    weights_sha256: str | None
    fit: str
    seed: int


def interrogate(
    classifier: Classifier,
    photo: Photo,
    box: Box,
    target: Target,
    perturbation: Perturbation,
    fit: Fit,
    seed: int = 0,
) -> Interrogation:
    """Perturb a half-open box [x0, y0, x1, y1) of the photo, in its pixels, and score the target again.

    Raises:
        UnseeError: a box that is empty or reaches out of the photo.
    """
    height, width = photo.pixels.shape[-2:]
    left, top, right, bottom = box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise UnseeError(
            f"the box {left},{top},{right},{bottom} is empty or leaves the photo: "
            f"give X0,Y0,X1,Y1 with 0 <= X0 < X1 <= {width} and 0 <= Y0 < Y1 <= {height}"
        )
    keep = torch.ones(height, width)
    keep[top:bottom, left:right] = 0
    network_input = NetworkInput(photo, classifier.size, 0, fit, classifier.color, seed, classifier.dtype)
    mask = network_input.fitted(keep.expand(3, -1, -1))[0][0].to(classifier.device)
    with classifier.borrowed(), torch.no_grad():
        classes = classifier.logits(network_input.plain[None].to(classifier.device)).shape[1]
        if max(target.indices) >= classes:
            raise UnseeError(
                f"class {max(target.indices)} is not there: {classifier.name} has classes 0 to {classes - 1}"
            )
        scoring = Scoring.prepare(
            classifier, [network_input], [target.indices], classes, [perturbation], softmax_score
        )
        masks = torch.stack([torch.ones_like(mask), mask, torch.zeros_like(mask)])
        scores = scoring.still_scores(masks[None])[0]
    reference = fit.back(perturbation.references(network_input)[0], (height, width), 0.0).clamp(0, 1).float()
    return Interrogation(
        photo=photo,
        box=box,
        target=target,
        scores=Scores(*scores.tolist()),
        perturbed=blend(photo.pixels, reference, keep[None]),
        perturbation=perturbation.name,
        model=classifier.name,
        weights_sha256=classifier.weights_sha256,
        fit=fit.name,
        seed=seed,
    )
