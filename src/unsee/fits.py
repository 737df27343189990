"""Resizing, and the two ways to fit a photo to a network's input and to map results back to the photo."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError

_EDGE = 1e-6  # in photo pixels; a window edge this close to a pixel border counts as on it


def _interpolate(values: Float[Tensor, "*batch h w"], size: tuple[int, int]) -> Float[Tensor, "*batch H W"]:
    # On the CPU, torch 2.15 returns wrong rows if the result is one pixel wide; one pixel high is correct.
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


def resize(pixels: Float[Tensor, "*batch c h w"], size: tuple[int, int]) -> Float[Tensor, "*batch c H W"]:
    """Resize images by antialiased bilinear interpolation; the result is clamped to [0, 1].

    Args:
        pixels: images in [0, 1].
        size: (H, W) in pixels, both at least 1.
    """
    return _interpolate(pixels, size).clamp(0.0, 1.0)


@runtime_checkable
class Fit(Protocol):
    """Fits a photo of any size to the network's input, and maps results back to the photo.

    All sizes are (height, width) in pixels.
    """

    @property
    def name(self) -> str:
        """The key of this kind of fit in `FITS`."""

    def apply(self, pixels: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
        """Fit a photo in [0, 1] to `size`; the result is in [0, 1]."""

    def back(
        self, map: Float[Tensor, "*c H W"], photo_size: tuple[int, int], fill: float
    ) -> Float[Tensor, "*c h w"]:
        """Map values at the network's input back to the photo.

        Args:
            map: (H, W) or (C, H, W), in any range.
            photo_size: (h, w).
            fill: the value of photo pixels that are outside the network's input.
        """

    def window(self, photo_size: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """The part of the photo that the network sees at `size`: (x0, y0, x1, y1) in photo pixels.

        It is half-open and not rounded: 0 <= x0 < x1 <= w and 0 <= y0 < y1 <= h.
        """


@final
@dataclass(frozen=True)
class Squash:
    """Resizes the whole photo to the network's input, without keeping its aspect ratio."""

    @property
    def name(self) -> str:
        """The key of this fit in `FITS`: "squash"."""
        return "squash"

    def apply(self, pixels: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
        """Resize a (3, h, w) photo in [0, 1] to `size` (H, W); the result is in [0, 1]."""
        return resize(pixels, size)

    def back(
        self,
        map: Float[Tensor, "*c H W"],
        photo_size: tuple[int, int],
        fill: float,  # noqa: ARG002
    ) -> Float[Tensor, "*c h w"]:
        """Resize a (H, W) or (C, H, W) map of any range to `photo_size` (h, w); `fill` is not used."""
        return _interpolate(map, photo_size)

    def window(
        self,
        photo_size: tuple[int, int],
        size: tuple[int, int],  # noqa: ARG002
    ) -> tuple[float, float, float, float]:
        """The whole photo: (0, 0, w, h) in photo pixels."""
        return 0.0, 0.0, float(photo_size[1]), float(photo_size[0])


class _Axis(NamedTuple):
    """One axis of a centre crop.

    `photo` pixels are resized to `resized`. Of these, `length` from `first` on go to the network's input,
    after `pad` pixels of padding.
    """

    photo: int
    resized: int
    first: int
    length: int
    pad: int

    @classmethod
    def cropped(cls, photo: int, resized: int, crop: int) -> "_Axis":
        """The crop of torchvision's `center_crop`; halves are rounded to even."""
        if crop > resized:
            return cls(photo, resized, 0, resized, (crop - resized) // 2)
        return cls(photo, resized, round((resized - crop) / 2), crop, 0)

    def seen(self) -> tuple[float, float]:
        """The ends of the visible part, in photo pixels."""
        scale = self.photo / self.resized
        return self.first * scale, min((self.first + self.length) * scale, float(self.photo))

    def magnify(self, values: Float[Tensor, "*rows n"]) -> Float[Tensor, "*rows m"]:
        """Enlarge the last axis from `photo` to `resized` bilinearly, computing only the visible part."""
        places = torch.arange(self.first, self.first + self.length, dtype=torch.float64, device=values.device)
        places = ((places + 0.5) * (self.photo / self.resized) - 0.5).clamp(0, self.photo - 1)
        below = places.long()
        above = (below + 1).clamp(max=self.photo - 1)
        return torch.lerp(values[..., below], values[..., above], (places - below).to(values.dtype))

    def weights(self, like: Tensor) -> tuple[slice, Float[Tensor, "m length"]]:
        """The photo pixels that are at least partly visible, and their weights over resized pixels."""
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
    """Crops the middle of the photo, as torchvision's `ImageClassification` preset does.

    The photo's shorter side is resized to `resize` pixels, and the middle (H, W) is cropped; a smaller photo
    is padded with black.

    Args:
        resize: defaults to `round(max(H, W) * 256 / 224)` for an input of (H, W). With the default, inputs of
            all sizes show nearly the same part of the photo; with a fixed number, a larger input shows more.

    Raises:
        UnseeError: `resize` is below 1.
    """

    resize: int | None = None

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < 1:
            raise UnseeError(f"the shorter side cannot be resized to {self.resize}: give at least 1 pixel")

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

    def apply(self, pixels: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
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
        """Map (H, W) or (C, H, W) values in any range to the visible part of the photo; `fill` elsewhere.

        A photo pixel that is only partly visible takes the map's value.
        """
        rows, columns = self._axes(photo_size, (map.shape[-2], map.shape[-1]))
        (down, row_weights), (across, column_weights) = rows.weights(map), columns.weights(map)
        inner = map.narrow(-2, rows.pad, rows.length).narrow(-1, columns.pad, columns.length)
        whole = map.new_full((*map.shape[:-2], *photo_size), fill)
        whole[..., down, across] = row_weights @ inner @ column_weights.T
        return whole

    def window(self, photo_size: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """The part of the photo that is cropped at `size`: (x0, y0, x1, y1) in photo pixels."""
        rows, columns = self._axes(photo_size, size)
        (x0, x1), (y0, y1) = columns.seen(), rows.seen()
        return x0, y0, x1, y1


FITS: Mapping[str, Fit] = {"squash": Squash(), "crop": CentreCrop()}
