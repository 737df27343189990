"""Backgrounds: landscapes, foliage, water, walls, floors, cloth, lights."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from unsee.datasets.menagerie.canvas import SIZE, Picture, Plane
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Colour, mix

Number = int | float
GREENS: tuple[Colour, ...] = ((72, 116, 50), (104, 142, 62), (52, 92, 58), (134, 156, 84), (88, 120, 96))
EARTHS: tuple[Colour, ...] = (
    (168, 138, 96),
    (196, 170, 122),
    (134, 110, 84),
    (150, 142, 128),
    (206, 188, 150),
)
SKIES: tuple[Colour, ...] = (
    (126, 178, 224),
    (176, 206, 230),
    (230, 190, 160),
    (150, 160, 176),
    (92, 124, 176),
)
CLOTHS: tuple[Colour, ...] = (
    (176, 84, 74),
    (76, 104, 150),
    (206, 190, 160),
    (120, 140, 110),
    (150, 110, 150),
    (90, 92, 98),
    (222, 176, 90),
)


def background(d: Dice) -> Picture:
    """One of the kinds at random, uint8 (224, 224, 3)."""
    return d.choice(KINDS)(d)


def clouds(d: Dice, rows: int = 3, columns: int = 3, octaves: int = 4) -> Plane:
    """Smooth noise over 0, ..., 255.

    Args:
        d: the source of all draws.
        rows, columns: cells of the coarsest octave.
        octaves: how many to add; each has twice the rows and columns of the one before, and half the height.
    """
    total = np.zeros((SIZE, SIZE), dtype=np.int32)
    for octave in range(octaves):
        cells = d.bytes(min(SIZE, rows << octave) + 1, min(SIZE, columns << octave) + 1)
        plane = Image.fromarray(cells).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        total += (np.asarray(plane).astype(np.int32) - 128) * 128 >> octave
    return np.asarray(np.clip(128 + (total >> 7), 0, 255).astype(np.uint8))


def ramp(plane: Plane, *stops: Colour) -> Picture:
    """Colours for a plane: 0 is the first stop, 255 the last one."""
    at = np.linspace(0, 255, len(stops))
    table = np.stack(
        [np.rint(np.interp(np.arange(256), at, [s[c] for s in stops])) for c in range(3)], axis=1
    )
    return np.asarray(table.astype(np.uint8)[plane])


def gradient(top: Colour, bottom: Colour) -> Picture:
    """From the top colour to the bottom one."""
    column = (np.arange(SIZE) * 255 // (SIZE - 1)).astype(np.uint8)
    return ramp(np.repeat(column[:, None], SIZE, axis=1), top, bottom)


class Brush:
    """Polygons in pixels of the image, drawn at twice its resolution."""

    def __init__(self, picture: Picture) -> None:
        self._image = Image.fromarray(picture).resize((2 * SIZE, 2 * SIZE), Image.Resampling.NEAREST)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Sequence[tuple[Number, Number]], fill: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon([(round(2 * x), round(2 * y)) for x, y in points], fill=fill)

    def oval(self, x: Number, y: Number, rx: Number, ry: Number, fill: Colour) -> None:
        """Fill an ellipse with axes along the image's.

        Args:
            x, y: its centre, in pixels.
            rx, ry: its half axes, in pixels.
            fill: its colour.
        """
        self._draw.ellipse([round(2 * v) for v in (x - rx, y - ry, x + rx, y + ry)], fill=fill)

    def done(self) -> Picture:
        """The image at its own resolution."""
        return np.array(self._image.reduce(2))


def shaded(picture: Picture, plane: Plane, depth: int) -> Picture:
    """Brighten and darken by a plane of noise: by up to `depth` at its ends."""
    change = (plane.astype(np.int32) - 128) * depth >> 7
    return np.clip(picture.astype(np.int32) + change[..., None], 0, 255).astype(np.uint8)


def landscape(d: Dice) -> Picture:
    """Sky, some ranges of hills, and a meadow or sand in front."""
    sky, ground = d.colour(d.choice(SKIES), 18), d.colour(d.choice(GREENS + EARTHS), 18)
    picture = shaded(gradient(sky, mix(sky, WHITE, 0.6)), clouds(d, 4, 2), 24)
    horizon = d.uniform(60.0, 130.0)
    brush = Brush(picture)
    layers = 1 + d.integer(3)
    for layer in range(layers + 1):
        share = (layer + 1) / (layers + 1)
        base = horizon + 26 * layer
        steps = 5 + d.integer(5)
        heights = [d.uniform(-24.0, 20.0) * (1.2 - share) for _ in range(steps + 1)]
        crest = [
            (x, base + float(np.interp(x / SIZE * steps, range(steps + 1), heights)))
            for x in range(0, SIZE + 8, 8)
        ]
        brush.polygon([*crest, (SIZE, SIZE), (0, SIZE)], mix(mix(ground, sky, 0.7), ground, share))
    for _ in range(d.integer(160)):
        x, y = d.uniform(0.0, SIZE), d.uniform(horizon + 30 * layers, SIZE + 8)
        height, lean = d.uniform(4.0, 14.0), d.uniform(-4.0, 4.0)
        brush.polygon(
            [(x - 1.2, y), (x + lean, y - height), (x + 1.2, y)],
            mix(ground, d.choice((BLACK, WHITE)), d.uniform(0.08, 0.3)),
        )
    return shaded(brush.done(), clouds(d, 10, 10, 3), 22)


def foliage(d: Dice) -> Picture:
    """Leaves over leaves."""
    green = d.colour(d.choice(GREENS), 16)
    brush = Brush(ramp(clouds(d), mix(green, BLACK, 0.6), green))
    count, size = 50 + d.integer(90), d.uniform(7.0, 17.0)
    for k in range(count):
        x, y, r = d.uniform(-8.0, SIZE + 8), d.uniform(-8.0, SIZE + 8), size * d.uniform(0.6, 1.3)
        angle = d.uniform(0.0, 2 * np.pi)
        ux, uy = r * float(np.cos(angle)), r * float(np.sin(angle))
        tone = mix(
            mix(green, BLACK, 0.35), mix(green, WHITE, 0.35), (k + d.uniform(0.0, count)) / (2 * count)
        )
        for half, shade in ((0.5, tone), (-0.5, mix(tone, BLACK, 0.14))):
            brush.polygon(
                [
                    (x - ux, y - uy),
                    (x - half * uy - 0.3 * ux, y + half * ux - 0.3 * uy),
                    (x + 0.35 * ux - half * 0.7 * uy, y + 0.35 * uy + half * 0.7 * ux),
                    (x + ux, y + uy),
                ],
                shade,
            )
    return brush.done()


def water(d: Dice) -> Picture:
    """Ripples from blue to green."""
    blue = d.colour(d.choice(((50, 110, 160), (60, 140, 150), (90, 150, 190), (40, 80, 110))), 16)
    picture = gradient(mix(blue, WHITE, d.uniform(0.1, 0.5)), mix(blue, BLACK, d.uniform(0.0, 0.4)))
    return shaded(shaded(picture, clouds(d, 24, 3, 3), 40), clouds(d), 24)


def snow(d: Dice) -> Picture:
    """White ground, firs far away, and flakes."""
    sky = d.colour((150, 176, 206), 24)
    horizon = d.uniform(70.0, 130.0)
    brush = Brush(gradient(sky, mix(sky, WHITE, 0.5)))
    brush.polygon(
        [(0, horizon), (SIZE, horizon + d.uniform(-14.0, 14.0)), (SIZE, SIZE), (0, SIZE)], (232, 238, 246)
    )
    for _ in range(4 + d.integer(12)):
        x, y, h = d.uniform(0.0, SIZE), horizon + d.uniform(-2.0, 24.0), d.uniform(18.0, 50.0)
        fir = d.colour((60, 92, 84), 16)
        for k in range(3):
            w = h * (0.16 + 0.07 * k)
            brush.polygon(
                [
                    (x - w, y - h * (0.6 - 0.3 * k)),
                    (x, y - h * (1.0 - 0.24 * k)),
                    (x + w, y - h * (0.6 - 0.3 * k)),
                ],
                fir,
            )
    picture = shaded(brush.done(), clouds(d, 5, 3, 4), 18)
    brush = Brush(picture)
    for _ in range(d.integer(70)):
        r = d.uniform(0.6, 1.8)
        brush.oval(d.uniform(0.0, SIZE), d.uniform(0.0, SIZE), r, r, WHITE)
    return brush.done()


def bricks(d: Dice) -> Picture:
    """A wall of bricks or tiles."""
    stone = d.colour(
        d.choice(((168, 92, 72), (186, 178, 164), (140, 140, 146), (206, 160, 120), (222, 216, 204))), 14
    )
    brush = Brush(
        np.broadcast_to(
            np.array(mix(stone, d.choice((WHITE, BLACK)), 0.45), dtype=np.uint8), (SIZE, SIZE, 3)
        ).copy()
    )
    high, shift = d.uniform(12.0, 30.0), d.chance(0.75)
    wide = high * d.uniform(1.0, 2.6)
    for row in range(int(SIZE / high) + 1):
        for column in range(-1, int(SIZE / wide) + 2):
            x, y = (column + 0.5 * (row % 2) * shift) * wide, row * high
            brush.polygon(
                [(x + 1, y + 1), (x + wide - 1, y + 1), (x + wide - 1, y + high - 1), (x + 1, y + high - 1)],
                d.colour(stone, 12),
            )
    return shaded(shaded(brush.done(), clouds(d, 24, 24, 2), 16), clouds(d), 26)


def planks(d: Dice) -> Picture:
    """Boards with grain."""
    wood = d.colour(d.choice(((156, 110, 70), (196, 156, 110), (110, 84, 66), (178, 166, 150))), 14)
    grain = shaded(ramp(clouds(d, 2, 30, 3), mix(wood, BLACK, 0.25), mix(wood, WHITE, 0.2)), clouds(d), 16)
    brush = Brush(grain)
    x = d.uniform(-30.0, 0.0)
    while x < SIZE:
        brush.polygon([(x, 0), (x + 1.5, 0), (x + 1.5, SIZE), (x, SIZE)], mix(wood, BLACK, 0.6))
        x += d.uniform(24.0, 56.0)
    picture = brush.done()
    return np.ascontiguousarray(picture.transpose(1, 0, 2)) if d.chance(0.5) else picture


def cloth(d: Dice) -> Picture:
    """Checks or stripes, softly folded."""
    base, other = d.colour(d.choice(CLOTHS), 14), d.colour(d.choice(CLOTHS), 14)
    period = 14 + d.integer(34)
    y, x = np.mgrid[:SIZE, :SIZE]
    band = ((x + d.integer(period)) // (period // 2)) % 2
    if d.chance(0.6):
        band = band + ((y + d.integer(period)) // (period // 2)) % 2
    strength = 30 + d.integer(70)
    return shaded(ramp((band * strength).astype(np.uint8), base, other), clouds(d, 2, 3, 3), 34)


def pebbles(d: Dice) -> Picture:
    """Stones side by side."""
    stone = d.colour(d.choice(EARTHS), 16)
    brush = Brush(ramp(clouds(d), mix(stone, BLACK, 0.7), mix(stone, BLACK, 0.4)))
    cell = d.uniform(12.0, 26.0)
    for row in range(-1, int(SIZE / cell) + 2):
        for column in range(-1, int(SIZE / cell) + 2):
            x, y = (column + d.uniform(0.2, 0.8) + 0.5 * (row % 2)) * cell, (row + d.uniform(0.3, 0.7)) * cell
            rx, ry, tone = cell * d.uniform(0.38, 0.6), cell * d.uniform(0.32, 0.5), d.colour(stone, 22)
            brush.oval(x, y, rx, ry, mix(tone, BLACK, 0.3))
            brush.oval(x - 0.06 * rx, y - 0.1 * ry, 0.88 * rx, 0.84 * ry, tone)
            brush.oval(x - 0.25 * rx, y - 0.35 * ry, 0.4 * rx, 0.3 * ry, mix(tone, WHITE, 0.22))
    return brush.done()


def lights(d: Dice) -> Picture:
    """Dusk with discs of light out of focus."""
    dusk = d.colour(d.choice(((50, 46, 80), (90, 60, 80), (40, 70, 80), (120, 90, 70))), 14)
    brush = Brush(gradient(mix(dusk, BLACK, 0.2), mix(dusk, (240, 170, 120), d.uniform(0.1, 0.6))))
    for _ in range(10 + d.integer(26)):
        r, glow = (
            d.uniform(4.0, 20.0),
            d.colour(d.choice(((240, 200, 130), (230, 140, 120), (150, 190, 220), (220, 220, 200))), 14),
        )
        x, y, share = d.uniform(0.0, SIZE), d.uniform(0.0, SIZE), d.uniform(0.15, 0.55)
        brush.oval(x, y, r, r, mix(dusk, glow, share))
        brush.oval(x, y, 0.86 * r, 0.86 * r, mix(dusk, glow, share * 0.8))
    return brush.done()


def plaster(d: Dice) -> Picture:
    """A smooth gradient with stains."""
    a, b = d.colour(d.choice(CLOTHS + SKIES + EARTHS), 20), d.colour(d.choice(CLOTHS + SKIES + EARTHS), 20)
    return shaded(gradient(mix(a, WHITE, 0.25), mix(a, b, 0.5)), clouds(d, 2, 2, 5), 10 + d.integer(40))


def marble(d: Dice) -> Picture:
    """Noise from one colour to another, like moss, rust or stone."""
    palette = GREENS + EARTHS + SKIES
    a, b, c = (d.colour(d.choice(palette), 20) for _ in range(3))
    return ramp(clouds(d, 2 + d.integer(4), 2 + d.integer(4), 5), mix(a, BLACK, 0.15), b, mix(c, WHITE, 0.3))


KINDS: tuple[Callable[[Dice], Picture], ...] = (
    landscape,
    landscape,
    foliage,
    water,
    snow,
    bricks,
    planks,
    cloth,
    pebbles,
    lights,
    plaster,
    marble,
)
