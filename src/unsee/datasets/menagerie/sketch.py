"""A drawing that is not yet on a canvas: coloured outlines with marks clipped to them, and keypoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from unsee.datasets.menagerie.shapes import XY, Points, ellipse, turn

Colour = tuple[int, int, int]
Mark = tuple[Points, Colour]
WHITE: Colour = (250, 250, 248)
BLACK: Colour = (24, 22, 24)


@dataclass(frozen=True, eq=False)
class Part:
    """A filled outline. `solid` parts are lit as round bodies; `edge` is the colour of the thin contour."""

    points: Points
    fill: Colour
    marks: tuple[Mark, ...]
    edge: Colour | None
    solid: bool


@dataclass(frozen=True)
class Spot:
    """A keypoint of the drawing; it is visible where one of the parts `first` to `last` lies on top."""

    x: float
    y: float
    kind: str
    first: int
    last: int


class Sketch:
    """Collects parts from back to front. The units are arbitrary: `paint` fits the sketch to a place."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.spots: list[Spot] = []
        self._turns: list[tuple[XY, float]] = []

    @contextmanager
    def turned(self, pivot: XY, degrees: float) -> Iterator[None]:
        """Everything drawn inside is turned clockwise about the pivot; turns nest."""
        self._turns.append((pivot, degrees))
        try:
            yield
        finally:
            self._turns.pop()

    def part(
        self,
        points: Points,
        fill: Colour,
        marks: Sequence[Mark] = (),
        *,
        solid: bool = False,
        edge: bool = True,
    ) -> None:
        """Add a part in front of all others.

        Args:
            points: its outline, in units of the sketch.
            fill: its colour.
            marks: drawn on the part; they end at its outline.
            solid: as in `Part`.
            edge: whether to draw the outline, in a darker colour.
        """
        placed = tuple((self._place(outline), colour) for outline, colour in marks)
        self.parts.append(
            Part(self._place(points), fill, placed, mix(fill, BLACK, 0.45) if edge else None, solid)
        )

    def eye(
        self, x: float, y: float, r: float, iris: Colour, *, white: Colour = WHITE, slit: float = 1.0
    ) -> None:
        """An eye with a keypoint at its centre.

        Args:
            x, y: its centre, in units of the sketch.
            r: its radius, in units of the sketch.
            iris, white: the colours of the iris and around it.
            slit: the pupil's width over its usual width.
        """
        pupil = ellipse(x, y, 0.58 * r * slit, 0.62 * r, count=20)
        glint = ellipse(x + 0.25 * r, y - 0.3 * r, 0.24 * r, 0.24 * r, count=12)
        marks = [(ellipse(x, y, 0.84 * r, 0.84 * r, count=20), iris), (pupil, BLACK), (glint, WHITE)]
        self.part(ellipse(x, y, r, r, count=22), white, marks)
        self.spot(x, y, "eye")

    def spot(self, x: float, y: float, kind: str, parts: int = 1) -> None:
        """Put a keypoint on the last parts.

        Args:
            x, y: its place, in units of the sketch.
            kind: what it marks, such as "eye".
            parts: how many parts it may lie on.
        """
        ((px, py),) = self._place(np.array([[x, y]]))
        last = len(self.parts) - 1
        self.spots.append(Spot(float(px), float(py), kind, last - parts + 1, last))

    def bounds(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) of all parts."""
        points = np.concatenate([part.points for part in self.parts])
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)

    def _place(self, points: Points) -> Points:
        for pivot, degrees in reversed(self._turns):
            points = turn(points, pivot, degrees)
        return points


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour between a and b with this share of b."""
    r, g, blue = (round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return r, g, blue
