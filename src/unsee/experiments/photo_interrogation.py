"""Interrogation (§5.1, fig. 6): perturb a box of a photo and score the photo again.

    result = interrogate(classifier, "flute.jpg", (200, 150, 420, 260), "flute")
    print(result.scores.original, result.scores.perturbed)
    result.save("interrogations/flute")

If the score falls, what is in the box matters to the class; if it rises, it spoke against the class. The box
is given by hand, or fitted to a saved mask (`interrogate_explanation`).
"""

from dataclasses import replace

import torch

from unsee.choices import look_up
from unsee.classifier import Classifier, TargetLike
from unsee.errors import UnseeError
from unsee.experiments.interrogation_result import Interrogation
from unsee.explanation import Explanation, Scores, Target
from unsee.fits import FITS, Fit, Squash
from unsee.images import Photo, PhotoLike
from unsee.masks.edits.edit import Perturbation
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.network_input import NetworkInput, photo_for
from unsee.masks.photos import asked_for, target_indices
from unsee.masks.scoring import Scoring
from unsee.neutral import neutral
from unsee.target_scores import SCORES
from unsee.tensors import Box, fitted_box
from unsee.words import classes_below


def perturbation_named(name: str) -> Perturbation:
    """A perturbation that a box can be interrogated with.

    Raises:
        UnseeError: the name is unknown, or stands for several perturbations.
    """
    edits = look_up(PERTURBATIONS, name, "perturbation")
    if len(edits) > 1:
        raise UnseeError(f"a box takes one perturbation, and {name} stands for {len(edits)}: choose one")
    return edits[0]


@neutral()
def interrogate(
    classifier: Classifier,
    photo: PhotoLike | Photo,
    box: Box,
    target: TargetLike | Target | None = None,
    perturbation: str | Perturbation = "blur",
    fit: Fit | None = None,
    seed: int = 0,
    score: str | None = None,
) -> Interrogation:
    """Perturb a box of the photo and score the target again.

    Args:
        classifier: comes back as it was.
        photo: what `read_photo` takes, or what it gives.
        box: half-open [x0, y0, x1, y1), in pixels of the photo.
        target: as `unsee.explain` takes it, or the target of an explanation.
        perturbation: what the pixels in the box become.
        fit: how the photo is brought to the network's input; `Squash()` by default.
        seed: of perturbations that draw noise.
        score: of several targets together, as `Classifier` takes it; defaults to the classifier's.

    Raises:
        UnseeError: the box is empty or leaves the photo, or there is no such class or perturbation.
    """
    edit = perturbation_named(perturbation) if isinstance(perturbation, str) else perturbation
    classifier = classifier.scored(score)
    source = photo_for(classifier, photo)
    chosen_fit = Squash() if fit is None else fit
    _refuse_outside(box, source)
    if not isinstance(target, Target):
        pixels = chosen_fit.apply(source.pixels, classifier.size)
        clean = classifier.probabilities(pixels[None])[0]
        if not bool(clean.isfinite().all()):
            raise UnseeError(classifier.not_finite(source.name))
        indices = target_indices(classifier, target, clean)
        target = Target(indices, tuple(map(classifier.class_name, indices)), asked_for(target))
    return _interrogation(classifier, source, box, target, edit, chosen_fit, seed)


def interrogate_explanation(
    classifier: Classifier,
    explanation: Explanation,
    box: Box | None = None,
    target: TargetLike | Target | None = None,
    perturbation: str | Perturbation = "blur",
    fit: Fit | None = None,
    seed: int = 0,
    threshold: float = 0.5,
    score: str | None = None,
) -> Interrogation:
    """Perturb the box that an explanation's mask marks, and score the target again.

    Args:
        classifier: the one that was explained.
        explanation: a mask and its photo.
        box: fitted to the mask by default.
        target: the explanation's by default.
        perturbation: what the pixels in the box become.
        fit: the explanation's by default.
        seed: of perturbations that draw noise.
        threshold: share of the saliency's range at which the box is fitted, in (0, 1].
        score: of several targets together; the explanation's by default.

    Raises:
        UnseeError: the classifier has other weights than the one that was explained, the explanation has a
            score of its own that no name stands for, or what `interrogate` raises.
    """
    origin = explanation.provenance
    if (origin.model, origin.weights_sha256) != (classifier.name, classifier.weights_sha256):
        raise UnseeError(
            f"the saved mask was learned on {origin.model} with other weights: load them "
            "(--weights), or call interrogate with a box (--box without --from)"
        )
    result = interrogate(
        classifier,
        explanation.photo,
        fitted_box(explanation.saliency, threshold) if box is None else box,
        explanation.target if target is None else target,
        perturbation,
        look_up(FITS, origin.fit, "fit") if fit is None else fit,
        seed,
        explained_score(explanation) if score is None and classifier.score is None else score,
    )
    return replace(result, saliency=explanation.saliency)


def explained_score(explanation: Explanation) -> str | None:
    """The name of the score that a mask was learned for; None if the explanation does not say.

    Raises:
        UnseeError: it is a function of the user's own.
    """
    saved = explanation.run.settings.get("objective", {}).get("score")
    if saved is None:
        return None
    named = {function.__name__: name for name, function in SCORES.items()}
    if saved not in named:
        raise UnseeError(
            f"the mask was learned for {saved}, a score of your own: name the one to report (score=, --score)"
        )
    return named[saved]


def _refuse_outside(box: Box, photo: Photo) -> None:
    height, width = photo.pixels.shape[-2:]
    left, top, right, bottom = box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise UnseeError(
            f"the box {left},{top},{right},{bottom} is empty or leaves the photo: "
            f"give X0,Y0,X1,Y1 with 0 <= X0 < X1 <= {width} and 0 <= Y0 < Y1 <= {height}"
        )


def _interrogation(
    classifier: Classifier,
    photo: Photo,
    box: Box,
    target: Target,
    perturbation: Perturbation,
    fit: Fit,
    seed: int,
) -> Interrogation:
    height, width = photo.pixels.shape[-2:]
    left, top, right, bottom = box
    keep = torch.ones(height, width)
    keep[top:bottom, left:right] = 0
    network_input = NetworkInput.of(classifier, photo, fit, seed)
    perturbed = perturbation.edited_photo(network_input, keep)
    if perturbed is None:
        raise UnseeError(f"{perturbation.name} edits no pixels, so it cannot edit a box of the photo")
    mask = network_input.fitted(keep[None])[0][0].to(classifier.device)
    with classifier.borrowed(), torch.no_grad():
        reading = classifier.reading
        classes = reading.classes
        if max(target.indices) >= classes:
            raise UnseeError(
                f"there is no class {max(target.indices)}: {classifier.name} has {classes_below(classes)}"
            )
        scoring = Scoring.prepare(
            classifier, [network_input], [target.indices], classes, [perturbation], SCORES[reading.score_name]
        )
        masks = torch.stack([torch.ones_like(mask), mask, torch.zeros_like(mask)])
        scores = scoring.still_scores(masks[None])[0]
    return Interrogation(
        photo=photo,
        box=box,
        target=target,
        scores=Scores(*scores.tolist()),
        perturbed=perturbed,
        perturbation=perturbation.name,
        model=classifier.name,
        weights_sha256=classifier.weights_sha256,
        fit=fit.name,
        seed=seed,
        network={"input_size": list(classifier.size), "head": reading.summary, **classifier.record},
    )
