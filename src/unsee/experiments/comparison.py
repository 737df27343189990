"""What a comparison of methods on one photo has found: maps, smallest boxes, and what they depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from unsee.experiments.smallest_box import SmallestBox, box_on_photo
from unsee.explanation import Scores, Target
from unsee.fits import Fit
from unsee.images import Photo
from unsee.records import finite
from unsee.tensors import Box

SHARE = 0.9
"""The share of the score that a method's smallest box removes."""


@dataclass(frozen=True, eq=False)
class MethodResult:
    """One method's map of one photo, with its smallest box.

    Args:
        saliency: at the method's own size, high where salient, in the method's own units.
        box: the smallest that suppresses the score by `SHARE`; None if none does.
        seconds: time to compute the map.
        verdict: of the learned mask, "converged" or what went wrong; None for other methods.
        token_check: what the learned mask's edit says of it besides its scores, as in `Run`.
    """

    saliency: Float[Tensor, "hm wm"]
    box: SmallestBox | None
    seconds: float
    verdict: str | None = None
    token_check: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """One photo explained by several methods.

    Args:
        photo: as it was read.
        target: the explained classes.
        scores: of the photo, and of the blurred photo as `reference` and `perturbed`.
        results: method → its map and smallest box.
        refused: method → why it does not support this network.
        how: what the numbers depend on: model, weights, fit, seed, preset, layer and versions.
        fit: how the photo was fitted to the network's input.
        size: height and width of that input.
    """

    photo: Photo
    target: Target
    scores: Scores
    results: Mapping[str, MethodResult]
    refused: Mapping[str, str]
    how: Mapping[str, Any]
    fit: Fit
    size: tuple[int, int]

    def box_on_photo(self, method: str) -> Box | None:
        """A method's smallest box in pixels of the photo."""
        found = self.results[method].box
        if found is None:
            return None
        height, width = self.photo.pixels.shape[-2:]
        return box_on_photo(found.box, self.fit, (height, width), self.size)

    def manifest(self) -> dict[str, Any]:
        """Everything but the maps, as JSON values; areas in pixels of the network's input."""
        record: dict[str, Any] = finite(
            {
                "photo": str(self.photo.path or self.photo.name),
                "photo_sha256": self.photo.sha256,
                "photo_notes": list(self.photo.notes),
                "target": {
                    "index": list(self.target.indices),
                    "name": list(self.target.names),
                    "asked": self.target.asked,
                },
                "score": self.scores.original,
                "blurred_score": self.scores.reference,
                **self.how,
                "methods": {name: self._row(name) for name in self.results},
                "refused": dict(self.refused),
            }
        )
        return record

    def _row(self, method: str) -> dict[str, Any]:
        result = self.results[method]
        box = result.box
        found = None
        if box is not None:
            found = {
                "box": list(box.box),
                "box_on_photo": list(self.box_on_photo(method) or ()),
                "area": box.area,
                "area_share": box.area / (self.size[0] * self.size[1]),
                "score": box.score,
                "suppression": box.suppression,
            }
        known = {"shape": list(result.saliency.shape), "smallest_box": found, "seconds": result.seconds}
        own = {"verdict": result.verdict, "token_check": dict(result.token_check)}
        return known | {name: value for name, value in own.items() if value}
