"""Smooth outlines in the plane: ellipses, closed curves, and limbs that taper and can carry rings."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from unsee.datasets.menagerie.dice import Dice

Points = Float[np.ndarray, "_ 2"]
XY = tuple[float, float]


def ellipse(cx: float, cy: float, rx: float, ry: float, tilt: float = 0.0, count: int = 28) -> Points:
    """An ellipse as a polygon.

    Args:
        cx, cy: its centre.
        rx, ry: its half axes.
        tilt: by how much it is turned clockwise, in degrees.
        count: the number of corners.
    """
    points = _circle(count) * np.array([rx, ry])
    return np.asarray((turn(points, (0.0, 0.0), tilt) if tilt else points) + np.array([cx, cy]))


def polygon(*points: XY) -> Points:
    """The corners as they are."""
    return np.array(points, dtype=np.float64)


def closed(*points: XY, per: int = 6) -> Points:
    """A smooth closed curve through the points (Catmull-Rom), `per` points for each of them."""
    p = np.array(points, dtype=np.float64)
    wrapped = np.concatenate([p[-1:], p, p[:2]])
    return _catmull([wrapped[k : k + len(p)] for k in range(4)], per).reshape(-1, 2)


def corners(points: str) -> Points:
    """The corners of a polygon written as in SVG: "x,y x,y x,y"."""
    return np.array([[float(v) for v in pair.split(",")] for pair in points.split()])


def curve(points: str, per: int = 6) -> Points:
    """The smooth closed curve through points written as in SVG."""
    return closed(*((float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())), per=per)


def turn(points: Points, pivot: XY, degrees: float) -> Points:
    """The points turned clockwise (y points down) about the pivot."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.asarray((points - np.array(pivot)) @ np.array([[c, s], [-s, c]]) + np.array(pivot))


class Limb:
    """A body part round a smooth middle line through (x, y, radius) knots.

    `path` (n, 2) and `radius` (n,) sample the middle line; `left` and `right` (n, 2) are its two sides.
    """

    def __init__(self, *knots: tuple[float, float, float], per: int = 10) -> None:
        k = np.array(knots, dtype=np.float64)
        padded = np.concatenate([2 * k[:1] - k[1:2], k, 2 * k[-1:] - k[-2:-1]])
        rows = [padded[i : len(padded) - 3 + i] for i in range(4)]
        line = np.concatenate([_catmull(rows, per).reshape(-1, 3), k[-1:]])
        self.path = line[:, :2]
        self.radius = np.maximum(line[:, 2], 1e-3)
        direction = np.gradient(self.path, axis=0)
        direction /= np.maximum(np.sqrt((direction**2).sum(axis=1, keepdims=True)), 1e-9)
        normal = np.stack([direction[:, 1], -direction[:, 0]], axis=1)
        self.left = self.path + normal * self.radius[:, None]
        self.right = self.path - normal * self.radius[:, None]

    def outline(self) -> Points:
        """The closed outline, with round ends."""
        return np.concatenate([self.left, self._cap(-1), self.right[::-1], self._cap(0)])

    def at(self, t: float) -> XY:
        """The point of the middle line at the fraction t in [0, 1] of its length."""
        x, y = self.path[round(t * (len(self.path) - 1))]
        return float(x), float(y)

    def rings(self, start: float, stop: float, count: int, duty: float, dice: Dice) -> list[Points]:
        """Bands across the limb.

        Args:
            start, stop: the fractions of the limb's length between which the bands lie, in [0, 1].
            count: the number of bands.
            duty: the share of each band's interval that it fills, in [0, 1].
            dice: the source of all draws.
        """
        grid = np.arange(len(self.path), dtype=np.float64)
        wide_left = self.path + 1.4 * (self.left - self.path)
        wide_right = self.path + 1.4 * (self.right - self.path)
        bands = []
        step = (stop - start) / count
        for k in range(count):
            begin = start + (k + dice.uniform(0.0, 0.35)) * step
            lean = dice.uniform(-0.25, 0.25) * step
            end = begin + duty * step * dice.uniform(0.85, 1.15)
            t = np.array([begin, end]) * (len(grid) - 1)
            middle = t + lean * (len(grid) - 1)
            corners = [
                _sample(grid, wide_left, t),
                _sample(grid, self.path, middle),
                _sample(grid, wide_right, t),
            ]
            near = [c[0] for c in corners]
            far = [c[1] for c in corners]
            bands.append(np.array(near + far[::-1]))
        return bands

    def _cap(self, end: int) -> Points:
        sign = 1.0 if end == -1 else -1.0
        side = (self.left[end] - self.path[end]) * sign
        forward = np.array([-side[1], side[0]])
        angle = np.linspace(0.0, np.pi, 9)[1:-1, None]
        return np.asarray(self.path[end] + np.cos(angle) * side + np.sin(angle) * forward)


@lru_cache
def _circle(count: int) -> Points:
    angle = np.arange(count) * (2.0 * np.pi / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _sample(grid: Float[np.ndarray, " n"], points: Points, t: Float[np.ndarray, " m"]) -> Points:
    return np.stack([np.interp(t, grid, points[:, 0]), np.interp(t, grid, points[:, 1])], axis=1)


def _catmull(rows: Sequence[Float[np.ndarray, "n d"]], per: int) -> Float[np.ndarray, "n per d"]:
    a, b, c, d = (row[:, None, :] for row in rows)
    t = (np.arange(per) / per)[None, :, None]
    return np.asarray(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
