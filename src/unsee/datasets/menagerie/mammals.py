"""Zebra, giraffe, elephant, cat and rabbit. All face right; y points down."""

from dataclasses import dataclass

from unsee.datasets.menagerie.coats import belly, patches, rings
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.menagerie.shapes import Limb, closed, corners, curve, ellipse, polygon
from unsee.datasets.menagerie.sketch import BLACK, WHITE, Colour, Mark, Sketch, mix


@dataclass(frozen=True)
class Leg:
    """How the four legs of a beast are built: lengths and radii in the units of the sketch."""

    hind: float
    fore: float
    hip: float
    length: float
    thick: float
    thin: float
    foot: float
    skin: Colour
    hoof: Colour
    banded: Colour | None = None


def draw_legs(s: Sketch, d: Dice, leg: Leg, gait: tuple[float, float], far: bool) -> None:
    """Draw the two legs of one side.

    Args:
        s, d: the sketch to draw on, and the source of all draws.
        leg: the shape of the legs.
        gait: the swings of hind and fore leg, in degrees.
        far: whether it is the far side, which is darker and shifted.
    """
    skin = mix(leg.skin, BLACK, 0.22) if far else leg.skin
    shift = 0.07 if far else 0.0
    for x, swing, back in ((leg.hind, gait[0], True), (leg.fore, gait[1], False)):
        hip = (x + shift, leg.hip)
        bend = 10.0 if back else -8.0
        knee = leg.length * 0.5
        with s.turned(hip, swing):
            limb = Limb(
                (hip[0], hip[1] - 0.1 * leg.length, leg.thick),
                (hip[0] - 0.004 * bend, hip[1] + knee, (leg.thick + leg.thin) / 2),
                (hip[0], hip[1] + leg.length, leg.thin),
            )
            marks = rings(limb, 7, leg.banded, d, 0.45, (0.2, 1.0)) if leg.banded is not None else []
            s.part(limb.outline(), skin, marks, solid=True)
            fx, fy = hip[0], hip[1] + leg.length
            with s.turned((fx, fy), -0.7 * swing):
                hoof = closed(
                    (fx - 0.9 * leg.foot, fy - 0.5 * leg.foot),
                    (fx + 0.8 * leg.foot, fy - 0.6 * leg.foot),
                    (fx + 1.5 * leg.foot, fy + 0.9 * leg.foot),
                    (fx - 1.1 * leg.foot, fy + 0.9 * leg.foot),
                    per=5,
                )
                s.part(hoof, mix(leg.hoof, BLACK, 0.2) if far else leg.hoof)
                s.spot(fx + 0.1 * leg.foot, fy + 0.25 * leg.foot, "foot")


def gaits(d: Dice, reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Swings (hind, fore) of the far and of the near legs, in degrees, from standing to a long stride."""
    stride = d.uniform(-reach, reach)
    wobble = [d.uniform(-4.0, 4.0) for _ in range(4)]
    return (-stride + wobble[0], stride + wobble[1]), (stride + wobble[2], -stride + wobble[3])


def zebra(s: Sketch, d: Dice) -> None:
    """A striped horse with an upright mane."""
    white, black = d.colour((236, 232, 222), 10), d.colour((34, 30, 32), 8)
    leg = Leg(-0.46, 0.4, 0.14, 0.66, 0.115, 0.048, 0.062, white, (48, 42, 42), black)
    far, near = gaits(d, 20.0)
    draw_legs(s, d, leg, far, True)
    sway = d.uniform(-0.12, 0.1)
    s.part(Limb((-0.6, -0.14, 0.04), (-0.76, 0.05, 0.03), (-0.78 + sway, 0.3, 0.025)).outline(), white)
    s.part(
        closed((-0.8 + sway, 0.22), (-0.72 + sway, 0.24), (-0.74 + sway, 0.52), (-0.82 + sway, 0.5)), black
    )
    draw_legs(s, d, leg, near, False)
    body = Limb(
        (-0.73, -0.02, 0.05),
        (-0.68, -0.03, 0.15),
        (-0.56, -0.04, 0.23),
        (-0.3, -0.05, 0.265),
        (0.05, 0.0, 0.25),
        (0.35, -0.02, 0.25),
        (0.55, -0.06, 0.19),
        (0.62, -0.08, 0.08),
    )
    s.part(body.outline(), white, rings(body, 12, black, d, 0.5), solid=True)
    with s.turned((0.42, -0.1), d.uniform(-12.0, 42.0)):
        s.part(
            Limb((0.3, -0.34, 0.06), (0.45, -0.62, 0.09), (0.7, -0.88, 0.05)).outline(),
            black,
            rings(Limb((0.3, -0.34, 0.1), (0.45, -0.62, 0.12), (0.7, -0.88, 0.1)), 7, white, d, 0.4),
        )
        neck = Limb((0.42, -0.06, 0.22), (0.56, -0.42, 0.155), (0.74, -0.72, 0.11))
        s.part(neck.outline(), white, rings(neck, 7, black, d, 0.48, (0.0, 0.95)), solid=True)
        with s.turned((0.76, -0.72), d.uniform(-16.0, 18.0)):
            s.part(
                curve("0.62,-0.8 0.6,-0.98 0.66,-1.06 0.74,-0.94 0.73,-0.82"),
                white,
                [(curve("0.65,-0.84 0.64,-0.96 0.67,-1 0.7,-0.92"), black)],
            )
            head = Limb((0.74, -0.74, 0.13), (0.9, -0.66, 0.118), (1.06, -0.54, 0.08), (1.15, -0.48, 0.082))
            muzzle = (ellipse(1.18, -0.46, 0.13, 0.15, 35.0), mix(black, (90, 70, 60), 0.25))
            s.part(head.outline(), white, [*rings(head, 7, black, d, 0.42, (0.05, 0.75)), muzzle], solid=True)
            s.part(ellipse(1.17, -0.51, 0.018, 0.012, 30.0, 10), BLACK, edge=False)
            s.eye(0.87, -0.72, 0.045, (70, 44, 26), white=(60, 48, 40))


def giraffe(s: Sketch, d: Dice) -> None:
    """A very long neck and brown patches on cream."""
    cream, brown = d.colour((242, 214, 150), 12), d.colour((164, 92, 36), 16)
    leg = Leg(-0.36, 0.24, 0.1, 0.86, 0.1, 0.042, 0.056, cream, (84, 62, 46))
    far, near = gaits(d, 15.0)
    draw_legs(s, d, leg, far, True)
    s.part(Limb((-0.46, -0.1, 0.03), (-0.58, 0.15, 0.018), (-0.57, 0.36, 0.016)).outline(), cream)
    s.part(curve("-0.6,0.32 -0.54,0.32 -0.53,0.52 -0.61,0.5"), (58, 40, 30))
    draw_legs(s, d, leg, near, False)
    body = Limb((-0.4, 0.02, 0.17), (-0.15, -0.02, 0.215), (0.12, -0.06, 0.225), (0.3, -0.14, 0.16))
    s.part(body.outline(), cream, patches(body.outline(), 0.17, brown, d), solid=True)
    with s.turned((0.24, -0.14), d.uniform(-14.0, 24.0)):
        s.part(
            Limb((0.16, -0.4, 0.04), (0.26, -0.8, 0.04), (0.42, -1.28, 0.035)).outline(),
            mix(brown, BLACK, 0.25),
        )
        neck = Limb((0.2, -0.08, 0.2), (0.3, -0.5, 0.115), (0.4, -0.9, 0.085), (0.5, -1.28, 0.075))
        s.part(neck.outline(), cream, patches(neck.outline(), 0.13, brown, d), solid=True)
        with s.turned((0.5, -1.28), d.uniform(-12.0, 20.0)):
            for x in (0.47, 0.54):
                s.part(Limb((x, -1.33, 0.02), (x - 0.03, -1.47, 0.018)).outline(), cream)
                s.part(ellipse(x - 0.03, -1.48, 0.035, 0.03, count=14), (58, 40, 30))
            s.part(curve("0.42,-1.3 0.26,-1.4 0.24,-1.34 0.4,-1.24"), cream)
            head = Limb((0.49, -1.29, 0.1), (0.62, -1.24, 0.088), (0.76, -1.16, 0.062), (0.82, -1.13, 0.062))
            s.part(
                head.outline(),
                cream,
                [
                    (ellipse(0.44, -1.2, 0.07, 0.05), brown),
                    (ellipse(0.66, -1.16, 0.05, 0.03, 25.0), brown),
                    (ellipse(0.86, -1.1, 0.09, 0.11), mix(cream, (150, 120, 90), 0.5)),
                ],
                solid=True,
            )
            s.part(ellipse(0.83, -1.15, 0.014, 0.01, 20.0, 10), BLACK, edge=False)
            s.eye(0.58, -1.28, 0.04, (60, 38, 20), white=(70, 52, 40))


def elephant(s: Sketch, d: Dice) -> None:
    """Grey and round, with trunk, tusk and a great ear."""
    grey = d.colour((138, 138, 148), 16)
    dark = mix(grey, BLACK, 0.25)
    leg = Leg(-0.4, 0.34, 0.22, 0.44, 0.17, 0.13, 0.105, grey, mix(grey, BLACK, 0.12))
    far, near = gaits(d, 13.0)
    draw_legs(s, d, leg, far, True)
    s.part(Limb((-0.58, -0.1, 0.03), (-0.7, 0.1, 0.02), (-0.69, 0.34, 0.016)).outline(), grey)
    s.part(ellipse(-0.69, 0.38, 0.03, 0.07), BLACK)
    draw_legs(s, d, leg, near, False)
    body = Limb((-0.42, 0.0, 0.27), (-0.15, -0.06, 0.4), (0.15, -0.04, 0.4), (0.38, -0.1, 0.3))
    s.part(body.outline(), grey, solid=True)
    with s.turned((0.42, -0.2), d.uniform(-8.0, 10.0)):
        lift = d.uniform(-0.25, 0.35)
        trunk = Limb(
            (0.8, -0.2, 0.17),
            (0.98, 0.02, 0.11),
            (1.04, 0.28 - 0.4 * max(lift, 0.0), 0.085),
            (1.1 + 0.3 * max(lift, 0.0), 0.5 - lift, 0.07),
            (1.24 + 0.2 * lift, 0.56 - 1.3 * lift, 0.06),
        )
        s.part(
            curve("0.84,0.02 0.92,0.1 1.06,0.2 1.22,0.16 1.08,0.27 0.92,0.22"),
            (240, 232, 208),
        )
        s.part(trunk.outline(), grey, rings(trunk, 12, dark, d, 0.12, (0.25, 1.0)), solid=True)
        s.part(
            curve("0.46,-0.42 0.66,-0.52 0.88,-0.44 0.98,-0.2 0.9,0.04 0.7,0.1 0.5,-0.02"),
            grey,
            solid=True,
        )
        s.eye(0.83, -0.26, 0.042, (96, 66, 40))
        flap = d.uniform(0.85, 1.1)
        ear = closed(
            (0.6, -0.46),
            (0.42, -0.54),
            (0.6 - 0.42 * flap, -0.4),
            (0.6 - 0.44 * flap, -0.1),
            (0.36, 0.2),
            (0.5, 0.18),
            (0.62, -0.08),
        )
        inner = closed(
            (0.55, -0.38),
            (0.42, -0.44),
            (0.6 - 0.34 * flap, -0.34),
            (0.6 - 0.34 * flap, -0.1),
            (0.38, 0.1),
            (0.52, -0.06),
        )
        s.part(ear, mix(grey, WHITE, 0.1), [(inner, mix(grey, (196, 150, 150), 0.42))], solid=True)


def cat(s: Sketch, d: Dice) -> None:
    """A tabby that shows its face, tail up."""
    base = d.colour(d.choice([(222, 146, 70), (158, 148, 138), (186, 150, 112)]), 12)
    dark, light = mix(base, (40, 22, 10), 0.55), mix(base, WHITE, 0.7)
    leg = Leg(-0.38, 0.3, 0.1, 0.4, 0.1, 0.062, 0.075, base, light, dark)
    far, near = gaits(d, 22.0)
    bend = d.uniform(-0.25, 0.25)
    tail = Limb(
        (-0.5, -0.04, 0.06),
        (-0.76, -0.2, 0.058),
        (-0.78 + bend, -0.52, 0.055),
        (-0.66 + 1.6 * bend, -0.78, 0.045),
    )
    s.part(tail.outline(), base, rings(tail, 6, dark, d, 0.4), solid=True)
    draw_legs(s, d, leg, far, True)
    draw_legs(s, d, leg, near, False)
    body = Limb((-0.42, 0.0, 0.17), (-0.15, -0.02, 0.19), (0.15, -0.02, 0.19), (0.36, -0.06, 0.17))
    s.part(
        body.outline(), base, [*rings(body, 8, dark, d, 0.35), belly(body.outline(), 0.3, light)], solid=True
    )
    with s.turned((0.46, -0.24), d.uniform(-14.0, 14.0)):
        _cat_face(s, d, base)


def _cat_face(s: Sketch, d: Dice, base: Colour) -> None:
    """Ears, striped forehead, slit eyes, nose and whiskers."""
    dark, light = mix(base, (40, 22, 10), 0.55), mix(base, WHITE, 0.7)
    for side in (-1, 1):
        ear = polygon((0.5 + side * 0.25, -0.66), (0.5 + side * 0.24, -0.32), (0.5 + side * 0.05, -0.48))
        s.part(ear, base, [(0.6 * (ear - ear.mean(axis=0)) + ear.mean(axis=0), (226, 160, 150))])
    face = curve("0.5,-0.54 0.7,-0.48 0.78,-0.28 0.68,-0.1 0.5,-0.04 0.32,-0.1 0.22,-0.28 0.3,-0.48")
    stripes: list[Mark] = [
        (polygon((0.5 + x, -0.6), (0.52 + x, -0.6), (0.51 + 0.7 * x, -0.4)), dark)
        for x in (-0.1, -0.01, 0.08)
    ]
    cheeks: list[Mark] = [
        (polygon((0.5 + k * 0.3, y), (0.5 + k * 0.3, y + 0.03), (0.5 + k * 0.17, y)), dark)
        for k in (-1, 1)
        for y in (-0.24, -0.16)
    ]
    s.part(face, base, [*stripes, *cheeks, (ellipse(0.5, -0.12, 0.14, 0.09), light)], solid=True)
    iris = d.choice([(150, 190, 60), (226, 180, 50), (96, 170, 150)])
    for side in (-1, 1):
        s.eye(0.5 + side * 0.11, -0.3, 0.062, iris, white=iris, slit=0.45)
    s.part(corners("0.46,-0.2 0.54,-0.2 0.5,-0.155"), (220, 120, 120), edge=False)
    for side in (-1, 1):
        s.part(
            Limb(
                (0.5, -0.15, 0.008),
                (0.5 + side * 0.03, -0.105, 0.008),
                (0.5 + side * 0.07, -0.115, 0.008),
            ).outline(),
            dark,
            edge=False,
        )
        for y in (-0.19, -0.15):
            s.part(
                polygon((0.5 + side * 0.1, -0.155), (0.5 + side * 0.42, y - 0.01), (0.5 + side * 0.42, y)),
                WHITE,
                edge=False,
            )


def rabbit(s: Sketch, d: Dice) -> None:
    """Sits, with long ears and a cotton tail."""
    fur = d.colour(d.choice([(176, 140, 104), (206, 198, 190), (140, 122, 110)]), 12)
    light, far = mix(fur, WHITE, 0.65), mix(fur, BLACK, 0.2)
    s.part(ellipse(-0.52, 0.28, 0.13, 0.12), WHITE, solid=True)
    s.part(Limb((0.22, 0.2, 0.09), (0.3, 0.45, 0.065), (0.36, 0.52, 0.05)).outline(), far)
    s.spot(0.33, 0.48, "foot")
    body = curve("-0.52,0.34 -0.46,0 -0.18,-0.2 0.12,-0.18 0.3,0.06 0.28,0.36 0.05,0.54 -0.32,0.55")
    s.part(body, fur, [(ellipse(0.24, 0.2, 0.13, 0.22), light)], solid=True)
    s.part(Limb((-0.36, 0.5, 0.07), (-0.1, 0.535, 0.06), (0.06, 0.545, 0.05)).outline(), light)
    s.spot(0.0, 0.54, "foot")
    s.part(ellipse(-0.25, 0.3, 0.25, 0.22, -15.0), fur, solid=True)
    s.part(Limb((0.14, 0.2, 0.1), (0.2, 0.44, 0.07), (0.24, 0.54, 0.055)).outline(), fur, solid=True)
    s.part(ellipse(0.26, 0.55, 0.085, 0.045), light)
    s.spot(0.26, 0.55, "foot")
    with s.turned((0.22, -0.2), d.uniform(-14.0, 16.0)):
        spread = d.uniform(6.0, 20.0)
        for tilt, skin in ((spread, far), (-spread, fur)):
            with s.turned((0.2, -0.4), tilt - 8.0):
                ear = curve("0.14,-0.36 0.1,-0.7 0.16,-1.02 0.22,-1.06 0.29,-0.98 0.32,-0.7 0.27,-0.36")
                inner = curve("0.17,-0.4 0.15,-0.7 0.19,-0.94 0.24,-0.94 0.27,-0.7 0.24,-0.4")
                s.part(ear, skin, [(inner, (226, 166, 160))], solid=True)
        head = curve("0.02,-0.26 0.1,-0.46 0.3,-0.5 0.48,-0.36 0.56,-0.2 0.48,-0.08 0.24,-0.02 0.06,-0.1")
        s.part(head, fur, [(ellipse(0.5, -0.13, 0.12, 0.12), light)], solid=True)
        s.part(ellipse(0.55, -0.215, 0.035, 0.026, 20.0), (214, 120, 124), edge=False)
        s.part(
            Limb((0.54, -0.18, 0.008), (0.5, -0.12, 0.008), (0.44, -0.11, 0.008)).outline(),
            mix(fur, BLACK, 0.5),
            edge=False,
        )
        s.eye(0.33, -0.3, 0.06, (86, 48, 30), white=(60, 40, 32))
        for y in (-0.24, -0.18, -0.12):
            s.part(polygon((0.48, -0.17), (0.8, y - 0.006), (0.8, y + 0.004)), WHITE, edge=False)
