"""Image files, each with at most one class."""

from dataclasses import dataclass, replace
from pathlib import Path

from unsee.datasets.dataset import position
from unsee.datasets.picture import read_pixels
from unsee.datasets.sample import Sample
from unsee.pixels import RGB, UNIT


@dataclass(frozen=True)
class Listed:
    """Images by the paths of their files, which are also their ids.

    `files` are relative to `folder`; `targets` holds the class of each, and is empty if images have none;
    `classes` names the classes, and is empty if they have no names; `channels` and `value_range` are those of
    the network that images are read for.
    """

    folder: Path
    files: tuple[str, ...]
    targets: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    channels: int = RGB
    value_range: tuple[float, float] = UNIT

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        path = self.path(index)
        image, sha256 = read_pixels(path, self.channels, self.value_range)
        label = next(iter(self.labels(index)), None)
        return Sample(self.id(index), image, label, path=path, file_sha256=sha256)

    def reading(self, channels: int, value_range: tuple[float, float]) -> "Listed":
        """The same files, read for a network with these channels and this value range."""
        wanted = channels, value_range
        same = (self.channels, self.value_range) == wanted
        return self if same else replace(self, channels=channels, value_range=value_range)

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
