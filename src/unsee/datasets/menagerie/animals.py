"""The classes of the menagerie, in the order of their labels."""

from collections.abc import Callable
from dataclasses import dataclass

from unsee.datasets.menagerie.birds import owl, penguin
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.fishes import fish
from unsee.datasets.menagerie.insects import butterfly, ladybird
from unsee.datasets.menagerie.mammals import cat, elephant, giraffe, rabbit, zebra
from unsee.datasets.menagerie.reptiles import crocodile, tortoise
from unsee.datasets.menagerie.sketch import Sketch


@dataclass(frozen=True)
class Animal:
    """A class: how it is drawn, how far it may lean (degrees), and the shadow it casts.

    `shadow` is "ground" for what stands, "surface" for what clings to it, "none" for what floats.
    """

    name: str
    draw: Callable[[Sketch, Dice], None]
    lean: float
    shadow: str


ANIMALS = (
    Animal("butterfly", butterfly, 180.0, "surface"),
    Animal("cat", cat, 10.0, "ground"),
    Animal("crocodile", crocodile, 10.0, "ground"),
    Animal("elephant", elephant, 8.0, "ground"),
    Animal("fish", fish, 28.0, "none"),
    Animal("giraffe", giraffe, 8.0, "ground"),
    Animal("ladybird", ladybird, 180.0, "surface"),
    Animal("owl", owl, 12.0, "ground"),
    Animal("penguin", penguin, 10.0, "ground"),
    Animal("rabbit", rabbit, 10.0, "ground"),
    Animal("tortoise", tortoise, 10.0, "ground"),
    Animal("zebra", zebra, 8.0, "ground"),
)
CLASSES = tuple(animal.name for animal in ANIMALS)
