"""Image files, each with at most one class."""

from dataclasses import dataclass
from pathlib import Path

from unsee.datasets.dataset import position
from unsee.datasets.picture import read_picture
from unsee.datasets.sample import Sample


@dataclass(frozen=True)
class Listed:
    """Images by the paths of their files, which are also their ids.

    `files` are relative to `folder`; `targets` holds the class of each, and is empty if images have none;
    `classes` names the classes, and is empty if they have no names.
    """

    folder: Path
    files: tuple[str, ...]
    targets: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        path = self.path(index)
        image, sha256 = read_picture(path)
        label = next(iter(self.labels(index)), None)
        return Sample(self.id(index), image, label, path=path, file_sha256=sha256)

    def id(self, index: int) -> str:
        """The path of an image relative to the folder."""
        return self.files[position(index, len(self))]

    def labels(self, index: int) -> tuple[int, ...]:
        """The class of an image."""
        place = position(index, len(self))
        return (self.targets[place],) if self.targets else ()

    def path(self, index: int) -> Path:
        """The full path of an image."""
        return self.folder / self.id(index)
