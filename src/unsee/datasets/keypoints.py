"""Animals' keypoints in COCO's JSON, next to the images."""

from unsee.datasets.coco import Coco
from unsee.datasets.coco_json import read_book
from unsee.datasets.files import existing_file, no_split


def open_keypoints(place: str, split: str | None) -> Coco:
    """The images of a COCO JSON file that names files relative to its own folder.

    Raises:
        UnseeError: there is no such file, it is broken, or a split was asked for.
    """
    no_split(split, place)
    file = existing_file(place)
    return Coco(read_book(file), file.parent)
