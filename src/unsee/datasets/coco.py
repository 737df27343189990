"""COCO: objects with boxes, segments and keypoints, read with pycocotools' own masks."""

from dataclasses import dataclass
from pathlib import Path

from unsee.datasets.coco_json import Book, Entry, corners, keypoints_of, read_book
from unsee.datasets.coco_segments import segment_of
from unsee.datasets.dataset import position
from unsee.datasets.files import existing_folder, no_split, pick_split
from unsee.datasets.picture import read_annotated
from unsee.datasets.sample import Instance, Sample
from unsee.decoding import shown_name
from unsee.errors import UnseeError

_START = "instances_"


@dataclass(frozen=True)
class Coco:
    """The images of a COCO JSON file, which are in `folder`.

    An image shows many objects, so samples have no label of their own. `split` is the one that was opened, or
    None if there are no splits.
    """

    book: Book
    folder: Path
    split: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return self.book.classes

    def __len__(self) -> int:
        return len(self.book.pictures)

    def __getitem__(self, index: int) -> Sample:
        picture = self.book.pictures[position(index, len(self))]
        path = self.folder / picture.file
        image, sha256 = read_annotated(path, picture.size, self.book.path)
        objects = [self._instance(entry, image.shape[:2]) for entry in picture.annotations]
        instances = tuple(i for i in objects if i.label is not None)
        things = tuple(i for i in objects if i.label is None)
        return Sample(picture.file, image, None, instances, things, path, sha256)

    def id(self, index: int) -> str:
        """The file name of an image."""
        return self.book.pictures[position(index, len(self))].file

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes in an image, each once, in the order of the annotations."""
        picture = self.book.pictures[position(index, len(self))]
        labels = (self.book.categories[entry["category_id"]].label for entry in picture.annotations)
        return tuple(dict.fromkeys(label for label in labels if label is not None))

    def _instance(self, entry: Entry, shape: tuple[int, ...]) -> Instance:
        category = self.book.categories[entry["category_id"]]
        return Instance(
            category.name,
            category.label,
            corners(entry["bbox"]),
            segment_of(entry, shape, self.book.path),
            keypoints_of(entry, category.keypoints),
            planted=bool(entry.get("planted", False)),
            crowd=bool(entry.get("iscrowd", 0)),
            group=category.group,
        )


def open_coco(place: str, split: str | None) -> Coco:
    """DIR/annotations/instances_SPLIT.json with images in DIR/SPLIT/ or DIR/images/SPLIT/.

    DIR/instances.json with images in DIR/images/ has no splits.

    Raises:
        UnseeError: there is no such folder, file or split, or the file is broken.
    """
    root = existing_folder(place)
    files = {
        file.stem.removeprefix(_START): file for file in sorted(root.glob(f"annotations/{_START}*.json"))
    }
    if files:
        split = pick_split(split, list(files), root)
        file, folders = files[split], [root / split, root / "images" / split]
    else:
        file, folders = root / "instances.json", [root / "images"]
        if not file.is_file():
            wanted = f"annotations/{_START}SPLIT.json or instances.json"
            raise UnseeError(f"{shown_name(root)} holds no {wanted}: COCO needs one of them")
        no_split(split, root)
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise UnseeError(f"{shown_name(folders[0])} does not exist: the images of {file.name} belong there")
    return Coco(read_book(file), folder, split)
