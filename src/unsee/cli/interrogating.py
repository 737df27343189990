"""One run of `unsee interrogate`: what is asked, the answer, and the files it leaves."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unsee.choices import look_up
from unsee.classifier import Classifier, TargetLike
from unsee.errors import UnseeError
from unsee.experiments.photo_interrogation import Interrogation, interrogate
from unsee.explanation import Explanation, Target
from unsee.figures.interrogation import draw_interrogation
from unsee.fits import Fit
from unsee.images import Photo, read_photo
from unsee.masks.edits.perturbation import PERTURBATIONS, Perturbation
from unsee.masks.photos import asked_for, target_indices
from unsee.models import MENAGERIES
from unsee.records import finite
from unsee.tensors import Box, fitted_box

_RECORD = "interrogation.json"


@dataclass(frozen=True, eq=False)
class Question:
    """A box of a photo and how it is perturbed; `saved` is the explanation it was taken from, if any."""

    photo: Photo
    box: Box
    perturbation: Perturbation
    saved: Explanation | None

    @classmethod
    def read(
        cls, photo: str, box: str | None, source: Path | None, threshold: float, perturbation: str
    ) -> "Question":
        """Read what the command line names; without a box it is fitted to the saved mask.

        Raises:
            UnseeError: a box, folder, photo or perturbation that is none.
        """
        edits = look_up(PERTURBATIONS, perturbation, "perturbation")
        if len(edits) > 1:
            raise UnseeError(f"a box is perturbed in one way at a time, and {perturbation} is several")
        saved = None if source is None else Explanation.load(source, photo)
        if box is not None:
            corners = corners_from(box)
        elif saved is not None:
            corners = fitted_box(saved.saliency, threshold)
        else:
            raise UnseeError("a box is needed, or a saved mask that one can be fitted to")
        return cls(read_photo(photo), corners, edits[0], saved)

    @property
    def recorded_model(self) -> str | None:
        """The model of the saved explanation."""
        return None if self.saved is None else self.saved.provenance.model

    @property
    def recorded_fit(self) -> str | None:
        """The fit of the saved explanation."""
        return None if self.saved is None else self.saved.provenance.fit

    def ask_for_weights(self) -> None:
        """See to it that a saved mask's weights are at hand without a file.

        Raises:
            UnseeError: they came from one.
        """
        origin = None if self.saved is None else self.saved.provenance
        if origin is not None and origin.weights_sha256 is not None and origin.model not in MENAGERIES:
            raise UnseeError(
                f"the mask was learned on {origin.model} with a weight file: name it with --weights"
            )


def corners_from(text: str) -> Box:
    """X0,Y0,X1,Y1 as numbers.

    Raises:
        UnseeError: the text is something else.
    """
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise UnseeError(f"{text!r} is no box: give four whole numbers, as in --box 40,30,120,200") from None
    return left, top, right, bottom


def ask(
    question: Question, classifier: Classifier, target: TargetLike | None, fit: Fit, seed: int
) -> Interrogation:
    """Perturb the box; without a target it is the saved explanation's, or else the predicted class.

    Raises:
        UnseeError: the weights of the saved explanation's model are not the ones that were explained.
    """
    origin = None if question.saved is None else question.saved.provenance
    if origin is not None and (origin.model, origin.weights_sha256) != (
        classifier.name,
        classifier.weights_sha256,
    ):
        raise UnseeError(
            f"the saved mask was learned on {origin.model} with other weights: name them with --weights, "
            "or give the --box yourself and leave --from out"
        )
    if target is None and question.saved is not None:
        chosen = question.saved.target
    else:
        pixels = fit.apply(question.photo.pixels, classifier.size)
        indices = target_indices(classifier, target, classifier.probabilities(pixels[None])[0])
        chosen = Target(indices, tuple(map(classifier.class_name, indices)), asked_for(target))
    return interrogate(classifier, question.photo, question.box, chosen, question.perturbation, fit, seed)


def manifest(result: Interrogation) -> dict[str, Any]:
    """The answer as JSON values."""
    answer: dict[str, Any] = finite(
        {
            "photo": str(result.photo.path),
            "photo_sha256": result.photo.sha256,
            "model": result.model,
            "weights_sha256": result.weights_sha256,
            "fit": result.fit,
            "seed": result.seed,
            "target": {"index": list(result.target.indices), "name": list(result.target.names)},
            "box": list(result.box),
            "perturbation": result.perturbation,
            "scores": asdict(result.scores),
            "suppression": result.scores.suppression,
        }
    )
    return answer


def claim(folder: Path, force: bool) -> None:
    """See to it that a folder may be written to, before anything is computed.

    Raises:
        UnseeError: it holds an interrogation that is not to be replaced.
    """
    if (folder / _RECORD).exists() and not force:
        raise UnseeError(
            f"{folder} already holds an interrogation: --force replaces it, --out writes elsewhere"
        )


def write(result: Interrogation, saved: Explanation | None, folder: Path) -> None:
    """Write interrogation.json, perturbed.png and figure.png into a folder.

    Raises:
        UnseeError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw_interrogation(result, folder, None if saved is None else saved.saliency)
        text = json.dumps(manifest(result), indent=1)
        (folder / _RECORD).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UnseeError(f"{folder} cannot be written to ({error.strerror or error})") from error
