"""ImageNet's images with their classes and boxes."""

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
    """Annotations in XML files, in subfolders like those of the images or all in one folder.

    If `complete`, every image must have one.
    """

    folder: Path
    complete: bool

    def of(self, file: str) -> Annotation | None:
        """The annotation of an image, or None.

        Raises:
            UnseeError: the file is broken, or missing although all must exist.
        """
        parallel = self.folder / PurePosixPath(file).with_suffix(".xml")
        path = parallel if parallel.is_file() else self.folder / parallel.name
        if path.is_file() or self.complete:
            return read_annotation(path, first=0)
        return None


@dataclass(frozen=True)
class TableNotes:
    """Annotations from a single file, by image."""

    notes: Mapping[str, Annotation] = field(default_factory=dict)

    def of(self, file: str) -> Annotation | None:
        """The annotation of an image, or None."""
        return self.notes.get(file)


@dataclass(frozen=True)
class ImageNet:
    """Images of ImageNet; labels index `classes` and `wnids`, whichever classes the folder holds.

    `labels` gives only the class of the image. Annotated objects of other ImageNet classes are among a
    sample's instances, after those of the image's own class; objects of no ImageNet class are things.
    `split` is the one that was opened, or None if there are no splits; `left_out` counts the images that the
    localisation blacklist removed.
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
        """The path of an image relative to the folder of its split."""
        return self.listed.id(index)

    def labels(self, index: int) -> tuple[int, ...]:
        """The class of an image."""
        return self.listed.labels(index)

    def without(self, numbers: frozenset[int], number: Mapping[str, int]) -> "ImageNet":
        """Leave out the images with one of some numbers; `number` maps files to their numbers.

        Raises:
            UnseeError: no image is left.
        """
        kept = [i for i, file in enumerate(self.listed.files) if number.get(file) not in numbers]
        if not kept:
            raise UnseeError(f"{shown_name(self.listed.folder)} holds only blacklisted images")
        files, targets = self.listed.files, self.listed.targets
        listed = replace(
            self.listed, files=tuple(files[i] for i in kept), targets=tuple(targets[i] for i in kept)
        )
        return replace(self, listed=listed, left_out=len(files) - len(kept))


def _instance(wnid: str, box: Box, names: tuple[str, ...]) -> Instance:
    label = known(wnid)
    return Instance(wnid if label is None else names[label], label, box)
