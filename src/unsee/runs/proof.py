"""A row of a store as pictures: what the network saw, what was left of it, and where the evidence is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.fits import FITS
from unsee.images import Photo
from unsee.masks import PRESETS
from unsee.masks.frame import Frame
from unsee.masks.perturbation import blend
from unsee.masks.settings import described, look_up
from unsee.runs.store import Store


@dataclass(frozen=True, eq=False)
class Proof:
    """One row, to be looked at; all pictures are at the network's input.

    Args:
        row: its other columns.
        picture: what the network saw, RGB in [0,1].
        saliency: in [0,1], high where the evidence is; other maps than masks are stretched to that.
        edited: the picture under the mask; None for other methods, and for presets that are not published.
    """

    row: Mapping[str, Any]
    picture: Float[Tensor, "3 h w"]
    saliency: Float[Tensor, "h w"]
    edited: Float[Tensor, "3 h w"] | None


def proof_of(store: Store, row: Mapping[str, Any], photo: Photo) -> Proof:
    """A row with its pictures.

    Raises:
        UnseeError: the row has no map, or the photo is not the one that was looked at.
    """
    settings = store.manifest["settings"]
    if photo.sha256 != row["file_hash"] and row["error"] is None:
        raise UnseeError(f"{row['id']} is not the picture that was looked at: its file has changed")
    fit = look_up(dict(FITS), settings["fit"], "fit")
    size = (settings["input_size"][0], settings["input_size"][1])
    learned = settings["method"] == "mask"
    color = tuple(settings["color"])
    frame = Frame(photo, size, 0, fit, (color[0], color[1], color[2]), settings.get("seed", 0))
    preset = PRESETS.get(settings.get("preset", ""))
    edited = None
    if learned and preset is not None and _as_published(preset.shown, settings):
        mask = torch.from_numpy(store.map_of(row))
        edited = blend(frame.plain, preset.shown.references(frame)[0], mask[None])
    saliency = unit_saliency(store, row)
    grown = F.interpolate(saliency[None, None], size, mode="bilinear", antialias=True)[0, 0]
    return Proof(row, frame.plain, grown, edited)


def _as_published(shown: object, settings: Mapping[str, Any]) -> bool:
    mask = settings["mask"]
    return bool((mask["evidence"] or mask["perturbations"][0]) == described(shown))


def unit_saliency(store: Store, row: Mapping[str, Any]) -> Float[Tensor, "h w"]:
    """A row's saliency in [0,1]: a mask's as it is, another's least value at 0 and its largest at 1.

    A constant map that is no mask becomes 0.
    """
    found = torch.from_numpy(store.saliency(row))
    if store.manifest["settings"]["method"] == "mask":
        return found
    low, high = found.aminmax()
    return (found - low) / (high - low) if high > low else torch.zeros_like(found)
