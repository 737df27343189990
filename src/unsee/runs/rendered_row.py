"""A row of a store as images: the photo, the saliency map, and the edited photo."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.choices import look_up
from unsee.errors import UnseeError
from unsee.fits import FITS
from unsee.images import Photo
from unsee.masks import PRESETS
from unsee.masks.edits.edit import Perturbation
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.network_input import NetworkInput
from unsee.methods import method_named
from unsee.pixels import with_channels
from unsee.records import described
from unsee.runs.store import Store


@dataclass(frozen=True, eq=False)
class RenderedRow:
    """One row with its images, all of the photo's size.

    Args:
        row: the columns of the row.
        image: the photo, in [0,1].
        saliency: in [0,1], high values are salient; maps of other methods than the mask are scaled to that.
        edited: the photo under the mask; None for other methods, for a perturbation without a name, and where
            no pixel is edited.
        mask: the learned mask, in [0,1], 1 keeps; None for other methods and a perturbation without a name.
    """

    row: Mapping[str, Any]
    image: Float[Tensor, "c h w"]
    saliency: Float[Tensor, "h w"]
    edited: Float[Tensor, "c h w"] | None
    mask: Float[Tensor, "h w"] | None = None


def render_row(store: Store, row: Mapping[str, Any], photo: Photo) -> RenderedRow:
    """Render a row.

    Raises:
        UnseeError: the row has no map, or the photo is not the one that was explained.
    """
    settings = store.manifest["settings"]
    if photo.sha256 != row["file_hash"] and row["error"] is None:
        raise UnseeError(photo_changed(row))
    fit = look_up(dict(FITS), settings["fit"], "fit")
    size = (settings["input_size"][0], settings["input_size"][1])
    color = tuple(settings["color"])
    if len(photo.pixels) != len(color):
        photo = replace(photo, pixels=with_channels(photo.pixels, len(color), row["id"])[0])
    network_input = NetworkInput(photo, size, 0, fit, color, settings.get("seed", 0))
    photo_size = (photo.pixels.shape[-2], photo.pixels.shape[-1])
    edited = mask = None
    if _is_learned(store) and (shown := _shown(settings["mask"])) is not None:
        mask = fit.back(torch.from_numpy(store.map_of(row)), photo_size, 1.0).clamp(0, 1).float()
        edited = shown.edited_photo(network_input, mask)
    saliency = fit.back(resized(unit_saliency(store, row), size), photo_size, 0.0).clamp(0, 1).float()
    return RenderedRow(row, photo.pixels, saliency, edited, mask)


def photo_changed(row: Mapping[str, Any]) -> str:
    """The error for a row whose photo has changed."""
    return f"{row['id']} is not the image that was explained: its file has changed"


def _shown(mask: Mapping[str, Any]) -> Perturbation | None:
    """The perturbation that rows were scored with, if it is one of those that have names."""
    wanted = mask["shown_with"] or mask["perturbations"][0]
    named = (one for several in PERTURBATIONS.values() for one in several)
    known = (*named, *(preset.shown for preset in PRESETS.values()))
    return next((one for one in known if described(one) == wanted), None)


def _is_learned(store: Store) -> bool:
    """Whether a store holds learned masks."""
    return method_named(store.manifest["settings"]["method"]).learned


def resized(saliency: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[Tensor, "hs ws"]:
    """A map resized to a size, bilinearly."""
    grown: Tensor = F.interpolate(saliency[None, None], size, mode="bilinear", antialias=True)
    return grown[0, 0]


def unit_saliency(store: Store, row: Mapping[str, Any]) -> Float[Tensor, "h w"]:
    """A row's saliency in [0,1]: as it is for a mask, else scaled so that it spans [0,1].

    A constant map of another method becomes 0.
    """
    found = torch.from_numpy(store.saliency(row))
    if _is_learned(store):
        return found
    low, high = found.aminmax()
    return (found - low) / (high - low) if high > low else torch.zeros_like(found)
