"""Ladybird and butterfly, seen from above, heads up."""

import numpy as np

from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, curve, ellipse, polygon
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Mark, Sketch, mix


def ladybird(s: Sketch, d: Dice) -> None:
    """A red beetle with black spots, seen from above."""
    red = d.colour(d.choice([(214, 40, 32), (224, 70, 28)]), 12)
    for side in (-1, 1):
        for base, angle in ((-0.22, -28.0), (0.08, 4.0), (0.36, 34.0)):
            swing = angle + d.uniform(-9.0, 9.0)
            with s.turned((side * 0.4, base), side * swing):
                s.part(
                    Limb(
                        (side * 0.36, base, 0.045),
                        (side * 0.62, base - 0.03, 0.036),
                        (side * 0.8, base + 0.03, 0.028),
                    ).outline(),
                    BLACK,
                )
                foot = ellipse(side * 0.84, base + 0.05, 0.06, 0.042, side * 30.0, 14)
                s.part(foot, (54, 44, 44), edge=False)
                s.spot(side * 0.84, base + 0.05, "foot")
        with s.turned((side * 0.1, -0.78), side * d.uniform(-14.0, 14.0)):
            s.part(
                Limb(
                    (side * 0.1, -0.78, 0.02), (side * 0.16, -0.96, 0.016), (side * 0.28, -1.04, 0.016)
                ).outline(),
                BLACK,
            )
            s.part(ellipse(side * 0.29, -1.05, 0.035, 0.03, count=12), BLACK, edge=False)
    s.part(ellipse(0.0, -0.68, 0.22, 0.18), BLACK, solid=True)
    for side in (-1, 1):
        s.eye(side * 0.17, -0.75, 0.062, (60, 54, 50))
    collar = curve("0,-0.66 0.3,-0.62 0.42,-0.42 0.2,-0.34 0,-0.32 -0.2,-0.34 -0.42,-0.42 -0.3,-0.62")
    s.part(collar, BLACK, [(ellipse(side * 0.29, -0.52, 0.09, 0.085), WHITE) for side in (-1, 1)], solid=True)
    dome = curve(
        "0,-0.46 0.34,-0.4 0.56,-0.12 0.58,0.2 0.4,0.54 0,0.72 -0.4,0.54 -0.58,0.2 -0.56,-0.12 -0.34,-0.4"
    )
    size = d.uniform(0.85, 1.15)
    dots: list[Mark] = [(ellipse(0.0, -0.4, 0.15, 0.11), BLACK)]
    for side in (-1, 1):
        for x, y, r in ((0.28, -0.16, 0.11), (0.27, 0.3, 0.12), (0.46, 0.08, 0.075), (0.14, 0.08, 0.06))[
            : 3 + d.integer(2)
        ]:
            dots.append((ellipse(side * x, y, r * size, 1.1 * r * size, count=20), BLACK))
    seam = d.uniform(0.012, 0.03)
    s.part(
        dome,
        red,
        [
            *dots,
            (polygon((-seam, -0.5), (seam, -0.5), (2.2 * seam, 0.8), (-2.2 * seam, 0.8)), BLACK),
            (ellipse(-0.22, -0.3, 0.09, 0.035, -30.0, 14), mix(red, WHITE, 0.6)),
        ],
        solid=True,
    )


def butterfly(s: Sketch, d: Dice) -> None:
    """Four patterned wings spread out, seen from above."""
    main = d.colour(d.choice([(240, 140, 30), (70, 130, 220), (244, 204, 60), (200, 70, 120)]), 12)
    rim, dots = d.colour((34, 26, 30), 8), d.choice([WHITE, (250, 230, 170)])
    fold = d.uniform(0.78, 1.0)
    lift = d.uniform(-6.0, 10.0)
    for side in (-1, 1):
        w = side * fold
        with s.turned((0.0, 0.0), side * -lift):
            hind = curve("0.04,0.02 0.5,0.04 0.72,0.3 0.6,0.62 0.4,0.74 0.16,0.5") * (w, 1)
            fore = curve("0.04,-0.12 0.3,-0.52 0.76,-0.78 0.98,-0.66 0.9,-0.2 0.56,0.08 0.1,0.08") * (w, 1)
            for wing, root, spots in (
                (hind, (w * 0.06, 0.06), ((0.62, 0.4, 0.045), (0.56, 0.56, 0.04), (0.42, 0.66, 0.035))),
                (
                    fore,
                    (w * 0.06, -0.06),
                    ((0.9, -0.58, 0.05), (0.88, -0.42, 0.045), (0.82, -0.26, 0.04), (0.76, -0.68, 0.04)),
                ),
            ):
                inner = np.array(root) + 0.8 * (wing - np.array(root))
                veins: list[Mark] = [
                    (polygon(root, (root[0] + 0.012, root[1]), (x + 0.015, y), (x - 0.015, y)), rim)
                    for x, y in inner[::7].tolist()
                ]
                blots: list[Mark] = [(ellipse(w * x, y, r, r, count=12), dots) for x, y, r in spots]
                s.part(
                    wing,
                    rim,
                    [
                        (inner, main),
                        *veins,
                        (ellipse(w * 0.5, wing[:, 1].mean(), 0.09, 0.08), mix(main, WHITE, 0.55)),
                        *blots,
                    ],
                )
    s.part(
        Limb((0.0, -0.3, 0.055), (0.0, -0.1, 0.075), (0.0, 0.2, 0.055), (0.0, 0.52, 0.025)).outline(),
        mix(rim, (120, 90, 60), 0.35),
        solid=True,
    )
    for side in (-1, 1):
        s.part(
            Limb(
                (side * 0.02, -0.38, 0.014), (side * 0.14, -0.58, 0.012), (side * 0.24, -0.78, 0.012)
            ).outline(),
            rim,
            edge=False,
        )
        s.part(ellipse(side * 0.245, -0.79, 0.032, 0.026, count=12), rim, edge=False)
    s.part(ellipse(0.0, -0.36, 0.075, 0.07), rim)
    for side in (-1, 1):
        s.eye(side * 0.065, -0.38, 0.045, (90, 60, 40))
