"""Resizing, and the two ways a photo is brought to a network's input and a map is brought back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError

_EDGE = 1e-6  # photo pixels; a window edge this close to a pixel's border lies on it


def _interpolate(values: Float[Tensor, "*batch h w"], size: tuple[int, int]) -> Float[Tensor, "*batch H W"]:
    # On the CPU, torch 2.15 returns wrong rows where the result is one pixel wide; one pixel high is right.
    upright = size[1] > 1
    images = values.reshape(-1, 1, *values.shape[-2:])
    resized = F.interpolate(
        images if upright else images.transpose(-1, -2).contiguous(),
        size=size if upright else size[::-1],
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    return resized.reshape(*values.shape[:-2], *size)


def resize(pixels: Float[Tensor, "*batch 3 h w"], size: tuple[int, int]) -> Float[Tensor, "*batch 3 H W"]:
    """Resize pictures by antialiased bilinear interpolation.

    pixels: (..., 3, h, w) in [0, 1]; size: (H, W) in pixels, both at least 1. The result is (..., 3, H, W),
    clamped to [0, 1].
    """
    return _interpolate(pixels, size).clamp(0.0, 1.0)


@runtime_checkable
class Fit(Protocol):
    """How a photo of any size is brought to the square (or rectangle) a network takes, and back.

    Sizes are (height, width) in pixels throughout.
    """

    @property
    def name(self) -> str:
        """The key of this kind of fit in `FITS`."""

    def apply(self, pixels: Float[Tensor, "3 h w"], size: tuple[int, int]) -> Float[Tensor, "3 H W"]:
        """Bring a photo in [0, 1] to `size`; the result is in [0, 1]."""

    def back(
        self, map: Float[Tensor, "*c H W"], photo_size: tuple[int, int], fill: float
    ) -> Float[Tensor, "*c h w"]:
        """Bring a map drawn on the network's input back on to the photo.

        map: (H, W) or (C, H, W), any range; photo_size: (h, w). The result is (h, w) or (C, h, w), with
        `fill` in every pixel of which the network saw nothing.
        """

    def window(self, photo_size: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Give the part of the photo that the network sees at `size`: (x0, y0, x1, y1) in photo pixels.

        Half open and not rounded: 0 <= x0 < x1 <= w and 0 <= y0 < y1 <= h.
        """


@final
@dataclass(frozen=True)
class Squash:
    """The whole photo resized to the network's input, whatever that does to its aspect."""

    @property
    def name(self) -> str:
        """The key of this fit in `FITS`: "squash"."""
        return "squash"

    def apply(self, pixels: Float[Tensor, "3 h w"], size: tuple[int, int]) -> Float[Tensor, "3 H W"]:
        """Resize a (3, h, w) photo in [0, 1] to `size` (H, W); the result is (3, H, W) in [0, 1]."""
        return resize(pixels, size)

    def back(
        self,
        map: Float[Tensor, "*c H W"],
        photo_size: tuple[int, int],
        fill: float,  # noqa: ARG002
    ) -> Float[Tensor, "*c h w"]:
        """Resize a (H, W) or (C, H, W) map of any range to `photo_size` (h, w); `fill` is never needed."""
        return _interpolate(map, photo_size)

    def window(
        self,
        photo_size: tuple[int, int],
        size: tuple[int, int],  # noqa: ARG002
    ) -> tuple[float, float, float, float]:
        """Give the whole photo: (0, 0, w, h) in photo pixels."""
        return 0.0, 0.0, float(photo_size[1]), float(photo_size[0])


class _Axis(NamedTuple):
    """One axis of a centre crop: `photo` pixels are resized to `resized`, of which `length` from `first` on
    are seen, and these stand in the network's input behind `pad` pixels of padding.
    """

    photo: int
    resized: int
    first: int
    length: int
    pad: int

    @classmethod
    def cropped(cls, photo: int, resized: int, crop: int) -> "_Axis":
        """Place the crop as torchvision's `center_crop` does, halves rounded to even."""
        if crop > resized:
            return cls(photo, resized, 0, resized, (crop - resized) // 2)
        return cls(photo, resized, round((resized - crop) / 2), crop, 0)

    def seen(self) -> tuple[float, float]:
        """Give the ends of what is seen, in photo pixels."""
        scale = self.photo / self.resized
        return self.first * scale, min((self.first + self.length) * scale, float(self.photo))

    def magnify(self, values: Float[Tensor, "*rows n"]) -> Float[Tensor, "*rows m"]:
        """Enlarge the last axis from `photo` to `resized` bilinearly, working out only what is seen."""
        places = torch.arange(self.first, self.first + self.length, dtype=torch.float64, device=values.device)
        places = ((places + 0.5) * (self.photo / self.resized) - 0.5).clamp(0, self.photo - 1)
        below = places.long()
        above = (below + 1).clamp(max=self.photo - 1)
        return torch.lerp(values[..., below], values[..., above], (places - below).to(values.dtype))

    def weights(self, like: Tensor) -> tuple[slice, Float[Tensor, "m length"]]:
        """Give the photo's pixels of which a part was seen, and their weights over the resized ones seen."""
        start, stop = self.seen()
        begin, end = math.floor(start + _EDGE), math.ceil(stop - _EDGE)
        scale = self.resized / self.photo
        centres = (torch.arange(begin, end, dtype=torch.float64, device=like.device) + 0.5) * scale
        cells = torch.arange(self.length, dtype=torch.float64, device=like.device) + (self.first + 0.5)
        weights = (1 - (cells - centres[:, None]).abs() / max(scale, 1.0)).clamp(min=0)
        return slice(begin, end), (weights / weights.sum(dim=1, keepdim=True)).to(like.dtype)


@final
@dataclass(frozen=True)
class CentreCrop:
    """The middle of the photo, as torchvision's `ImageClassification` preset takes it.

    The photo's shorter side is resized to `resize` pixels, by default `round(max(H, W) * 256 / 224)` for an
    input of (H, W), and the middle (H, W) is cut out; what lies outside a smaller picture is black. With the
    default, nearly the same part of the photo is seen at every size; with a number of one's own, a larger
    input sees more of it.

    Raises UnseeError if `resize` is below 1.
    """

    resize: int | None = None

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < 1:
            raise UnseeError(f"the shorter side cannot be resized to {self.resize}: give 1 pixel or more")

    @property
    def name(self) -> str:
        """The key of this kind of fit in `FITS`: "crop"."""
        return "crop"

    def _axes(self, photo_size: tuple[int, int], size: tuple[int, int]) -> tuple[_Axis, _Axis]:
        shorter = min(photo_size)
        wanted = round(max(size) * 256 / 224) if self.resize is None else self.resize
        rows, columns = (
            _Axis.cropped(side, wanted if side == shorter else int(wanted * side / shorter), crop)
            for side, crop in zip(photo_size, size, strict=True)
        )
        return rows, columns

    def apply(self, pixels: Float[Tensor, "3 h w"], size: tuple[int, int]) -> Float[Tensor, "3 H W"]:
        """Resize and crop a (3, h, w) photo in [0, 1]; the result is (3, H, W) in [0, 1], padded with 0."""
        height, width = pixels.shape[1:]
        rows, columns = self._axes((height, width), size)
        if rows.resized > height or columns.resized > width:
            seen = rows.magnify(columns.magnify(pixels).transpose(1, 2)).transpose(1, 2).clamp(0.0, 1.0)
        else:
            resized = resize(pixels, (rows.resized, columns.resized))
            seen = resized.narrow(1, rows.first, rows.length).narrow(2, columns.first, columns.length)
        right, below = size[1] - columns.pad - columns.length, size[0] - rows.pad - rows.length
        return F.pad(seen, (columns.pad, right, rows.pad, below)).contiguous()

    def back(
        self, map: Float[Tensor, "*c H W"], photo_size: tuple[int, int], fill: float
    ) -> Float[Tensor, "*c h w"]:
        """Place a (H, W) or (C, H, W) map of any range where the network saw the photo, `fill` elsewhere.

        The result is (h, w) or (C, h, w); a photo pixel of which only a part was seen takes the map's value.
        """
        rows, columns = self._axes(photo_size, (map.shape[-2], map.shape[-1]))
        (down, row_weights), (across, column_weights) = rows.weights(map), columns.weights(map)
        inner = map.narrow(-2, rows.pad, rows.length).narrow(-1, columns.pad, columns.length)
        whole = map.new_full((*map.shape[:-2], *photo_size), fill)
        whole[..., down, across] = row_weights @ inner @ column_weights.T
        return whole

    def window(self, photo_size: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Give the part of the photo that is cut out at `size`: (x0, y0, x1, y1) in photo pixels."""
        rows, columns = self._axes(photo_size, size)
        (x0, x1), (y0, y1) = columns.seen(), rows.seen()
        return x0, y0, x1, y1


FITS: Mapping[str, Fit] = {"squash": Squash(), "crop": CentreCrop()}
