"""Images from the library `datasets`: a folder, or a name on the Hugging Face hub."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unsee.datasets.dataset import position
from unsee.datasets.files import pick_split
from unsee.datasets.picture import decode_picture, read_picture
from unsee.datasets.sample import Sample
from unsee.decoding import shown_name
from unsee.errors import UnseeError
from unsee.optional import library

_SAVED = ("dataset_dict.json", "state.json")
_EXTRA = "huggingface"


@dataclass(frozen=True, eq=False)
class HuggingFace:
    """The rows of one split; `rows` holds a column `image` of undecoded images.

    `targets` holds the class of each row, None if it has none.
    """

    name: str
    split: str
    rows: Any
    targets: tuple[int | None, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Sample:
        name, shown = self.id(index), f"{shown_name(self.name)}, {self.id(index)}"
        place = position(index, len(self))
        held = self.rows[place]["picture"] or {}
        label, data, path = self.targets[place], held.get("bytes"), held.get("path")
        if data:
            image, sha256 = decode_picture(data, shown)
            return Sample(name, image, label, file_sha256=sha256)
        if not path:
            raise UnseeError(f"{shown} holds no image: leave the row out, or download the data set again")
        image, sha256 = read_picture(Path(path))
        return Sample(name, image, label, path=Path(path), file_sha256=sha256)

    def id(self, index: int) -> str:
        """The split and the number of a row."""
        return f"{self.split}-{position(index, len(self)):06d}"

    def labels(self, index: int) -> tuple[int, ...]:
        """The class of a row."""
        label = self.targets[position(index, len(self))]
        return () if label is None else (label,)


def open_hugging_face(place: str, split: str | None) -> HuggingFace:
    """A data set that `save_to_disk` wrote, or that `load_dataset` accepts; none of its code is run.

    The image is the column of the feature `Image`, the label that of `ClassLabel`: the one called `image`
    or `label` if there are several, else the first.

    Raises:
        UnseeError: the library is missing, the data set cannot be loaded, it has no such split or image, or a
            label out of range.
    """
    hub = library("datasets", _EXTRA)
    loaded = _load(hub, place, split)
    if isinstance(loaded, Mapping):
        chosen = pick_split(split, [str(name) for name in loaded], place)
        loaded = loaded[chosen]
    else:
        known = split if loaded.split is None else str(loaded.split)
        chosen = pick_split(split, [known or "all"], place)
    pictures = _column(loaded.features, hub.Image, "image")
    if pictures is None or not len(loaded):
        problem = "no column of images" if pictures is None else "no rows"
        raise UnseeError(f"{shown_name(place)} has {problem}: choose another data set or split")
    label = _column(loaded.features, hub.ClassLabel, "label")
    classes = () if label is None else tuple(loaded.features[label].names or ())
    targets = (None,) * len(loaded) if label is None else _targets(list(loaded[label]), len(classes), place)
    rows = loaded.select_columns([pictures]).rename_column(pictures, "picture")
    rows = rows.with_format(None).cast_column("picture", hub.Image(decode=False))
    return HuggingFace(place, chosen, rows, targets, classes)


def _load(hub: Any, place: str, split: str | None) -> Any:  # noqa: ANN401
    folder = Path(place).expanduser()
    try:
        if any((folder / name).is_file() for name in _SAVED):
            return hub.load_from_disk(str(folder))
        name = str(folder) if folder.is_dir() else place
        return hub.load_dataset(name, split=split, trust_remote_code=False)
    except Exception as error:
        reason = shown_name(next(iter(str(error).splitlines()), "") or type(error).__name__)
        raise UnseeError(f"{shown_name(place)} cannot be opened with `datasets`: {reason}") from error


def _column(features: Mapping[str, Any], kind: type, name: str) -> str | None:
    found = [column for column, feature in features.items() if isinstance(feature, kind)]
    return name if name in found else next(iter(found), None)


def _targets(held: list[int | None], classes: int, place: str) -> tuple[int | None, ...]:
    """The labels, with None for -1, which marks a split without labels."""
    for row, label in enumerate(held):
        if label is not None and not -1 <= label < classes:
            raise UnseeError(f"{shown_name(place)}, row {row}: class {label} is not one of its {classes}")
    return tuple(None if label == -1 else label for label in held)
