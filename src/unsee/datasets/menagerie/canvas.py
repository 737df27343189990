"""Render sketches to pixels: antialiased by supersampling, lit, and blended over an image in integers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image, ImageDraw, ImageFilter

from unsee.datasets.menagerie.sketch import Part, Sketch
from unsee.datasets.sample import tight_box

SIZE = 224
FINE = 3
"""Sub-pixels along each side of a pixel."""

HALF = 128
FULL = 255

Picture = UInt8[np.ndarray, "h w 3"]
Plane = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class Pose:
    """Where a sketch goes: its middle (x, y) and its longer side in pixels, its turn, its mirror image.

    `light` is the direction the light comes from, whole pixels, e.g. (-1, -1) from the upper left.
    """

    x: float
    y: float
    extent: float
    degrees: float = 0.0
    mirrored: bool = False
    light: tuple[int, int] = (-1, -1)


@dataclass(frozen=True, eq=False)
class Sprite:
    """Pixels ready to be laid over an image at (left, top).

    `colour` (h, w, 3) is already multiplied by `cover` (h, w), the share of each pixel that is covered, of
    255; `spots` are the visible keypoints (x, y, kind) in pixels of the image.
    """

    left: int
    top: int
    colour: Picture
    cover: Plane
    spots: tuple[tuple[float, float, str], ...] = ()

    def onto(self, picture: Picture, opacity: int = 255) -> None:
        """Lay the sprite over the image, in place; `opacity` of 255."""
        height, width = self.cover.shape
        window = picture[self.top : self.top + height, self.left : self.left + width]
        below = window.astype(np.int32) * (255 * 255 - opacity * self.cover.astype(np.int32))[..., None]
        window[:] = (below + 255 * opacity * self.colour.astype(np.int32) + 255 * 127) // (255 * 255)

    def mask(self) -> Bool[np.ndarray, "h w"]:
        """The pixels of the whole image of which at least half is covered."""
        full = np.zeros((SIZE, SIZE), dtype=np.bool_)
        height, width = self.cover.shape
        full[self.top : self.top + height, self.left : self.left + width] = self.cover >= HALF
        return full


def paint(sketch: Sketch, pose: Pose) -> Sprite:
    """Draw the sketch at its pose; what lies outside the image is cut off."""
    placed = _place(sketch, pose)
    corners = np.concatenate(placed[: len(sketch.parts)])
    low = np.clip(corners.min(axis=0) // FINE - 1, 0, SIZE - 1)
    high = np.clip(corners.max(axis=0) // FINE + 2, low + 1, SIZE)
    (width, height), shift = (high - low).tolist(), low * FINE
    colour = Image.new("RGB", (width * FINE, height * FINE))
    index = Image.new("L", colour.size)
    cursor = len(sketch.parts)
    for number, part in enumerate(sketch.parts, start=1):
        _draw(
            colour,
            index,
            part,
            number,
            [p - shift for p in (placed[number - 1], *placed[cursor : cursor + len(part.marks)])],
        )
        cursor += len(part.marks)
    ids = np.asarray(index)
    cover = Image.fromarray(np.where(ids > 0, 255, 0).astype(np.uint8)).reduce(FINE)
    small = np.asarray(colour.reduce(FINE)).astype(np.int32)
    lit = _light(small, ids[FINE // 2 :: FINE, FINE // 2 :: FINE], sketch, pose)
    spots = _visible(sketch, placed[-1] - shift, ids)
    return Sprite(
        int(low[0]),
        int(low[1]),
        np.minimum(lit, np.asarray(cover)[..., None]).astype(np.uint8),
        np.asarray(cover),
        tuple((x + int(low[0]), y + int(low[1]), kind) for x, y, kind in spots),
    )


def _place(sketch: Sketch, pose: Pose) -> list[Int[np.ndarray, "_ 2"]]:
    """All outlines, then all marks, then the keypoints, in whole sub-pixels of the image."""
    x0, y0, x1, y1 = sketch.bounds()
    outlines = [part.points for part in sketch.parts]
    outlines += [points for part in sketch.parts for points, _ in part.marks]
    outlines.append(np.array([[s.x, s.y] for s in sketch.spots]).reshape(-1, 2))
    points = np.concatenate(outlines) - np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    if pose.mirrored:
        points[:, 0] *= -1
    scale = pose.extent / max(x1 - x0, y1 - y0)
    c, s = np.cos(np.deg2rad(pose.degrees)) * scale, np.sin(np.deg2rad(pose.degrees)) * scale
    points = points @ np.array([[c, s], [-s, c]]) + np.array([pose.x, pose.y])
    whole = np.rint(points * FINE).astype(np.int64)
    return np.split(whole, np.cumsum([len(o) for o in outlines])[:-1])


def _draw(
    colour: Image.Image, index: Image.Image, part: Part, number: int, outlines: list[Int[np.ndarray, "_ 2"]]
) -> None:
    """Draw one part: fill, marks through the fill as a stencil, contour; and its number into `index`."""
    outline, *marks = outlines
    flat = outline.ravel().tolist()
    pen = ImageDraw.Draw(colour)
    ImageDraw.Draw(index).polygon(flat, fill=number)
    if marks:
        low = np.clip(outline.min(axis=0), 0, colour.size)
        high = np.clip(outline.max(axis=0) + 1, low, colour.size)
        width, height = (high - low).tolist()
        if width and height:
            patch = Image.new("RGB", (width, height), part.fill)
            stencil = Image.new("1", (width, height))
            ImageDraw.Draw(stencil).polygon((outline - low).ravel().tolist(), fill=1)
            brush = ImageDraw.Draw(patch)
            for points, (_, shade) in zip(marks, part.marks, strict=True):
                brush.polygon((points - low).ravel().tolist(), fill=shade)
            colour.paste(patch, (int(low[0]), int(low[1])), stencil)
    else:
        pen.polygon(flat, fill=part.fill)
    if part.edge is not None:
        pen.line(flat + flat[:4], fill=part.edge, width=2)
        ImageDraw.Draw(index).line(flat + flat[:4], fill=number, width=2)


def _light(
    small: Int[np.ndarray, "h w 3"], ids: Plane, sketch: Sketch, pose: Pose
) -> Int[np.ndarray, "h w 3"]:
    """Brighten the side of each solid part that faces the light and darken the other one."""
    gain = np.full(ids.shape, 256, dtype=np.int32)
    for number, part in enumerate(sketch.parts, start=1):
        inside = ids == number
        box = tight_box(inside) if part.solid else None
        if box is None:
            continue
        window = slice(box[1], box[3]), slice(box[0], box[2])
        shape = inside[window]
        radius = max(1, int(np.sqrt(shape.sum()) * 0.16))
        blur = ImageFilter.BoxBlur(radius)
        plane = Image.fromarray(np.pad(np.where(shape, 255, 0).astype(np.uint8), 2 * radius))
        soft = np.pad(np.asarray(plane.filter(blur).filter(blur)).astype(np.int32), radius)
        slope = _shifted(soft, pose.light, -radius) - _shifted(soft, pose.light, radius)
        gain[window][shape] = 258 + np.clip(slope[shape] * 2 // 5, -100, 60)
    return np.asarray(np.clip(small * gain[..., None] >> 8, 0, FULL))


def _shifted(soft: Int[np.ndarray, "h w"], light: tuple[int, int], by: int) -> Int[np.ndarray, "r s"]:
    """What lies `by` pixels towards the light, without the margin of three times |by|."""
    margin, dx, dy = 3 * abs(by), light[0] * by, light[1] * by
    height, width = soft.shape
    return soft[margin + dy : height - margin + dy, margin + dx : width - margin + dx]


def _visible(sketch: Sketch, placed: Int[np.ndarray, "_ 2"], ids: Plane) -> list[tuple[float, float, str]]:
    """The keypoints, in pixels, whose own parts lie on top where they are."""
    seen = []
    height, width = ids.shape
    for spot, (x, y) in zip(sketch.spots, placed.tolist(), strict=True):
        if 0 <= x < width and 0 <= y < height and spot.first < ids[y, x] <= spot.last + 1:
            seen.append(((x - 1) / FINE, (y - 1) / FINE, spot.kind))
    return seen
