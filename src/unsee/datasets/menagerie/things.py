"""Things that are not animals: clutter, and what a shortcut can plant."""

from collections.abc import Callable

import numpy as np

from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, closed, corners, curve, ellipse, polygon
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Colour, Mark, Sketch, mix

BRIGHT: tuple[Colour, ...] = (
    (206, 70, 60),
    (60, 120, 190),
    (90, 160, 90),
    (230, 180, 60),
    (150, 90, 160),
    (220, 220, 214),
)


def ball(s: Sketch, d: Dice) -> None:
    """A ball with a stripe."""
    a, b = d.colour(d.choice(BRIGHT), 14), d.colour(d.choice(BRIGHT), 14)
    s.part(
        ellipse(0.0, 0.0, 1.0, 1.0, count=40),
        a,
        [
            (ellipse(0.2, -1.1, 0.9, 0.8), b),
            (ellipse(-0.2, 1.1, 0.9, 0.8), b),
            (ellipse(-0.4, -0.45, 0.16, 0.1, -35.0), mix(a, WHITE, 0.7)),
        ],
        solid=True,
    )


def rock(s: Sketch, d: Dice) -> None:
    """A grey stone."""
    grey = d.colour((138, 132, 124), 24)
    ring = [
        (np.cos(t) * d.uniform(0.7, 1.1), 0.7 * np.sin(t) * d.uniform(0.7, 1.1))
        for t in np.arange(9) * 2 * np.pi / 9
    ]
    s.part(
        closed(*ring, per=3),
        grey,
        [(corners("-0.5,-0.6 0.5,-0.6 0.2,-0.1 -0.4,0"), mix(grey, WHITE, 0.2))],
        solid=True,
    )


def spoon(s: Sketch, d: Dice) -> None:
    """A wide silver spoon."""
    silver = d.colour((196, 200, 210), 12)
    dark, pale = mix(silver, (60, 66, 84), 0.5), mix(silver, WHITE, 0.75)
    handle = Limb((0.1, 0.0, 0.05), (0.6, 0.0, 0.045), (1.1, 0.0, 0.075), (1.3, 0.0, 0.09))
    s.part(
        handle.outline(),
        silver,
        [(corners("0.2,-0.02 1.3,-0.03 1.3,0 0.2,0.01"), pale)],
        solid=True,
    )
    bowl = ellipse(-0.25, 0.0, 0.44, 0.29, count=36)
    s.part(
        bowl,
        silver,
        [
            (ellipse(-0.25, 0.01, 0.36, 0.22), dark),
            (ellipse(-0.23, 0.04, 0.33, 0.18), silver),
            (ellipse(-0.36, -0.07, 0.13, 0.05, -18.0), WHITE),
        ],
    )


def leaf(s: Sketch, d: Dice) -> None:
    """A fallen leaf."""
    tone = d.colour(d.choice(((190, 110, 50), (200, 160, 60), (110, 140, 60), (160, 60, 50))), 16)
    veins: list[Mark] = [(corners("-0.9,0 0.9,-0.03 0.9,0.03"), mix(tone, BLACK, 0.35))]
    veins += [
        (polygon((x, 0.0), (x + 0.06, 0.0), (x + 0.4, side * 0.5)), mix(tone, BLACK, 0.3))
        for x in (-0.5, -0.15, 0.2)
        for side in (-1, 1)
    ]
    s.part(curve("-0.9,0 -0.4,-0.36 0.3,-0.38 0.95,0 0.3,0.38 -0.4,0.36"), tone, veins)
    s.part(Limb((-0.85, 0.0, 0.03), (-1.25, 0.1, 0.025)).outline(), mix(tone, BLACK, 0.35))


def box(s: Sketch, d: Dice) -> None:
    """A carton seen from a corner."""
    card = d.colour(d.choice(((196, 152, 104), *BRIGHT)), 14)
    s.part(corners("-0.9,-0.3 0,-0.06 0,0.85 -0.9,0.55"), card)
    s.part(corners("0.9,-0.3 0,-0.06 0,0.85 0.9,0.55"), mix(card, BLACK, 0.22))
    s.part(
        corners("-0.9,-0.3 0,-0.55 0.9,-0.3 0,-0.06"),
        mix(card, WHITE, 0.25),
        [(corners("-0.55,-0.44 0.35,-0.12 0.5,-0.16 -0.4,-0.46"), mix(card, WHITE, 0.6))],
    )


def mug(s: Sketch, d: Dice) -> None:
    """A mug with a handle."""
    tone = d.colour(d.choice(BRIGHT), 14)
    s.part(Limb((0.55, -0.25, 0.09), (0.95, -0.2, 0.09), (0.9, 0.3, 0.09), (0.5, 0.42, 0.09)).outline(), tone)
    s.part(
        curve("-0.6,-0.55 0.6,-0.55 0.58,0.3 0.48,0.68 -0.48,0.68 -0.58,0.3", per=4),
        tone,
        [(corners("-1,0.1 1,0.1 1,0.28 -1,0.28"), mix(tone, WHITE, 0.55))],
        solid=True,
    )
    s.part(
        ellipse(0.0, -0.55, 0.61, 0.16),
        mix(tone, WHITE, 0.3),
        [(ellipse(0.0, -0.53, 0.53, 0.12), (92, 56, 36))],
    )


def flower(s: Sketch, d: Dice) -> None:
    """A flower on its stem."""
    petal = d.colour(d.choice(((240, 220, 90), (230, 110, 140), (244, 240, 236), (150, 110, 200))), 12)
    s.part(Limb((0.0, 0.0, 0.05), (0.06, 0.6, 0.045), (0.0, 1.2, 0.04)).outline(), (84, 130, 60))
    s.part(curve("0.04,0.8 0.3,0.5 0.5,0.5 0.3,0.76"), (96, 146, 66))
    for t in np.arange(7) * 2 * np.pi / 7:
        s.part(ellipse(0.36 * np.cos(t), 0.36 * np.sin(t), 0.28, 0.16, float(np.rad2deg(t)), 18), petal)
    s.part(ellipse(0.0, 0.0, 0.2, 0.2), (224, 160, 50), solid=True)


def toadstool(s: Sketch, d: Dice) -> None:
    """A brown mushroom."""
    cap = d.colour(d.choice(((176, 110, 70), (206, 180, 140), (120, 84, 70))), 14)
    s.part(curve("-0.2,0 0.2,0 0.26,0.75 0,0.82 -0.26,0.75"), (236, 226, 204), solid=True)
    s.part(
        curve("-0.8,0.12 -0.6,-0.42 0,-0.68 0.6,-0.42 0.8,0.12 0,0.22"),
        cap,
        solid=True,
    )


def book(s: Sketch, d: Dice) -> None:
    """A closed book."""
    tone = d.colour(d.choice(BRIGHT), 16)
    s.part(corners("-0.7,-0.5 0.74,-0.5 0.74,0.54 -0.7,0.54"), (240, 234, 218))
    s.part(
        corners("-0.78,-0.58 0.68,-0.58 0.68,0.46 -0.78,0.46"),
        tone,
        [
            (corners("-0.78,-0.6 -0.6,-0.6 -0.6,0.6 -0.78,0.6"), mix(tone, BLACK, 0.3)),
            (corners("-0.35,-0.3 0.45,-0.3 0.45,-0.12 -0.35,-0.12"), mix(tone, WHITE, 0.7)),
        ],
    )


def bottle(s: Sketch, d: Dice) -> None:
    """A glass bottle with a label."""
    glass = d.colour(d.choice(((60, 110, 80), (110, 70, 40), (100, 150, 180))), 12)
    s.part(
        curve(
            "-0.12,-1 0.12,-1 0.13,-0.55 0.34,-0.3 0.34,0.8 0.3,0.9 -0.3,0.9 -0.34,0.8 "
            "-0.34,-0.3 -0.13,-0.55",
            per=3,
        ),
        glass,
        [
            (corners("-0.5,0 0.5,0 0.5,0.5 -0.5,0.5"), (236, 226, 200)),
            (corners("-0.24,-0.3 -0.16,-0.3 -0.16,0 -0.24,0"), mix(glass, WHITE, 0.6)),
        ],
        solid=True,
    )


def tag(s: Sketch, d: Dice) -> None:
    """A price tag on a string."""
    paper = d.colour((250, 222, 70), 8)
    s.part(Limb((-0.72, 0.0, 0.025), (-1.0, -0.25, 0.025), (-1.3, -0.2, 0.025)).outline(), (120, 100, 80))
    s.part(
        corners("-0.9,0 -0.6,-0.38 0.8,-0.38 0.8,0.38 -0.6,0.38"),
        paper,
        [
            (ellipse(-0.66, 0.0, 0.09, 0.09), BLACK),
            *[
                (polygon((x, -0.22), (x + w, -0.22), (x + w, 0.22), (x, 0.22)), BLACK)
                for x, w in (
                    (-0.4, 0.06),
                    (-0.26, 0.12),
                    (-0.06, 0.05),
                    (0.08, 0.14),
                    (0.3, 0.06),
                    (0.44, 0.1),
                    (0.6, 0.05),
                )
            ],
        ],
    )


def watermark(s: Sketch, d: Dice) -> None:
    """A ring with a camera's shutter and three bars of writing; laid on half transparent."""
    white = d.colour((250, 250, 250), 4)
    outer, inner = ellipse(0.0, 0.0, 0.5, 0.5, count=40), ellipse(0.0, 0.0, 0.39, 0.39, count=40)
    s.part(np.concatenate([outer, outer[:1], inner[:1], inner[::-1]]), white, edge=False)
    for t in range(0, 360, 60):
        c, n = float(np.cos(np.deg2rad(t))), float(np.sin(np.deg2rad(t)))
        s.part(
            Limb((0.38 * c, 0.38 * n, 0.04), (0.2 * c - 0.22 * n, 0.2 * n + 0.22 * c, 0.04)).outline(),
            white,
            edge=False,
        )
    for y, width in ((-0.32, 1.3), (-0.02, 1.0), (0.28, 1.2)):
        s.part(Limb((0.72, y, 0.09), (0.72 + width, y, 0.09)).outline(), white, edge=False)


CLUTTER: dict[str, Callable[[Sketch, Dice], None]] = {
    "ball": ball,
    "bottle": bottle,
    "book": book,
    "box": box,
    "flower": flower,
    "leaf": leaf,
    "mug": mug,
    "rock": rock,
    "spoon": spoon,
    "toadstool": toadstool,
}
PLANTED: dict[str, Callable[[Sketch, Dice], None]] = {"spoon": spoon, "tag": tag, "watermark": watermark}
