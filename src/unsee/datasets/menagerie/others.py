"""Tortoise, crocodile, fish, ladybird and butterfly."""

import numpy as np

from unsee.datasets.menagerie.coats import belly, freckles, rings
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, closed, ellipse, polygon
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Colour, Mark, Sketch, mix


def tortoise(s: Sketch, d: Dice) -> None:
    """A dome of plates on four stubby legs."""
    shell, skin = d.colour((124, 92, 46), 14), d.colour((140, 152, 84), 14)
    plate, pale = mix(shell, (226, 186, 96), 0.5), mix(skin, WHITE, 0.25)
    stride = d.uniform(-16.0, 16.0)
    s.part(polygon((-0.7, 0.24), (-0.92, 0.36), (-0.66, 0.36)), skin)
    for x, swing, near in (
        (-0.34, -stride, False),
        (0.52, stride, False),
        (-0.5, stride, True),
        (0.38, -stride, True),
    ):
        colour = skin if near else mix(skin, BLACK, 0.25)
        with s.turned((x, 0.26), swing):
            s.part(
                Limb((x, 0.2, 0.15), (x, 0.4, 0.115), (x + 0.02, 0.5, 0.11)).outline(),
                colour,
                freckles(np.array([[x - 0.1, 0.3], [x + 0.1, 0.5]]), 7, 0.022, mix(colour, BLACK, 0.3), d),
                solid=True,
            )
            s.spot(x + 0.02, 0.52, "foot")
            for toe in (-0.06, 0.01, 0.08):
                s.part(ellipse(x + 0.02 + toe, 0.575, 0.028, 0.036, count=12), (236, 226, 196), edge=False)
    with s.turned((0.62, 0.2), d.uniform(-28.0, 12.0)):
        s.part(Limb((0.55, 0.22, 0.13), (0.78, 0.12, 0.1), (0.9, 0.02, 0.1)).outline(), skin, solid=True)
        s.part(
            closed((0.8, -0.06), (0.92, -0.16), (1.08, -0.1), (1.16, 0.02), (1.06, 0.12), (0.88, 0.14)),
            skin,
            [(ellipse(1.0, 0.12, 0.2, 0.06), pale)],
            solid=True,
        )
        s.part(
            Limb((1.15, 0.05, 0.008), (1.06, 0.06, 0.008), (1.0, 0.05, 0.008)).outline(),
            mix(skin, BLACK, 0.55),
            edge=False,
        )
        s.eye(1.0, -0.04, 0.05, (60, 40, 22))
    dome = closed(
        (-0.82, 0.26),
        (-0.74, -0.06),
        (-0.46, -0.36),
        (-0.05, -0.48),
        (0.38, -0.38),
        (0.66, -0.1),
        (0.76, 0.24),
        (0.4, 0.34),
        (-0.05, 0.36),
        (-0.5, 0.34),
    )
    plates: list[Mark] = []
    for cx, cy, w, h in (
        (-0.5, -0.04, 0.2, 0.2),
        (-0.06, -0.1, 0.21, 0.25),
        (0.4, -0.04, 0.2, 0.2),
        (-0.3, -0.42, 0.18, 0.14),
        (0.2, -0.42, 0.18, 0.14),
        (-0.74, 0.14, 0.1, 0.12),
        (0.68, 0.12, 0.1, 0.12),
    ):
        hexagon = ellipse(cx, cy, w, h, 0.0, 6)
        plates += [
            (hexagon, plate),
            (0.55 * (hexagon - hexagon.mean(axis=0)) + hexagon.mean(axis=0), mix(plate, shell, 0.6)),
        ]
    rim: list[Mark] = [
        (polygon((x, 0.2), (x + 0.13, 0.2), (x + 0.13, 0.4), (x, 0.4)), plate)
        for x in np.arange(-0.84, 0.8, 0.16)
    ]
    s.part(
        dome,
        shell,
        [*plates, (polygon((-1.0, 0.2), (1.0, 0.2), (1.0, 0.5), (-1.0, 0.5)), shell), *rim],
        solid=True,
    )


def crocodile(s: Sketch, d: Dice) -> None:
    """Long, low and green, with a toothed jaw and a jagged back."""
    green = d.colour((92, 126, 62), 14)
    dark, pale = mix(green, BLACK, 0.4), mix(green, (240, 232, 170), 0.6)
    curl = d.uniform(-0.22, 0.16)
    stride = d.uniform(-24.0, 24.0)
    _croc_legs(s, mix(green, BLACK, 0.25), (-0.36, 0.4), stride)
    tail = Limb(
        (-0.4, 0.04, 0.17), (-0.8, 0.08, 0.11), (-1.15, 0.06 + 0.4 * curl, 0.06), (-1.45, curl, 0.015)
    )
    body = Limb(
        (-0.5, 0.03, 0.17), (-0.2, 0.0, 0.21), (0.2, 0.0, 0.21), (0.5, 0.0, 0.16), (0.62, -0.02, 0.13)
    )
    for limb, count in ((tail, 11), (body, 9)):
        for k in range(count):
            x, y = limb.at((k + 0.5) / count)
            rise = float(limb.radius[round((k + 0.5) / count * (len(limb.radius) - 1))])
            s.part(
                polygon((x - 0.07, y - 0.8 * rise), (x + 0.06, y - 0.8 * rise), (x - 0.02, y - rise - 0.08)),
                dark,
            )
    s.part(tail.outline(), green, rings(tail, 9, dark, d, 0.3), solid=True)
    s.part(
        body.outline(),
        green,
        [
            *rings(body, 7, dark, d, 0.22),
            *freckles(body.outline(), 22, 0.022, dark, d),
            belly(body.outline(), 0.3, pale),
        ],
        solid=True,
    )
    gape = d.uniform(3.0, 24.0)
    with s.turned((0.6, 0.02), d.uniform(-10.0, 6.0)):
        with s.turned((0.66, 0.06), 0.45 * gape):
            for x in np.arange(0.84, 1.36, 0.085):
                s.part(polygon((x, 0.08), (x + 0.06, 0.08), (x + 0.03, -0.01)), WHITE)
            s.part(
                closed(
                    (0.55, 0.02),
                    (0.75, 0.06),
                    (1.1, 0.08),
                    (1.38, 0.07),
                    (1.38, 0.13),
                    (1.1, 0.17),
                    (0.75, 0.18),
                    (0.55, 0.14),
                ),
                pale,
                solid=True,
            )
        with s.turned((0.66, 0.02), -0.55 * gape):
            for x in np.arange(0.86, 1.4, 0.085):
                s.part(polygon((x, 0.03), (x + 0.06, 0.03), (x + 0.03, 0.12)), WHITE)
            s.part(
                closed(
                    (0.52, -0.13),
                    (0.72, -0.15),
                    (0.9, -0.1),
                    (1.15, -0.06),
                    (1.34, -0.1),
                    (1.45, -0.05),
                    (1.43, 0.05),
                    (1.1, 0.06),
                    (0.75, 0.07),
                    (0.52, 0.1),
                ),
                green,
                freckles(np.array([[0.6, -0.1], [1.3, 0.0]]), 10, 0.016, dark, d),
                solid=True,
            )
            s.part(ellipse(1.38, -0.055, 0.022, 0.016, count=10), BLACK, edge=False)
            s.part(ellipse(0.76, -0.15, 0.095, 0.085), green)
            s.eye(0.77, -0.16, 0.062, (236, 204, 60), white=(236, 204, 60), slit=0.4)
    _croc_legs(s, green, (-0.48, 0.3), -stride)


def _croc_legs(s: Sketch, skin: Colour, hips: tuple[float, float], stride: float) -> None:
    for x, swing in zip(hips, (stride, -stride), strict=True):
        with s.turned((x, 0.1), swing):
            s.part(
                Limb((x, 0.06, 0.11), (x - 0.06, 0.22, 0.075), (x, 0.32, 0.06)).outline(), skin, solid=True
            )
            s.part(
                closed(
                    (x - 0.09, 0.3),
                    (x + 0.05, 0.28),
                    (x + 0.17, 0.38),
                    (x + 0.06, 0.37),
                    (x + 0.02, 0.4),
                    (x - 0.1, 0.39),
                    per=4,
                ),
                mix(skin, BLACK, 0.15),
            )
            s.spot(x, 0.345, "foot")


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
        closed((-0.36, -0.3), (-0.2, -0.56), (0.0, -0.5), (0.14, -0.58), (0.34, -0.46), (0.4, -0.3)),
        closed((-0.36, 0.26), (-0.26, 0.52), (-0.05, 0.52), (0.06, 0.34)),
        closed((0.14, 0.34), (0.1, 0.58), (0.26, 0.56), (0.34, 0.34)),
    ):
        middle = points.mean(axis=0)
        rays: list[Mark] = [
            (polygon((x, -0.7), (x + 0.015, -0.7), (x + 0.05, 0.7), (x + 0.035, 0.7)), orange)
            for x in np.arange(-0.4, 0.4, 0.07)
        ]
        s.part(points, rim, [(middle + 0.82 * (points - middle), fin), *rays])
    body = closed(
        (0.78, 0.0),
        (0.66, -0.2),
        (0.36, -0.37),
        (0.0, -0.4),
        (-0.34, -0.28),
        (-0.62, -0.12),
        (-0.66, 0.0),
        (-0.62, 0.12),
        (-0.34, 0.28),
        (0.0, 0.38),
        (0.36, 0.34),
        (0.66, 0.2),
    )
    marks: list[Mark] = []
    for x, width, bow in ((0.34, 0.085, 0.09), (-0.1, 0.1, 0.1), (-0.5, 0.05, 0.03)):
        for half, colour in ((width + 0.028, BLACK), (width, WHITE)):
            marks.append(
                (
                    closed(
                        (x - half, -0.5),
                        (x + half, -0.5),
                        (x + half + bow, 0.0),
                        (x + half, 0.5),
                        (x - half, 0.5),
                        (x - half + bow, 0.0),
                        per=5,
                    ),
                    colour,
                )
            )
    s.part(body, orange, marks, solid=True)
    with s.turned((0.14, 0.08), d.uniform(-25.0, 30.0)):
        pectoral = closed((0.14, 0.0), (-0.04, 0.0), (-0.1, 0.12), (0.0, 0.24), (0.14, 0.16))
        s.part(pectoral, rim, [(pectoral.mean(axis=0) + 0.82 * (pectoral - pectoral.mean(axis=0)), fin)])
    s.part(Limb((0.76, 0.05, 0.01), (0.68, 0.09, 0.01), (0.62, 0.08, 0.01)).outline(), rim, edge=False)
    s.eye(0.57, -0.09, 0.075, (190, 90, 30))


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
                s.part(
                    ellipse(side * 0.84, base + 0.05, 0.06, 0.042, side * 30.0, 14), (54, 44, 44), edge=False
                )
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
    collar = closed(
        (0.0, -0.66),
        (0.3, -0.62),
        (0.42, -0.42),
        (0.2, -0.34),
        (0.0, -0.32),
        (-0.2, -0.34),
        (-0.42, -0.42),
        (-0.3, -0.62),
    )
    s.part(collar, BLACK, [(ellipse(side * 0.29, -0.52, 0.09, 0.085), WHITE) for side in (-1, 1)], solid=True)
    dome = closed(
        (0.0, -0.46),
        (0.34, -0.4),
        (0.56, -0.12),
        (0.58, 0.2),
        (0.4, 0.54),
        (0.0, 0.72),
        (-0.4, 0.54),
        (-0.58, 0.2),
        (-0.56, -0.12),
        (-0.34, -0.4),
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
            hind = closed(
                (w * 0.04, 0.02),
                (w * 0.5, 0.04),
                (w * 0.72, 0.3),
                (w * 0.6, 0.62),
                (w * 0.4, 0.74),
                (w * 0.16, 0.5),
            )
            fore = closed(
                (w * 0.04, -0.12),
                (w * 0.3, -0.52),
                (w * 0.76, -0.78),
                (w * 0.98, -0.66),
                (w * 0.9, -0.2),
                (w * 0.56, 0.08),
                (w * 0.1, 0.08),
            )
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
