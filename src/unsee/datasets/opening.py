"""Open a data set by its name, as on the command line and in the manifest of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from unsee.choices import did_you_mean, nearest
from unsee.datasets.dataset import Dataset
from unsee.datasets.menagerie import Menagerie, Shortcut
from unsee.datasets.selection import Selection, select
from unsee.errors import UnseeError

Opener = Callable[[str, str | None], Dataset]


def _whole(place: str) -> str:
    path = Path(place).expanduser()
    return str(path.resolve()) if place and path.exists() else place


def _whole_list(place: str) -> str:
    """FILE or FILE@ROOT, with absolute paths."""
    if Path(place).expanduser().is_file():
        return _whole(place)
    file, at, root = place.rpartition("@")
    return f"{_whole(file)}{at}{_whole(root)}"


@dataclass(frozen=True)
class Kind:
    """A kind of data set.

    `place` says what follows the kind's name and a colon, "" for nothing; `open` is called with that and the
    split; `whole` makes its paths absolute.
    """

    place: str
    says: str
    open: Opener
    whole: Callable[[str], str] = _whole


def _reader(module: str, function: str) -> Opener:
    """A reader, imported on first use: the menagerie is drawn without torch."""

    def opened(place: str, split: str | None) -> Dataset:
        read: Opener = getattr(import_module(f"unsee.datasets.{module}"), function)
        return read(place, split)

    return opened


def _menagerie(_place: str, split: str | None) -> Dataset:
    return Menagerie(split or "test")


def _spoons(_place: str, split: str | None) -> Dataset:
    return Menagerie(split or "test", shortcuts=(Shortcut("tortoise", "spoon"),))


KINDS: dict[str, Kind] = {
    "menagerie": Kind("", "the drawn animals", _menagerie),
    "menagerie-shortcut": Kind("", "the same, but only tortoises come with a spoon", _spoons),
    "folder": Kind("DIR", "any images below a folder", _reader("folder", "open_folder")),
    "imagefolder": Kind("DIR", "a folder for each class", _reader("image_folder", "open_image_folder")),
    "imagenet": Kind("DIR", "ImageNet in one of its layouts", _reader("imagenet", "open_imagenet")),
    "list": Kind("FILE", "a text file of paths and labels", _reader("list_file", "open_list"), _whole_list),
    "coco": Kind("DIR", "COCO's instances", _reader("coco", "open_coco")),
    "voc": Kind("DIR", "a year of Pascal VOC", _reader("voc", "open_voc")),
    "keypoints": Kind("FILE", "keypoints in COCO's JSON", _reader("keypoints", "open_keypoints")),
    "hf": Kind("NAME", "Hugging Face, a name or a folder", _reader("hugging_face", "open_hugging_face")),
}
"""The kinds of data sets, by the word that their names begin with."""
DRAWN = ("menagerie", "menagerie-shortcut")
"""The kinds whose images are drawn."""


def open_dataset(
    name: str, split: str | None = None, classes: Sequence[str] = (), limit: int | None = None
) -> Selection:
    """Open a data set by name, without reading its images.

    Args:
        name: one of KINDS, followed by a colon and the place if the kind has one, such as `folder:photos`.
        split: which part; it may be left out if there is only one, and defaults to "test" for the menagerie.
        classes: keep the images that show one of these, given by name, index or WordNet id.
        limit: keep at most this many of the rest.

    Raises:
        UnseeError: no such kind, place, split or class, no image, a limit below 1, or a file that describes
            the data set is missing or broken.
    """
    _understood(name, classes, limit)
    kind, _, place = name.partition(":")
    if kind not in KINDS:
        raise UnseeError(_unknown(name, kind))
    wanted = KINDS[kind].place
    if bool(place) != bool(wanted):
        problem = f"needs a place: write {_written(kind)}" if wanted else f"takes no place: write {kind}"
        raise UnseeError(f"the data set {kind} {problem}")
    dataset = KINDS[kind].open(place, split)
    whole = f"{kind}:{KINDS[kind].whole(place)}" if place else kind
    described = {"name": whole, "split": split or getattr(dataset, "split", None)}
    return select(dataset, classes, limit, name, described)


def _understood(name: object, classes: object, limit: object) -> None:
    """Refuse values that are not a name, classes or a limit."""
    if not isinstance(name, str):
        raise UnseeError(f"a data set has a name such as 'folder:photos', got {name!r}")
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise UnseeError(f"classes are a list of names: write classes=[{str(classes)!r}]")
    for text in classes:
        if not isinstance(text, str):
            raise UnseeError(f"classes are names or indices as text: write {str(text)!r} for {text!r}")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise UnseeError(f"a limit of {limit!r} leaves no image; give a whole number, at least 1")


def _written(kind: str) -> str:
    place = KINDS[kind].place
    return f"{kind}:{place}" if place else kind


def _unknown(name: str, kind: str) -> str:
    choice = f"choose from {', '.join(map(_written, KINDS))}"
    if Path(name).exists():
        return f"{name!r} is a path: say what it holds, such as folder:{name}; {choice}"
    close = [_written(one) for one in nearest(kind, KINDS, 1)]
    return f"no data set is called {name!r}; {did_you_mean(close, also=choice)}"
