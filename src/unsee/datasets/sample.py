"""One image and its ground truth, from any data set."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

Box = tuple[int | float, int | float, int | float, int | float]


@dataclass(frozen=True)
class Keypoint:
    """A visible part of an instance.

    `x` and `y` are pixel coordinates (the centre of pixel (0, 0) is (0, 0)); `kind` is "eye", "foot", or
    the data set's name of another part.
    """

    x: float
    y: float
    kind: str


@dataclass(frozen=True, eq=False)
class Instance:
    """One object in an image.

    `label` is the index of its class in the data set, None for things that are no classes (a spoon); `box` is
    half-open, (x0, y0, x1, y1) in pixels; `segment` is a boolean (H, W) mask of the object's visible pixels,
    None if the data set has none; `keypoints` are the visible ones. `planted` marks a thing that was added as
    a shortcut, `crowd` a group that is outlined as one, `difficult` what the data set calls difficult;
    `group` is the class's supercategory (as in COCO), or "".
    """

    name: str
    label: int | None
    box: Box
    segment: Bool[np.ndarray, "h w"] | None = None
    keypoints: tuple[Keypoint, ...] = ()
    planted: bool = False
    crowd: bool = False
    difficult: bool = False
    group: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """An image (H, W, C), uint8 or float32 in [0,1], with its class and its objects.

    `label` is the class of the image, or None; `instances` are the objects that have a class, the image's own
    class first; `things` are the other objects. `path` is the image's file and `file_sha256` the hash of its
    bytes; both are None for an image that was never a file.
    """

    id: str
    image: UInt8[np.ndarray, "h w c"] | Float32[np.ndarray, "h w c"]
    label: int | None
    instances: tuple[Instance, ...] = ()
    things: tuple[Instance, ...] = ()
    path: Path | None = None
    file_sha256: str | None = None

    @property
    def sha256(self) -> str:
        """The hash of the file, or of a line such as "uint8 h w c\\n" and the pixels if there is no file."""
        if self.file_sha256 is not None:
            return self.file_sha256
        shape = " ".join(map(str, self.image.shape))
        digest = hashlib.sha256(f"{self.image.dtype} {shape}\n".encode())
        digest.update(np.ascontiguousarray(self.image).data)
        return digest.hexdigest()

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes in the image, each once, in the order of the instances."""
        return tuple(dict.fromkeys(i.label for i in self.instances if i.label is not None))

    @property
    def planted(self) -> tuple[Instance, ...]:
        """The things that were added as a shortcut."""
        return tuple(thing for thing in self.things if thing.planted)

    def boxes(self, label: int) -> tuple[Box, ...]:
        """The boxes of all instances of a class."""
        return tuple(instance.box for instance in self.instances if instance.label == label)

    def keypoints(self, label: int) -> tuple[Keypoint, ...]:
        """The visible keypoints of all instances of a class."""
        return tuple(p for instance in self.instances if instance.label == label for p in instance.keypoints)

    def segments(self, label: int) -> tuple[Bool[np.ndarray, "h w"], ...]:
        """The segments of all instances of a class that have one."""
        return tuple(i.segment for i in self.instances if i.label == label and i.segment is not None)

    def segment(self, label: int) -> Bool[np.ndarray, "h w"]:
        """The union of the segments of a class, boolean (H, W); all False if it has none."""
        mask = np.zeros(self.image.shape[:2], dtype=np.bool_)
        for segment in self.segments(label):
            mask |= segment
        return mask


def tight_box(mask: Bool[np.ndarray, "h w"]) -> Box | None:
    """The smallest half-open box (x0, y0, x1, y1) around the True pixels; None if there are none."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
