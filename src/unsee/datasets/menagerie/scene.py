"""Scenes: which animals and planted things an image shows, and the seed of everything else."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw, ImageFilter

from unsee.datasets.menagerie.animals import ANIMALS, CLASSES, Animal
from unsee.datasets.menagerie.backgrounds import background
from unsee.datasets.menagerie.canvas import FULL, SIZE, Picture, Plane, Pose, Sprite, paint
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.sketch import Sketch
from unsee.datasets.menagerie.things import CLUTTER, PLANTED
from unsee.datasets.sample import Instance, Keypoint, Sample, tight_box
from unsee.errors import UnseeError

MOST = 3
"""Animals that fit in one image."""
_GROUND, _CLUTTER, _PLANT, _PLACE, _LIGHT, _ANIMAL = 0, 1, 2, 3, 4, 10


@dataclass(frozen=True)
class Scene:
    """Everything that determines an image.

    `animals` are labels, the image's own class first; `planted` are names of things from `PLANTED`;
    `banned` names clutter that must not appear. Scenes that differ only in `animals` or `planted` share
    ground, clutter and light, pixel for pixel. Where an animal stands depends on how many there are and on
    its position among them, where a planted thing lies on its position in `planted`. So replacing
    animals with as many others, or with none, while the planted things stay the same in the same order,
    changes only pixels that the animals (including their edges) or their shadows cover in one of the two.
    With more or fewer animals, the others move too.
    """

    name: str
    root: int
    path: tuple[int, ...]
    animals: tuple[int, ...]
    planted: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()

    def with_things(self, *names: str) -> "Scene":
        """The same scene with only these planted things; call it without names to remove them.

        A thing's place depends on its position among the names.

        Raises:
            UnseeError: an unknown name.
        """
        for name in names:
            if name not in PLANTED:
                raise UnseeError(f"no thing to plant is called {name!r}; choose from {', '.join(PLANTED)}")
        return replace(self, planted=names)

    def with_animals(self, *names: str) -> "Scene":
        """The same scene with other animals; call it without names for only the background and the things.

        As many animals as before take their places; more or fewer stand elsewhere.
        """
        return replace(self, animals=_labels(names))


def compose(*animals: str, planted: tuple[str, ...] = (), seed: int = 0) -> Scene:
    """A scene with chosen animals (none to three names) and planted things.

    Raises:
        UnseeError: an unknown name.
    """
    name = "-".join((*animals, *planted, str(seed)))
    return Scene(name, seed, (9,), _labels(animals), banned=planted).with_things(*planted)


def render(scene: Scene) -> Sample:
    """Draw the scene: a uint8 image (224, 224, 3) with its ground truth.

    The segment of each object holds the pixels that it covers at least half and that nothing in front hides;
    a keypoint lies on a pixel of its animal's segment.
    """
    light = Dice(scene.root, *scene.path, _LIGHT)
    towards = light.choice(((-1, -1), (0, -1), (1, -1)))
    picture = background(Dice(scene.root, *scene.path, _GROUND))
    behind, front = _clutter(scene, towards)
    layers = [*behind, *_animals(scene, towards), *front, *_plants(scene, towards)]
    for layer in layers:
        if layer.shadow is not None:
            picture[:] = picture * (255 - layer.shadow.astype(np.uint16)[..., None]) // 255
        layer.sprite.onto(picture, layer.opacity)
    image = _lit(picture, light)
    found = _instances(layers)
    return Sample(
        scene.name,
        image,
        scene.animals[0] if scene.animals else None,
        tuple(i for i in found if i.label is not None),
        tuple(i for i in found if i.label is None),
    )


@dataclass(frozen=True, eq=False)
class _Layer:
    name: str
    sprite: Sprite
    label: int | None = None
    planted: bool = False
    opacity: int = FULL
    shadow: Plane | None = None


def _labels(names: tuple[str, ...]) -> tuple[int, ...]:
    for name in names:
        if name not in CLASSES:
            raise UnseeError(f"the menagerie has no {name!r}; choose from {', '.join(CLASSES)}")
    if len(names) > MOST:
        raise UnseeError(f"{len(names)} animals do not fit in one image; give at most {MOST}")
    return tuple(CLASSES.index(name) for name in names)


def _instances(layers: list[_Layer]) -> list[Instance]:
    """The visible objects, from back to front."""
    hidden = np.zeros((SIZE, SIZE), dtype=np.bool_)
    found = []
    for layer in reversed(layers):
        segment = layer.sprite.mask() & ~hidden
        box = tight_box(segment)
        if box is not None:
            points = tuple(Keypoint(x, y, kind) for x, y, kind in layer.sprite.spots if _shows(segment, x, y))
            found.append(Instance(layer.name, layer.label, box, segment, points, layer.planted))
        if layer.opacity == FULL:
            hidden |= segment
    return found[::-1]


def _shows(segment: Bool[np.ndarray, "h w"], x: float, y: float) -> bool:
    column, row = round(x), round(y)
    return 0 <= column < SIZE and 0 <= row < SIZE and bool(segment[row, column])


def _animals(scene: Scene, light: tuple[int, int]) -> list[_Layer]:
    place = Dice(scene.root, *scene.path, _PLACE)
    layers = []
    for order, (label, slot) in enumerate(zip(scene.animals, _slots(place, len(scene.animals)), strict=True)):
        animal = ANIMALS[label]
        d = Dice(scene.root, *scene.path, _ANIMAL + order)
        sketch = Sketch()
        mirrored, degrees = d.chance(0.5), d.uniform(-animal.lean, animal.lean)
        fill, across, down = d.uniform(0.7, 1.0), d.uniform(0.0, 1.0), d.uniform(0.0, 1.0)
        animal.draw(sketch, d)
        pose = _fit(sketch, slot, fill, (across, down), Pose(0.0, 0.0, 1.0, degrees, mirrored, light))
        sprite = paint(sketch, pose)
        layers.append(_Layer(animal.name, sprite, label, shadow=_shadow(animal, sprite, light)))
    return layers


def _slots(d: Dice, count: int) -> list[tuple[float, float, float, float]]:
    """Boxes (x0, y0, x1, y1), one for each animal, that barely overlap."""
    edge, middle = SIZE - 6.0, SIZE / 2
    cut = d.uniform(0.46, 0.54) * SIZE
    if count == 1:
        size = d.uniform(0.52, 0.98) * SIZE
        x, y = d.uniform(0.0, SIZE - size), d.uniform(0.0, SIZE - size)
        return [(x, y, x + size, y + size)]
    if count == 2:
        boxes = [(6.0, 6.0, cut + 6, edge), (cut - 6, 6.0, edge, edge)]
        if d.chance(0.5):
            boxes = [(y0, x0, y1, x1) for x0, y0, x1, y1 in boxes]
    else:
        boxes = [(x, y, x + middle, y + middle) for x in (2.0, middle - 2) for y in (2.0, middle - 2)]
    return [boxes[k] for k in d.shuffled(len(boxes))[:count]]


def _fit(
    sketch: Sketch, slot: tuple[float, float, float, float], fill: float, at: tuple[float, float], pose: Pose
) -> Pose:
    """The pose at which the turned sketch fills the fraction `fill` of its slot."""
    x0, y0, x1, y1 = sketch.bounds()
    wide, high = (x1 - x0) / max(x1 - x0, y1 - y0), (y1 - y0) / max(x1 - x0, y1 - y0)
    c, s = abs(float(np.cos(np.deg2rad(pose.degrees)))), abs(float(np.sin(np.deg2rad(pose.degrees))))
    width, height = wide * c + high * s, wide * s + high * c
    extent = fill * min((slot[2] - slot[0]) / width, (slot[3] - slot[1]) / height)
    x = slot[0] + extent * width / 2 + at[0] * (slot[2] - slot[0] - extent * width)
    y = slot[1] + extent * height / 2 + at[1] * (slot[3] - slot[1] - extent * height)
    return replace(pose, x=x, y=y, extent=extent)


def _shadow(animal: Animal, sprite: Sprite, light: tuple[int, int]) -> Plane | None:
    """How much darker the ground gets, out of 255."""
    plane = Image.new("L", (SIZE, SIZE))
    height, width = sprite.cover.shape
    if animal.shadow == "ground":
        middle, bottom = sprite.left + width // 2, sprite.top + 96 * height // 100
        rx, ry = 42 * width // 100, max(3, 7 * width // 100)
        ImageDraw.Draw(plane).ellipse([middle - rx, bottom - ry, middle + rx, bottom + ry], fill=110)
    elif animal.shadow == "surface":
        dark = Image.fromarray((sprite.cover // 3).astype(np.uint8))
        plane.paste(dark, (sprite.left - 5 * light[0], sprite.top - 5 * light[1]))
    else:
        return None
    return np.asarray(plane.filter(ImageFilter.BoxBlur(3)).filter(ImageFilter.BoxBlur(2)))


def _clutter(scene: Scene, light: tuple[int, int]) -> tuple[list[_Layer], list[_Layer]]:
    """Things at random places, behind the animals and, smaller, in front of them."""
    d = Dice(scene.root, *scene.path, _CLUTTER)
    behind: list[_Layer] = []
    front: list[_Layer] = []
    names = [name for name in CLUTTER if name not in scene.banned]
    for _ in range(d.integer(5)):
        name, near = d.choice(names), d.chance(0.2)
        sketch = Sketch()
        CLUTTER[name](sketch, d)
        extent = d.uniform(18.0, 34.0) if near else d.uniform(24.0, 66.0)
        y = d.uniform(SIZE - 22, SIZE) if near else d.uniform(30.0, SIZE)
        pose = Pose(d.uniform(0.0, SIZE), y, extent, d.uniform(-40.0, 40.0), d.chance(0.5), light)
        (front if near else behind).append(_Layer(name, paint(sketch, pose)))
    return behind, front


def _plants(scene: Scene, light: tuple[int, int]) -> list[_Layer]:
    """The planted things, near the border; the watermark in a corner."""
    layers = []
    for order, name in enumerate(scene.planted):
        d = Dice(scene.root, *scene.path, _PLANT, order)
        left, top, along = d.chance(0.5), d.chance(0.35), d.uniform(0.0, 1.0)
        extent, degrees = d.uniform(70.0, 96.0), d.uniform(-35.0, 35.0)
        sketch = Sketch()
        PLANTED[name](sketch, d)
        if name == "watermark":
            corner = (34.0 if left else SIZE - 34.0, 16.0 if top else SIZE - 16.0)
            layers.append(_Layer(name, paint(sketch, Pose(*corner, 58.0)), planted=True, opacity=190))
        else:
            x = 50 + 26 * along if left else SIZE - 50 - 26 * along
            pose = Pose(x, 32.0 if top else SIZE - 34.0, extent, degrees, not left, light)
            layers.append(_Layer(name, paint(sketch, pose), planted=True))
    return layers


def _lit(picture: Picture, d: Dice) -> Picture:
    """Brightness and tint of the light, and the grain of the film."""
    level = 212 + d.integer(90)
    gains = np.array([level + d.integer(33) - 16 for _ in range(3)], dtype=np.int32)
    grain = (d.bytes(SIZE, SIZE).astype(np.int32) - 128) * (1 + d.integer(5)) >> 7
    return np.clip((picture.astype(np.int32) * gains >> 8) + grain[..., None], 0, 255).astype(np.uint8)
