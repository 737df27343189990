"""Markings of coats: rings along limbs, patches, spots, scales and feathers."""

import numpy as np

from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, Points, ellipse, polygon
from unsee.datasets.menagerie.sketch import Colour, Mark, mix


def rings(
    limb: Limb,
    count: int,
    colour: Colour,
    dice: Dice,
    duty: float = 0.5,
    span: tuple[float, float] = (0.0, 1.0),
) -> list[Mark]:
    """Stripes across a limb.

    Args:
        limb: the body part.
        count: the number of stripes.
        colour: of every stripe.
        dice: the source of all draws.
        duty: the share of each stripe's interval that it fills, in [0, 1].
        span: the fractions of the limb's length between which the stripes lie.
    """
    return [(band, colour) for band in limb.rings(span[0], span[1], count, duty, dice)]


def patches(outline: Points, cell: float, colour: Colour, dice: Dice, gap: float = 0.16) -> list[Mark]:
    """Irregular polygons that nearly touch, like the coat of a giraffe.

    Args:
        outline: of the body part, in units of the sketch.
        cell: the size of a polygon, in units of the sketch.
        colour: varied a little for each polygon.
        dice: the source of all draws.
        gap: by which share each polygon is shrunk, in [0, 1).
    """
    (x0, y0), (x1, y1) = outline.min(axis=0) - cell, outline.max(axis=0) + cell
    columns, rows = int((x1 - x0) / cell) + 2, int((y1 - y0) / cell) + 2
    jitter = dice.bytes(rows, columns, 2) / 255.0 - 0.5
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2) + 0.62 * jitter
    grid[1::2, :, 0] += 0.5
    corners = grid * cell + np.array([x0, y0])
    marks: list[Mark] = []
    for i in range(rows - 1):
        for j in range(columns - 1):
            quad = corners[[i, i, i + 1, i + 1], [j, j + 1, j + 1, j]]
            middle = quad.mean(axis=0)
            shrunk = middle + (quad - middle) * (1.0 - gap)
            sides = (shrunk + np.roll(shrunk, -1, axis=0)) / 2
            bulged = middle + (sides - middle) * 1.12
            marks.append((np.stack([shrunk, bulged], axis=1).reshape(-1, 2), dice.colour(colour, 10)))
    return marks


def scallops(outline: Points, cell: float, colour: Colour, dice: Dice) -> list[Mark]:
    """Rows of overlapping round feathers or scales with a darker rim, drawn from the bottom up.

    Args:
        outline: of the body part, in units of the sketch.
        cell: the distance between neighbours, in units of the sketch.
        colour: varied a little for each scale.
        dice: the source of all draws.
    """
    (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
    marks: list[Mark] = []
    rim = mix(colour, (20, 14, 10), 0.45)
    rows = int((y1 - y0) / cell) + 2
    for i in reversed(range(rows)):
        y = y0 + i * cell
        for j in range(int((x1 - x0) / cell) + 2):
            x = x0 + (j - 0.5 * (i % 2)) * cell
            marks.append((ellipse(x, y, 0.58 * cell, 0.85 * cell, count=12), rim))
            marks.append(
                (ellipse(x, y - 0.14 * cell, 0.53 * cell, 0.78 * cell, count=12), dice.colour(colour, 12))
            )
    return marks


def freckles(outline: Points, count: int, size: float, colour: Colour, dice: Dice) -> list[Mark]:
    """Small round spots scattered over the outline's box.

    Args:
        outline: of the body part, in units of the sketch.
        count: the number of spots.
        size: their typical radius, in units of the sketch.
        colour: varied a little for each spot.
        dice: the source of all draws.
    """
    (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
    marks: list[Mark] = []
    for _ in range(count):
        x, y = dice.uniform(x0, x1), dice.uniform(y0, y1)
        r = size * dice.uniform(0.6, 1.3)
        marks.append((ellipse(x, y, r, r * dice.uniform(0.7, 1.2), count=10), dice.colour(colour, 8)))
    return marks


def belly(outline: Points, share: float, colour: Colour) -> Mark:
    """The lower `share` of the outline in another colour, with a curved border."""
    (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
    top = y1 - share * (y1 - y0)
    dip = 0.35 * share * (y1 - y0)
    middle = (x0 + x1) / 2
    return polygon((x0, top), (middle, top + dip), (x1, top), (x1, y1 + 1), (x0, y1 + 1)), colour
