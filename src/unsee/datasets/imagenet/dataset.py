"""ImageNet's pictures with their classes and what boxes there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from unsee.datasets.dataset import position
from unsee.datasets.imagenet.classes import WNIDS, class_names, known
from unsee.datasets.listed import Listed
from unsee.datasets.picture import read_annotated
from unsee.datasets.sample import Box, Instance, Sample
from unsee.datasets.xml_boxes import Annotation, read_annotation
from unsee.decoding import shown_name
from unsee.errors import UnseeError


@dataclass(frozen=True)
class XmlNotes:
    """Annotations in a folder of XML files, in folders like those of the pictures or all in one.

    Where `complete`, every picture has to have one.
    """

    folder: Path
    complete: bool

    def of(self, file: str) -> Annotation | None:
        """What is written about a picture, None where nothing is.

        Raises:
            UnseeError: the file is broken, or missing where none may be.
        """
        beside = self.folder / PurePosixPath(file).with_suffix(".xml")
        path = beside if beside.is_file() else self.folder / beside.name
        if path.is_file() or self.complete:
            return read_annotation(path, first=0)
        return None


@dataclass(frozen=True)
class TableNotes:
    """Annotations that were all in one file, by picture."""

    notes: Mapping[str, Annotation] = field(default_factory=dict)

    def of(self, file: str) -> Annotation | None:
        """What is written about a picture, None where nothing is."""
        return self.notes.get(file)


@dataclass(frozen=True)
class ImageNet:
    """Pictures of ImageNet; labels are places in `classes` and in `wnids`, whichever classes are there.

    `labels` gives the class of the picture alone. An annotated object of another of the thousand classes is
    among a sample's instances, after those of the picture's own class; one of no such class is a thing.
    `split` is the one that was opened, None where there are none; `left_out` counts the pictures that the
    localisation blacklist takes away.
    """

    listed: Listed
    notes: XmlNotes | TableNotes
    split: str | None = None
    left_out: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return class_names()

    @property
    def wnids(self) -> tuple[str, ...]:
        """The WordNet id of each label."""
        return WNIDS

    def __len__(self) -> int:
        return len(self.listed)

    def __getitem__(self, index: int) -> Sample:
        place = position(index, len(self))
        name, path = self.id(place), self.listed.path(place)
        (label,) = self.labels(place)
        noted = self.notes.of(name) or Annotation(path)
        image, sha256 = read_annotated(path, noted.size, noted.source)
        objects = [_instance(entry.name, entry.box, self.classes) for entry in noted.objects]
        instances = sorted((i for i in objects if i.label is not None), key=lambda i: i.label != label)
        things = tuple(i for i in objects if i.label is None)
        return Sample(name, image, label, tuple(instances), things, path, sha256)

    def id(self, index: int) -> str:
        """The path of a picture, from the folder of its split on."""
        return self.listed.id(index)

    def labels(self, index: int) -> tuple[int, ...]:
        """The class of a picture."""
        return self.listed.labels(index)

    def without(self, numbers: frozenset[int], number: Mapping[str, int]) -> "ImageNet":
        """Leave out the pictures that have one of some numbers; `number` holds those of files.

        Raises:
            UnseeError: no picture is left.
        """
        kept = [i for i, file in enumerate(self.listed.files) if number.get(file) not in numbers]
        if not kept:
            raise UnseeError(f"{shown_name(self.listed.folder)} holds no pictures but blacklisted ones")
        files, targets = self.listed.files, self.listed.targets
        listed = replace(
            self.listed, files=tuple(files[i] for i in kept), targets=tuple(targets[i] for i in kept)
        )
        return replace(self, listed=listed, left_out=len(files) - len(kept))


def _instance(wnid: str, box: Box, names: tuple[str, ...]) -> Instance:
    label = known(wnid)
    return Instance(wnid if label is None else names[label], label, box)
