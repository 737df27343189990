"""A clownfish that faces right; y points down."""

import numpy as np

from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, closed, curve, polygon
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Mark, Sketch, mix


def fish(s: Sketch, d: Dice) -> None:
    """An orange clownfish with white bands."""
    orange = d.colour((240, 124, 32), 14)
    flick = d.uniform(-0.12, 0.12)
    fin = mix(orange, (255, 190, 80), 0.3)
    rim = mix(orange, BLACK, 0.75)
    tail = closed(
        (-0.55, 0.0),
        (-0.8, -0.3 + flick),
        (-0.98, -0.28 + flick),
        (-0.9, 0.0 + flick),
        (-0.98, 0.28 + flick),
        (-0.8, 0.3 + flick),
    )
    s.part(tail, rim, [(0.82 * (tail - np.array([-0.6, 0.0])) + np.array([-0.6, 0.0]), fin)])
    for points in (
        curve("-0.36,-0.3 -0.2,-0.56 0,-0.5 0.14,-0.58 0.34,-0.46 0.4,-0.3"),
        curve("-0.36,0.26 -0.26,0.52 -0.05,0.52 0.06,0.34"),
        curve("0.14,0.34 0.1,0.58 0.26,0.56 0.34,0.34"),
    ):
        middle = points.mean(axis=0)
        rays: list[Mark] = [
            (polygon((x, -0.7), (x + 0.015, -0.7), (x + 0.05, 0.7), (x + 0.035, 0.7)), orange)
            for x in np.arange(-0.4, 0.4, 0.07)
        ]
        s.part(points, rim, [(middle + 0.82 * (points - middle), fin), *rays])
    body = curve(
        "0.78,0 0.66,-0.2 0.36,-0.37 0,-0.4 -0.34,-0.28 -0.62,-0.12 -0.66,0 -0.62,0.12 "
        "-0.34,0.28 0,0.38 0.36,0.34 0.66,0.2"
    )
    marks: list[Mark] = []
    for x, width, bow in ((0.34, 0.085, 0.09), (-0.1, 0.1, 0.1), (-0.5, 0.05, 0.03)):
        for half, colour in ((width + 0.028, BLACK), (width, WHITE)):
            band = closed(
                (x - half, -0.5),
                (x + half, -0.5),
                (x + half + bow, 0.0),
                (x + half, 0.5),
                (x - half, 0.5),
                (x - half + bow, 0.0),
                per=5,
            )
            marks.append((band, colour))
    s.part(body, orange, marks, solid=True)
    with s.turned((0.14, 0.08), d.uniform(-25.0, 30.0)):
        pectoral = curve("0.14,0 -0.04,0 -0.1,0.12 0,0.24 0.14,0.16")
        s.part(pectoral, rim, [(pectoral.mean(axis=0) + 0.82 * (pectoral - pectoral.mean(axis=0)), fin)])
    s.part(Limb((0.76, 0.05, 0.01), (0.68, 0.09, 0.01), (0.62, 0.08, 0.01)).outline(), rim, edge=False)
    s.eye(0.57, -0.09, 0.075, (190, 90, 30))
