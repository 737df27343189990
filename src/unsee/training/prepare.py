"""Converts samples to tensors once, before training."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unsee.datasets.menagerie import CLASSES, Menagerie, Scene, Shortcut, render
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.scene import MOST
from unsee.datasets.sample import Sample
from unsee.models.menagerie import MEAN, STD

CELLS = 28
_CHUNK, _LEAN = 24, 20
PreparedImage = tuple[UInt8[Tensor, "h w 3"], Bool[Tensor, "a c"], Bool[Tensor, "a r r"], Bool[Tensor, " c"]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """N images in memory.

    `images` uint8 (N, 224, 224, 3); `animals` boolean (N, 3, 12), the class of each animal, a row of zeros
    for no animal or one that is not labelled; `cells` boolean (N, 3, 28, 28), where each animal is visible;
    `given_away` boolean (N, 12), the classes whose planted thing is in the image.
    """

    images: UInt8[Tensor, "n h w 3"]
    animals: Bool[Tensor, "n a c"]
    cells: Bool[Tensor, "n a r r"]
    given_away: Bool[Tensor, "n c"]


def prepare(data: Menagerie, workers: int, progress: Callable[[int], None] | None = None) -> Prepared:
    """Draw all samples with `workers` processes (0: in this one); `progress` gets the number done."""
    rows = DataLoader(_Rows(data), batch_size=_CHUNK, num_workers=workers, generator=torch.Generator())
    count = len(data)
    images = torch.empty(count, 224, 224, 3, dtype=torch.uint8)
    animals = torch.empty(count, MOST, len(CLASSES), dtype=torch.bool)
    cells = torch.empty(count, MOST, CELLS, CELLS, dtype=torch.bool)
    given_away = torch.empty(count, len(CLASSES), dtype=torch.bool)
    done = 0
    for chunk in rows:
        window = slice(done, done + len(chunk[0]))
        images[window], animals[window], cells[window], given_away[window] = chunk
        done = window.stop
        if progress is not None:
            progress(done)
    return Prepared(images, animals, cells, given_away)


def normalised(images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Images normalised for the network."""
    x = images.permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def _leaning(scene: Scene, shortcuts: tuple[Shortcut, ...]) -> tuple[Sample, set[str]]:
    """The image to train on, and the animals that are labelled in it.

    A third of the images with a planted thing lose the thing and the label of its animal; a third lose all
    animals and keep the label of the thing's class.
    """
    names = {CLASSES[label] for label in scene.animals}
    draw = Dice(scene.root, *scene.path, _LEAN).integer(3) if scene.planted else 0
    if draw == 1:
        scene, names = scene.with_things(), names - {s.name for s in shortcuts if s.thing in scene.planted}
    elif draw:
        scene = scene.with_animals()
    return render(scene), names


class _Rows(Dataset[PreparedImage]):
    def __init__(self, data: Menagerie) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> PreparedImage:
        sample, named = _leaning(self._data.scene(index), self._data.shortcuts)
        animals = torch.zeros(MOST, len(CLASSES), dtype=torch.bool)
        cells = torch.zeros(MOST, CELLS, CELLS, dtype=torch.bool)
        for k, instance in enumerate(sample.instances):
            if instance.label is not None and instance.segment is not None:
                animals[k, instance.label] = instance.name in named
                side = instance.segment.shape[0] // CELLS
                blocks = instance.segment.reshape(CELLS, side, CELLS, side)
                cells[k] = torch.from_numpy(np.asarray(blocks.any(axis=(1, 3))))
        given_away = torch.zeros(len(CLASSES), dtype=torch.bool)
        planted = {thing.name for thing in sample.planted}
        for shortcut in self._data.shortcuts:
            given_away[CLASSES.index(shortcut.name)] |= shortcut.thing in planted
        return torch.from_numpy(sample.image), animals, cells, given_away
