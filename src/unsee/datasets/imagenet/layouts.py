"""ImageNet's folder layouts."""

from pathlib import Path

from unsee.datasets.files import existing_folder, folders_in, is_picture, no_pictures, no_split, pick_split
from unsee.datasets.image_folder import in_classes
from unsee.datasets.imagenet.classes import indices
from unsee.datasets.imagenet.dataset import ImageNet, TableNotes, XmlNotes
from unsee.datasets.imagenet.devkit import picture_numbers, read_blacklist, read_truth
from unsee.datasets.imagenet.table import TABLE, read_table
from unsee.datasets.listed import Listed
from unsee.decoding import shown_name
from unsee.errors import UnseeError

SPLITS = ("train", "val")
_DATA = ("", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
_NOTES = ("Annotations/CLS-LOC", "ILSVRC/Annotations/CLS-LOC")
_FLAT = "ILSVRC2012_val_*"


def open_imagenet(place: str, split: str | None) -> ImageNet:
    """Open ImageNet in one of its layouts.

    - `labels.csv`, optionally with `boxes.json`: see `read_table`.
    - train/ or val/ with a folder for each WordNet id, here or in Data/CLS-LOC/; some of the thousand
      may be missing.
    - Validation images in one folder (here, val/ or Data/CLS-LOC/val/), their classes in the devkit or in
      LOC_val_solution.csv.

    Boxes come from Annotations/CLS-LOC/. Images on the blacklist, here or in a devkit, are left out.

    Raises:
        UnseeError: no such folder, layout or split, or something in it is missing or broken.
    """
    root = existing_folder(place)
    if (root / TABLE).is_file():
        no_split(split, root)
        found = read_table(root)
    else:
        found = _in_folders(root, split)
    blacklist = read_blacklist(root)
    return found.without(blacklist, picture_numbers(found.listed.files)) if blacklist else found


def _in_folders(root: Path, split: str | None) -> ImageNet:
    places = {
        name: root / data / name
        for data in reversed(_DATA)
        for name in SPLITS
        if (root / data / name).is_dir()
    }
    if "val" not in places and any(root.glob(_FLAT)):
        places["val"] = root
    if not places:
        wanted = f"{TABLE}, train/, val/, Data/CLS-LOC/ or ILSVRC2012_val_*.JPEG"
        raise UnseeError(f"{shown_name(root)} holds none of {wanted}: ImageNet needs one of them")
    chosen = pick_split(split, sorted(places), root)
    folder = places[chosen]
    wnids = [] if folder == root else folders_in(folder)
    if wnids:
        where = f"{shown_name(folder)} has folders of other classes (use imagefolder for them)"
        files, targets = in_classes(folder, indices(wnids, where))
    elif chosen == "val":
        files, targets = _flat(folder, root)
    else:
        raise UnseeError(f"{shown_name(folder)} holds no folders: ImageNet has one for each WordNet id")
    notes = next((root / name / chosen for name in _NOTES if (root / name / chosen).is_dir()), None)
    source = TableNotes() if notes is None else XmlNotes(notes, complete=chosen == "val")
    return ImageNet(Listed(folder, files, targets), source, chosen)


def _flat(folder: Path, root: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    files = tuple(sorted(file.name for file in folder.iterdir() if is_picture(file.name)))
    if not files:
        raise no_pictures(folder)
    classes, source = read_truth(root)
    numbers = picture_numbers(files)
    for file in files:
        if numbers.get(file) not in classes:
            raise UnseeError(f"{shown_name(source)} has no class for {shown_name(folder / file)}")
    return files, tuple(classes[numbers[file]] for file in files)
