"""The result of interrogating a photo: scores, the edited photo, and their files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from unsee.drawing import panels
from unsee.drawing.side_by_side import side_by_side
from unsee.errors import UnseeError
from unsee.explanation import Scores, Target
from unsee.files import folder_for, staged_folder, write_json
from unsee.images import Photo
from unsee.records import finite
from unsee.tensors import Box

MANIFEST = "interrogation.json"


@dataclass(frozen=True, eq=False)
class Interrogation:
    """The effect of perturbing a box.

    Args:
        photo: as it was read, h by w pixels.
        box: half-open [x0, y0, x1, y1), in pixels of the photo.
        target: the classes that are scored.
        scores: of the photo, of the edited photo and of the fully perturbed one.
        perturbed: the edited photo, in [0,1].
        perturbation: its name.
        model, weights_sha256, fit, seed: what the scores depend on.
        saliency: of a saved mask, in [0,1]; the figure shows it over the photo.
        network: what else the scores depend on: size, head, mean, std and what its family says.
    """

    photo: Photo
    box: Box
    target: Target
    scores: Scores
    perturbed: Float[Tensor, "c h w"]
    perturbation: str
    model: str
    weights_sha256: str | None
    fit: str
    seed: int
    saliency: Float[Tensor, "h w"] | None = None
    network: Mapping[str, Any] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON values; numbers that are not finite become null."""
        record: dict[str, Any] = finite(
            {
                "photo": str(self.photo.path or self.photo.name),
                "photo_sha256": self.photo.sha256,
                "photo_notes": list(self.photo.notes),
                "model": self.model,
                "weights_sha256": self.weights_sha256,
                "network": self.network,
                "fit": self.fit,
                "seed": self.seed,
                "target": {"index": list(self.target.indices), "name": list(self.target.names)},
                "box": list(self.box),
                "perturbation": self.perturbation,
                "scores": asdict(self.scores),
                "suppression": self.scores.suppression,
            }
        )
        return record

    def save(self, folder: str | PathLike[str], overwrite: bool = False) -> Path:
        """Write perturbed.png, at the photo's size, figure.png and, last, interrogation.json.

        Returns:
            The folder.

        Raises:
            UnseeError: the folder already holds an interrogation and `overwrite` is False, or it cannot be
                written to.
        """
        place = refuse_taken(folder, overwrite)
        name = self.target.short
        photo = self.photo.pixels
        before = photo if self.saliency is None else panels.overlaid(photo, self.saliency)
        contents = [
            (before, f"{name}: {self.scores.original:.4f}"),
            (self.perturbed, f"{name}: {self.scores.perturbed:.4f}"),
        ]
        try:
            with staged_folder(place, MANIFEST) as staged:
                panels.save_view(staged / "perturbed.png", self.perturbed)
                panels.save(side_by_side(contents, self.box), staged / "figure.png")
                write_json(staged / MANIFEST, self.manifest())
        except OSError as error:
            raise UnseeError(f"{place} cannot be written to ({error.strerror or error})") from error
        return place


def refuse_taken(folder: str | PathLike[str], overwrite: bool) -> Path:
    """The folder, if an interrogation may be saved to it: call it before the work rather than after.

    Raises:
        UnseeError: it already holds an interrogation and `overwrite` is False, or it is a file.
    """
    place = folder_for(folder)
    if (place / MANIFEST).exists() and not overwrite:
        raise UnseeError(
            f"{place} already holds an interrogation: overwrite=True (--force) replaces it, "
            "another folder (--out) keeps it"
        )
    return place
