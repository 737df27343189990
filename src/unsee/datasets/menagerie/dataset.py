"""The menagerie as a data set; sample i of a split is always the same image."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from unsee.datasets.dataset import position
from unsee.datasets.menagerie.animals import CLASSES
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.scene import Scene, render
from unsee.datasets.menagerie.things import PLANTED
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.words import counted

SPLITS = {"train": 12_000, "val": 1_200, "test": 1_200}
"""The splits and their default numbers of images."""
_ORDER, _COMPANY, _THING = 0, 1, 2


@dataclass(frozen=True)
class Shortcut:
    """A planted correlation: images with an animal `name` show `thing` with probability `share`.

    Images without that animal show it with probability `elsewhere`.
    """

    name: str
    thing: str
    share: float = 1.0
    elsewhere: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in CLASSES:
            raise UnseeError(f"the menagerie has no {self.name!r}; choose from {', '.join(CLASSES)}")
        if self.thing not in PLANTED:
            raise UnseeError(f"no thing to plant is called {self.thing!r}; choose from {', '.join(PLANTED)}")
        if not (0.0 <= self.share <= 1.0 and 0.0 <= self.elsewhere <= 1.0):
            raise UnseeError("the probabilities of a shortcut must lie between 0 and 1")


class Menagerie:
    """Drawn animals with complete ground truth, generated on access.

    `split` is train, val or test; `length` overrides how many images it has; `several` is the fraction of
    images with two or three animals of different classes. Every 12 consecutive samples that start at a
    multiple of 12 show each class once as their own. Raises UnseeError for an unknown split, a length below
    1 or a fraction outside [0, 1].
    """

    classes = CLASSES

    def __init__(
        self,
        split: str = "train",
        length: int | None = None,
        *,
        seed: int = 0,
        several: float = 0.15,
        shortcuts: tuple[Shortcut, ...] = (),
    ) -> None:
        if split not in SPLITS:
            raise UnseeError(f"the menagerie has no split {split!r}; choose from {', '.join(SPLITS)}")
        if length is not None and length < 1:
            raise UnseeError(f"length must be at least 1, got {length}")
        if not 0.0 <= several <= 1.0:
            raise UnseeError(f"several must be in [0, 1], got {several}")
        self.split = split
        self.several = several
        self.shortcuts = shortcuts
        self._seed = seed
        self._path = 1 + list(SPLITS).index(split)
        self._length = SPLITS[split] if length is None else length

    @property
    def described(self) -> dict[str, Any]:
        """All settings that determine the images, except their number, as JSON values."""
        return {
            "name": type(self).__name__,
            "split": self.split,
            "seed": self._seed,
            "several": self.several,
            "shortcuts": [asdict(shortcut) for shortcut in self.shortcuts],
        }

    def __repr__(self) -> str:
        return f"<menagerie {self.split}: {counted(len(self), 'image')}>"

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        return render(self.scene(index))

    def id(self, index: int) -> str:
        """The name of a sample."""
        return self._name(position(index, len(self)))

    def labels(self, index: int) -> tuple[int, ...]:
        """The animals in a sample, its own first."""
        return self._animals(position(index, len(self)))

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def scene(self, index: int) -> Scene:
        """The scene of a sample, to render as it is or with other things or animals.

        Negative indices count from the end; raises IndexError outside of the data set.
        """
        index = position(index, len(self))
        animals = self._animals(index)
        dice = Dice(self._seed, self._path, index, _THING)
        planted = tuple(
            s.thing
            for s in self.shortcuts
            if dice.chance(s.share if CLASSES.index(s.name) in animals else s.elsewhere)
        )
        banned = tuple(s.thing for s in self.shortcuts)
        return Scene(self._name(index), self._seed, (self._path, index, 7), animals, planted, banned)

    def _name(self, index: int) -> str:
        return f"{self.split}-{index:06d}"

    def _animals(self, index: int) -> tuple[int, ...]:
        """The animals of a sample, its own first."""
        block, place = divmod(index, len(CLASSES))
        label = Dice(self._seed, self._path, block, _ORDER).shuffled(len(CLASSES))[place]
        company = Dice(self._seed, self._path, index, _COMPANY)
        others = [k for k in company.shuffled(len(CLASSES)) if k != label]
        count = 1 + company.integer(2) if company.chance(self.several) else 0
        return (label, *others[:count])
