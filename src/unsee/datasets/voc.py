"""Pascal VOC: objects with boxes, parsed by torchvision, and segments if there are any."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from unsee.datasets.dataset import position
from unsee.datasets.files import existing_folder, lines_of, pick_split, repeated
from unsee.datasets.picture import read_annotated
from unsee.datasets.sample import Instance, Sample
from unsee.datasets.xml_boxes import Annotation, read_annotation
from unsee.decoding import shown_name
from unsee.errors import UnseeError
from unsee.words import counted

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable"),
    *("dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_SPLITS = Path("ImageSets", "Main")
_YEARS = ("VOCdevkit/VOC*", "VOC*", "TrainVal/VOCdevkit/VOC*")
_VOID = 255  # the border drawn around objects


@dataclass(frozen=True)
class Voc:
    """The images of one split of one year, by name.

    An image shows many objects, so samples have no label of their own. `labels` reads an image's XML.
    `split` is the name of the list that was opened.
    """

    root: Path
    names: tuple[str, ...]
    split: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return CLASSES

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        name = self.id(index)
        path = self.root / "JPEGImages" / f"{name}.jpg"
        noted = self._annotation(name)
        image, sha256 = read_annotated(path, noted.size, noted.source)
        segments = self._segments(name, len(noted.objects), image.shape[:2])
        instances = tuple(
            Instance(entry.name, CLASSES.index(entry.name), entry.box, segment, difficult=entry.difficult)
            for entry, segment in zip(noted.objects, segments, strict=True)
        )
        return Sample(name, image, None, instances, path=path, file_sha256=sha256)

    def id(self, index: int) -> str:
        """The name of an image, as the split lists it."""
        return self.names[position(index, len(self))]

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes in an image, each once, in the order of its objects; difficult ones count.

        Raises:
            UnseeError: the image's XML is missing or broken.
        """
        objects = self._annotation(self.id(index)).objects
        return tuple(dict.fromkeys(CLASSES.index(entry.name) for entry in objects))

    def _annotation(self, name: str) -> Annotation:
        noted = read_annotation(self.root / "Annotations" / f"{name}.xml", first=1)
        for entry in noted.objects:
            if entry.name not in CLASSES:
                raise UnseeError(f"{shown_name(noted.source)}: {entry.name!r} is not one of VOC's classes")
        return noted

    def _segments(
        self, name: str, count: int, shape: tuple[int, ...]
    ) -> tuple[Bool[np.ndarray, "h w"] | None, ...]:
        """The segment of each object; value k of the segmentation image is object k."""
        path = self.root / "SegmentationObject" / f"{name}.png"
        if not path.is_file():
            return (None,) * count
        values = _read_values(path)
        most = max((int(value) for value in np.unique(values) if value != _VOID), default=0)
        if values.shape != shape or most > count:
            held = f"{counted(most, 'object')} in {values.shape[::-1]}, not {count} in {shape[::-1]}"
            raise UnseeError(f"{shown_name(path)} does not fit the image and its XML: it has {held}")
        masks = (values == number for number in range(1, count + 1))
        return tuple(mask if mask.any() else None for mask in masks)


def _read_values(path: Path) -> UInt8[np.ndarray, "h w"]:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode not in ("P", "L"):
                raise UnseeError(f"{shown_name(path)} is a colour image: VOC numbers objects by a palette")
            return np.array(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise UnseeError(f"{shown_name(path)} is damaged ({shown_name(error)}): download it again") from error


def open_voc(place: str, split: str | None) -> Voc:
    """Open one year of VOC: its folder, or a folder above that holds only one year.

    Splits are the lists in ImageSets/Main/ except those of single classes.

    Raises:
        UnseeError: there is no such folder or split, there are several years, or a list is broken.
    """
    root = _year(existing_folder(place))
    lists = {file.stem: file for file in sorted((root / _SPLITS).glob("[!.]*.txt"))}
    single = {name for name in lists if name.rpartition("_")[0] in CLASSES}
    splits = [name for name in lists if name not in single]
    if not splits:
        raise UnseeError(f"{shown_name(root / _SPLITS)} holds no lists such as train.txt: download them")
    chosen = pick_split(split, splits, root)
    file = lists[chosen]
    names = tuple(line for _, line in lines_of(file))
    again = repeated(names)
    if again is not None or not names:
        problem = "lists no images" if again is None else f"lists {again!r} twice"
        raise UnseeError(f"{shown_name(file)} {problem}: download it again")
    return Voc(root, names, chosen)


def _year(folder: Path) -> Path:
    if (folder / _SPLITS).is_dir():
        return folder
    years = sorted(year for pattern in _YEARS for year in folder.glob(pattern) if (year / _SPLITS).is_dir())
    if len(years) == 1:
        return years[0]
    if not years:
        raise UnseeError(f"{shown_name(folder)} holds no {_SPLITS.as_posix()}: give a folder such as VOC2012")
    listed = ", ".join(shown_name(year.relative_to(folder).as_posix()) for year in years)
    raise UnseeError(f"{shown_name(folder)} holds several years: give one of the folders {listed} in it")
