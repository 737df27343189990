"""The classes and the blacklist of validation images, by image number."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from unsee.datasets.files import lines_of, whole
from unsee.datasets.imagenet.classes import index_of
from unsee.decoding import shown_name
from unsee.errors import UnseeError
from unsee.optional import library

META = "meta.mat"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
SOLUTION = "LOC_val_solution.csv"
BLACKLIST = "ILSVRC*_clsloc_validation_blacklist.txt"
_NUMBERED = re.compile(r"ILSVRC\d{4}_val_(\d{8})")


def picture_number(file: str) -> int | None:
    """The number of a validation image by its file, or None for other images."""
    found = _NUMBERED.fullmatch(PurePosixPath(file).stem)
    return int(found[1]) if found else None


def picture_numbers(files: Iterable[str]) -> dict[str, int]:
    """The numbers of those files that are validation images."""
    numbers = ((file, picture_number(file)) for file in files)
    return {file: number for file, number in numbers if number is not None}


def read_blacklist(root: Path) -> frozenset[int]:
    """The numbers of the validation images whose boxes are unusable; empty if there is no list.

    Raises:
        UnseeError: a line is not a number.
    """
    lists = [file for folder in (root, *_devkits(root)) for file in sorted(folder.glob(BLACKLIST))]
    return frozenset(_number(line, number, file) for file in lists for number, line in lines_of(file))


def read_truth(root: Path) -> tuple[dict[int, int], Path]:
    """The class of each validation image by its number, and the file it was read from.

    Raises:
        UnseeError: there is no such file, or it is broken.
    """
    for folder in _devkits(root):
        if (folder / TRUTH).is_file():
            return _from_devkit(folder), folder / TRUTH
    if (root / SOLUTION).is_file():
        return _from_solution(root / SOLUTION), root / SOLUTION
    needed = f"ILSVRC2012_devkit_t12/data/{TRUTH} with {META}, or {SOLUTION}"
    raise UnseeError(f"{shown_name(root)} does not hold the classes of its validation images: add {needed}")


def _devkits(root: Path) -> list[Path]:
    return sorted(folder for folder in root.glob("*devkit*/data") if folder.is_dir())


def _from_devkit(folder: Path) -> dict[int, int]:
    """Translate ILSVRC's class numbers, which are not in alphabetical order."""
    meta, truth = _read_meta(folder / META), folder / TRUTH
    classes = {}
    for number, line in lines_of(truth):
        identifier = _number(line, number, truth)
        if identifier not in meta:
            raise UnseeError(f"{shown_name(truth)}, line {number}: {META} has no class {identifier}")
        classes[number] = meta[identifier]
    return classes


def _read_meta(file: Path) -> dict[int, int]:
    """The classes by ILSVRC's numbers; groups of classes, which have children, are skipped."""
    loadmat = library("scipy.io", "data").loadmat
    try:
        rows = [row.tolist() for row in loadmat(file, squeeze_me=True)["synsets"]]
        leaves = {int(row[0]): str(row[1]) for row in rows if row[4] == 0}
    except Exception as error:
        reason = shown_name(error) or type(error).__name__
        raise UnseeError(
            f"{shown_name(file)} is not ILSVRC's meta.mat ({reason}): download it again"
        ) from error
    return {number: index_of(wnid, shown_name(file)) for number, wnid in leaves.items()}


def _from_solution(file: Path) -> dict[int, int]:
    classes = {}
    for number, line in lines_of(file):
        if number > 1:
            where = f"{shown_name(file)}, line {number}"
            picture, _, objects = line.partition(",")
            place = picture_number(picture)
            if place is None or not objects.strip():
                raise UnseeError(f"{where}: must be like `ILSVRC2012_val_00000001,n01440764 x0 y0 x1 y1`")
            classes[place] = index_of(objects.split()[0], where)
    return classes


def _number(line: str, number: int, file: Path) -> int:
    found = whole(line)
    if found is None:
        raise UnseeError(f"{shown_name(file)}, line {number}: {shown_name(line)!r} is not a number")
    return found
