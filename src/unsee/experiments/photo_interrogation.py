"""Interrogation (§5.1, fig. 6): perturb a box of a photo and measure how the score changes.

The box is chosen by a person or fitted to a mask. If the score falls, the content of the box supports the
class; if it rises, the content speaks against it.
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
    """The scores before and after perturbing a box, and the edited photo, RGB in [0,1]."""

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
    """Perturb a box of the photo, and score the target again.

    Args:
        classifier: borrowed, and given back as it was.
        photo: the photo.
        box: [x0, y0, x1, y1), half-open, in pixels of the photo.
        target: the classes to score.
        perturbation: what replaces the content of the box.
        fit: how the photo is fitted to the network's input.
        seed: of perturbations that are random.

    Raises:
        UnseeError: the box is empty or leaves the photo, or the network has no such class.
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
                f"there is no class {max(target.indices)}: {classifier.name} has classes 0 to {classes - 1}"
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
