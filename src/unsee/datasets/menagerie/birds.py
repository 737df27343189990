"""Penguin and owl, seen from the front."""

from unsee.datasets.menagerie.coats import scallops
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, closed, corners, curve, ellipse, polygon
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Mark, Sketch, mix


def penguin(s: Sketch, d: Dice) -> None:
    """Black and white, upright, with a golden cheek and orange feet."""
    coat, gold = d.colour((38, 42, 54), 10), d.colour((246, 176, 40), 12)
    lean = d.uniform(-5.0, 5.0)
    for side in (-1, 1):
        x = side * d.uniform(0.17, 0.24)
        foot = closed(
            (x - 0.12, 0.8),
            (x - 0.16, 0.9),
            (x - 0.05, 0.88),
            (x, 0.92),
            (x + 0.05, 0.88),
            (x + 0.16, 0.9),
            (x + 0.12, 0.8),
            (x, 0.72),
            per=3,
        )
        s.part(foot, (238, 140, 44))
        s.spot(x, 0.85, "foot")
    with s.turned((0.0, 0.7), lean):
        for side in (-1, 1):
            with s.turned((side * 0.34, -0.22), side * -d.uniform(4.0, 46.0)):
                flipper = curve("0.3,-0.3 0.46,-0.1 0.52,0.22 0.46,0.44 0.4,0.2 0.3,0.04") * (side, 1)
                s.part(flipper, coat, solid=True)
        body = curve(
            "0,-0.6 0.3,-0.38 0.43,0.05 0.42,0.45 0.26,0.76 0,0.82 -0.26,0.76 -0.42,0.45 "
            "-0.43,0.05 -0.3,-0.38"
        )
        front = curve(
            "0,-0.42 0.2,-0.3 0.31,0.06 0.32,0.45 0.18,0.72 0,0.76 -0.18,0.72 -0.32,0.45 -0.31,0.06 -0.2,-0.3"
        )
        s.part(
            body,
            coat,
            [(front, WHITE), (ellipse(0.0, -0.38, 0.18, 0.12), mix(gold, WHITE, 0.45))],
            solid=True,
        )
        with s.turned((0.0, -0.45), d.uniform(-14.0, 14.0)):
            look = d.uniform(-0.09, 0.09)
            s.part(
                ellipse(0.0, -0.66, 0.265, 0.27),
                coat,
                [(ellipse(side * 0.23, -0.58, 0.1, 0.14, side * -14.0), gold) for side in (-1, 1)],
                solid=True,
            )
            for side in (-1, 1):
                s.eye(look + side * 0.12, -0.72, 0.055, (110, 62, 30))
            s.part(
                closed((look - 0.09, -0.62), (look, -0.67), (look + 0.09, -0.62), (1.8 * look, -0.46), per=4),
                (240, 150, 50),
                [(polygon((look - 0.1, -0.605), (look + 0.1, -0.605), (1.8 * look, -0.56)), (190, 96, 30))],
            )


def owl(s: Sketch, d: Dice) -> None:
    """Round, feathered, with a facing disc and great yellow eyes."""
    coat = d.colour((142, 100, 62), 16)
    dark, pale = mix(coat, BLACK, 0.35), mix(coat, (250, 236, 206), 0.68)
    if d.chance(0.3):
        s.part(curve("-0.2,0.5 0.2,0.5 0.16,0.94 0,0.9 -0.16,0.94", per=3), dark)
    for side in (-1, 1):
        x = side * 0.15
        s.part(
            closed(
                (x - 0.12, 0.7),
                (x - 0.13, 0.83),
                (x - 0.07, 0.79),
                (x, 0.86),
                (x + 0.07, 0.79),
                (x + 0.13, 0.83),
                (x + 0.12, 0.7),
                per=3,
            ),
            (222, 176, 70),
        )
        s.spot(x, 0.81, "foot")
    body = curve(
        "0,-0.4 0.34,-0.26 0.46,0.1 0.4,0.5 0.2,0.74 0,0.78 -0.2,0.74 -0.4,0.5 -0.46,0.1 -0.34,-0.26"
    )
    s.part(body, pale, scallops(body, 0.15, pale, d), solid=True)
    spread = d.uniform(0.0, 1.0) ** 2
    for side in (-1, 1):
        with s.turned((side * 0.36, -0.2), side * -38.0 * spread):
            wing = curve("0.28,-0.3 0.5,-0.1 0.56,0.24 0.46,0.6 0.36,0.44 0.3,0.1") * (side, 1)
            s.part(wing, coat, scallops(wing, 0.13, coat, d), solid=True)
    with s.turned((0.0, -0.34), d.uniform(-16.0, 16.0)):
        for side in (-1, 1):
            s.part(corners("0.4,-0.94 0.42,-0.6 0.14,-0.76") * (side, 1), dark)
        head = curve(
            "0,-0.82 0.28,-0.78 0.46,-0.56 0.42,-0.3 0.2,-0.16 0,-0.12 -0.2,-0.16 "
            "-0.42,-0.3 -0.46,-0.56 -0.28,-0.78"
        )
        discs: list[Mark] = []
        for side in (-1, 1):
            discs += [
                (ellipse(side * 0.2, -0.48, 0.24, 0.27), dark),
                (ellipse(side * 0.2, -0.48, 0.215, 0.245), pale),
            ]
        s.part(head, coat, discs, solid=True)
        iris = d.colour((246, 190, 40), 14)
        for side in (-1, 1):
            s.eye(side * 0.19, -0.5, 0.125, iris, white=mix(iris, BLACK, 0.6))
        s.part(curve("-0.07,-0.44 0,-0.5 0.07,-0.44 0,-0.25", per=4), (232, 196, 110))
        s.part(Limb((0.0, -0.72, 0.03), (0.0, -0.55, 0.012)).outline(), dark, edge=False)
