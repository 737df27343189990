"""A folder for each class, as torchvision's ImageFolder reads it."""

import os
from collections.abc import Mapping
from pathlib import Path

from torchvision.datasets.folder import make_dataset

from unsee.datasets.files import (
    existing_folder,
    folders_in,
    is_array,
    is_picture,
    no_pictures,
    pick_split,
)
from unsee.datasets.listed import Listed
from unsee.decoding import shown_name
from unsee.errors import UnseeError

_SPLITS = {"train", "training", "val", "valid", "validation", "test"}


def open_image_folder(place: str, split: str | None) -> Listed:
    """The images in DIR/class/, or in DIR/split/class/; classes are sorted by name.

    Raises:
        UnseeError: there is no such folder or split, or it holds no folders of images.
    """
    folder = existing_folder(place)
    names = folders_in(folder)
    if split is not None:
        if not names:
            raise UnseeError(f"{shown_name(folder)} holds no folders: it has no split {split!r}")
        folder /= pick_split(split, names, folder)
        names = folders_in(folder)
    elif names and _SPLITS.issuperset(name.lower() for name in names):
        listed = ", ".join(names)
        raise UnseeError(f"{shown_name(folder)} holds splits, not classes: choose from {listed}")
    if not names:
        raise UnseeError(f"{shown_name(folder)} holds no folders: imagefolder needs one for each class")
    files, targets = in_classes(folder, {name: index for index, name in enumerate(names)})
    return Listed(folder, files, targets, tuple(names))


def in_classes(folder: Path, classes: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The images in the folders of some classes, by path relative to `folder`, and the class of each.

    If there are none, the .npy files in them.

    Raises:
        UnseeError: there are no images.
    """
    pairs = make_dataset(folder, dict(classes), is_valid_file=is_picture, allow_empty=True) or make_dataset(
        folder, dict(classes), is_valid_file=is_array, allow_empty=True
    )
    if not pairs:
        raise no_pictures(folder)
    start = len(os.path.join(folder, ""))  # noqa: PTH118
    files = tuple(path[start:].replace(os.sep, "/") for path, _ in pairs)
    return files, tuple(target for _, target in pairs)
