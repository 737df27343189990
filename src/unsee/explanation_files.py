"""The files of a saved explanation, and the formats they have had."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.format_1 import settings_of_format_2
from unsee.images import Photo, PhotoLike, read_photo
from unsee.pixels import RGB, UNIT

MANIFEST = "explanation.json"
PERTURBED = "perturbed.npy"
"""The edited photo, where it is not RGB; perturbed.png then shows it."""
FORMAT = 2
"""The format that is written. Format 1 states none, and describes settings in other words."""


class Form(TypedDict):
    """The channels and the value range of a network."""

    channels: int
    value_range: tuple[float, float]


@dataclass(frozen=True, eq=False)
class SavedExplanation:
    """What a folder holds: the manifest in today's format, photo, masks, any edited photo; RGB in 8 bits."""

    manifest: Mapping[str, Any]
    photo: Photo
    mask: Float[Tensor, "h w"]
    mask_grid: Float[Tensor, "r c"]
    perturbed: Float[Tensor, "n h w"] | None


def read_saved(folder: Path, photo: PhotoLike | None = None) -> SavedExplanation:
    """Read the files of a saved explanation.

    Args:
        folder: a folder that `Explanation.save` has written, in any format up to `FORMAT`.
        photo: the photo, if it is not where the manifest says.

    Raises:
        UnseeError: the format is newer than `FORMAT`, a mask is not one, or the photo is another one.
        OSError, ValueError, EOFError, KeyError, TypeError, AttributeError: files are missing or damaged.
    """
    manifest = read_manifest(folder)
    mask, grid = _read_mask(folder / "mask.npy"), _read_mask(folder / "mask_grid.npy")
    source = read_photo(manifest["photo"] if photo is None else photo, **form_of(manifest))
    if source.sha256 != manifest["photo_sha256"]:
        raise UnseeError(
            f"{source.path or source.name} is not the photo that was explained in {folder}: "
            "give the photo as it was then"
        )
    size = tuple(source.pixels.shape[-2:])
    if mask.shape != size:
        raise UnseeError(
            f"{folder / 'mask.npy'} has shape {tuple(mask.shape)}, but the photo has {size}: "
            "explain the photo again"
        )
    perturbed = _read_perturbed(folder, source) if manifest["edits_pixels"] else None
    return SavedExplanation(manifest, source, mask, grid, perturbed)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a saved explanation, in today's format.

    Raises:
        UnseeError: the format is newer than `FORMAT`.
        OSError, ValueError, KeyError, AttributeError: there is no such file, or it is not a manifest.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    version = manifest.get("format", 1)
    if version not in range(1, FORMAT + 1):
        raise UnseeError(
            f"{folder} holds an explanation of format {version}, but this version of unsee reads formats "
            f"1 to {FORMAT}: update unsee"
        )
    if version == 1:
        manifest |= {"settings": settings_of_format_2(manifest["settings"]), "edits_pixels": True}
    return manifest


def form_of(manifest: Mapping[str, Any]) -> Form:
    """The channels and the value range of the network that was explained; older manifests are of RGB."""
    low, high = manifest.get("value_range", UNIT)
    return {"channels": manifest.get("channels", RGB), "value_range": (low, high)}


def _read_perturbed(folder: Path, photo: Photo) -> Tensor:
    if len(photo.pixels) == RGB:
        return read_photo(folder / "perturbed.png").pixels
    edited = torch.from_numpy(np.load(folder / PERTURBED, allow_pickle=False))
    here, there = tuple(edited.shape), tuple(photo.pixels.shape)
    if here != there:
        raise UnseeError(
            f"{folder / PERTURBED} has shape {here}, but the photo {there}: explain the photo again"
        )
    return edited


def _read_mask(file: Path) -> Tensor:
    mask = torch.from_numpy(np.load(file, allow_pickle=False))
    low, high = (float(mask.min()), float(mask.max())) if mask.numel() else (math.nan, math.nan)
    if mask.ndim != 2 or not (low >= 0 and high <= 1):
        raise UnseeError(
            f"{file} must be 2-D with values in [0, 1], got {mask.ndim}-D with {low:g} to {high:g}: "
            "explain the photo again"
        )
    return mask
