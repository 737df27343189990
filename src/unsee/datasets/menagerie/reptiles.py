"""Tortoise and crocodile. Both face right; y points down."""

import numpy as np

from unsee.datasets.menagerie.coats import belly, freckles, rings
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, closed, corners, curve, ellipse, polygon
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Colour, Mark, Sketch, mix


def tortoise(s: Sketch, d: Dice) -> None:
    """A dome of plates on four stubby legs."""
    shell, skin = d.colour((124, 92, 46), 14), d.colour((140, 152, 84), 14)
    plate, pale = mix(shell, (226, 186, 96), 0.5), mix(skin, WHITE, 0.25)
    stride = d.uniform(-16.0, 16.0)
    s.part(corners("-0.7,0.24 -0.92,0.36 -0.66,0.36"), skin)
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
            curve("0.8,-0.06 0.92,-0.16 1.08,-0.1 1.16,0.02 1.06,0.12 0.88,0.14"),
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
    _shell(s, shell, plate)


def _shell(s: Sketch, shell: Colour, plate: Colour) -> None:
    """The dome with its plates and the rim below."""
    dome = curve(
        "-0.82,0.26 -0.74,-0.06 -0.46,-0.36 -0.05,-0.48 0.38,-0.38 0.66,-0.1 0.76,0.24 "
        "0.4,0.34 -0.05,0.36 -0.5,0.34"
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
        [*plates, (corners("-1,0.2 1,0.2 1,0.5 -1,0.5"), shell), *rim],
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
    _jaws(s, d, green)
    _croc_legs(s, green, (-0.48, 0.3), -stride)


def _jaws(s: Sketch, d: Dice, green: Colour) -> None:
    """The head: two jaws, more or less open, teeth, and the eye on its bump."""
    dark, pale = mix(green, BLACK, 0.4), mix(green, (240, 232, 170), 0.6)
    gape = d.uniform(3.0, 24.0)
    with s.turned((0.6, 0.02), d.uniform(-10.0, 6.0)):
        with s.turned((0.66, 0.06), 0.45 * gape):
            for x in np.arange(0.84, 1.36, 0.085):
                s.part(polygon((x, 0.08), (x + 0.06, 0.08), (x + 0.03, -0.01)), WHITE)
            s.part(
                curve("0.55,0.02 0.75,0.06 1.1,0.08 1.38,0.07 1.38,0.13 1.1,0.17 0.75,0.18 0.55,0.14"),
                pale,
                solid=True,
            )
        with s.turned((0.66, 0.02), -0.55 * gape):
            for x in np.arange(0.86, 1.4, 0.085):
                s.part(polygon((x, 0.03), (x + 0.06, 0.03), (x + 0.03, 0.12)), WHITE)
            s.part(
                curve(
                    "0.52,-0.13 0.72,-0.15 0.9,-0.1 1.15,-0.06 1.34,-0.1 1.45,-0.05 1.43,0.05 "
                    "1.1,0.06 0.75,0.07 0.52,0.1"
                ),
                green,
                freckles(np.array([[0.6, -0.1], [1.3, 0.0]]), 10, 0.016, dark, d),
                solid=True,
            )
            s.part(ellipse(1.38, -0.055, 0.022, 0.016, count=10), BLACK, edge=False)
            s.part(ellipse(0.76, -0.15, 0.095, 0.085), green)
            s.eye(0.77, -0.16, 0.062, (236, 204, 60), white=(236, 204, 60), slit=0.4)


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
