"""Arrays, tensors and .npy files as pixels in [0,1]: which axis holds the channels, and what values mean."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, uint8

from unsee.errors import UnseeError
from unsee.pixels import (
    AXES,
    GREY,
    RGB,
    RGBA,
    UNIT,
    Unpacked,
    depth,
    floats_in_unit,
    other_channels,
    planes,
    refuse_eight_bits,
)

NPY_MAGIC = b"\x93NUMPY"
_INTEGERS = (np.uint8, np.uint16)


@dataclass(frozen=True)
class _Numbers:
    """What is read: the source's name in errors, the network's channels and its value range."""

    shown: str
    channels: int
    value_range: tuple[float, float]

    @property
    def counts(self) -> tuple[int, ...]:
        """The channels that become those of the network: its own, and grey and RGB either way."""
        return (GREY, RGB) if self.channels in (GREY, RGB) else (self.channels,)


def from_array(
    array: NDArray[Any], shown: str, channels: int = RGB, value_range: tuple[float, float] = UNIT
) -> Unpacked:
    """Turn (h, w) or (h, w, c) into float32 (channels, h, w) in [0, 1], with notes.

    Args:
        array: of uint8, uint16 or floats; integers with 4 channels are RGBA for grey and RGB.
        shown: the source's name in errors.
        channels: what the network takes.
        value_range: the network's, which floats may be in.

    Raises:
        UnseeError: another shape, type or range.
    """
    found = _Numbers(shown, channels, value_range)
    last = array.shape[2] if array.ndim == AXES else 0
    if array.ndim == AXES and channels != RGB and last not in _counts_of(array, found):
        raise other_channels(channels, f"{shown} is {array.shape} and has {last}")
    if array.ndim != AXES - 1 and last not in _counts_of(array, found):
        raise _refusal(array, found, f"(h, w) or (h, w, {channels})", "(h, w, 4)")
    return _unit(array[:, :, None] if array.ndim == AXES - 1 else array, found)


def from_tensor(
    tensor: Tensor, shown: str, channels: int = RGB, value_range: tuple[float, float] = UNIT
) -> Unpacked:
    """Turn (c, h, w) of uint8 or floats into float32 (channels, h, w) in [0, 1], with notes.

    Raises:
        UnseeError: another shape, type or range.
    """
    found = _Numbers(shown, channels, value_range)
    first = tensor.shape[0] if tensor.ndim == AXES else 0
    typed = tensor.is_floating_point() or tensor.dtype == uint8
    if typed and tensor.ndim == AXES and channels != RGB and first not in found.counts:
        raise other_channels(channels, f"{shown} is {tuple(tensor.shape)} and has {first}")
    if not typed or first not in found.counts:
        whole = not (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() > 0
        if whole and not typed:
            refuse_eight_bits(tensor.detach().cpu().numpy(), shown, "give .to(torch.uint8)")
        wanted = dict.fromkeys((f"({channels}, h, w)", *(f"({count}, h, w)" for count in found.counts[::-1])))
        held = f"{tuple(tensor.shape)} of {tensor.dtype}"
        raise UnseeError(f"{shown} is {held}: give {' or '.join(wanted)} of uint8 or floats in 0..1")
    plain = tensor.detach().cpu()
    plain = plain.float() if plain.is_floating_point() else plain
    return _unit(plain.permute(1, 2, 0).numpy(), found)


def from_npy(
    data: bytes, shown: str, channels: int = RGB, value_range: tuple[float, float] = UNIT
) -> Unpacked:
    """Decode a .npy file: (h, w), (c, h, w) or (h, w, c), by which axis has the network's channels.

    Raises:
        UnseeError: it is damaged, either axis could hold the channels, or another shape, type or range.
    """
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnseeError(
            f"{shown} is a damaged .npy file, or holds objects ({reason}): save it again"
        ) from error
    found = _Numbers(shown, channels, value_range)
    if array.ndim == AXES - 1:
        if GREY not in found.counts:
            raise other_channels(channels, f"{shown} is {array.shape} and has 1")
        return _unit(array[:, :, None], found)
    if array.ndim != AXES:
        raise _refusal(array, found, f"(h, w), ({channels}, h, w) or (h, w, {channels})", "(h, w, 4)")
    for count in dict.fromkeys((channels, *_counts_of(array, found))):
        ends = [axis for axis in (0, 2) if array.shape[axis] == count]
        if len(ends) > 1:
            raise UnseeError(
                f"{shown} is {array.shape}: either end could be the {count} channels; "
                f"give unsee.explain an array (h, w, {count})"
            )
        if ends:
            return _unit(np.moveaxis(array, ends[0], -1), found)
    has = min(array.shape[0], array.shape[2])
    raise other_channels(channels, f"{shown} is {array.shape} and has {has}")


def _counts_of(array: NDArray[Any], found: _Numbers) -> tuple[int, ...]:
    """The channels that an array may have; four of them are RGBA only in integers."""
    alpha = found.channels in (GREY, RGB) and not np.issubdtype(array.dtype, np.floating)
    return (*found.counts, RGBA) if alpha else found.counts


def _unit(array: NDArray[Any], found: _Numbers) -> Unpacked:
    """(h, w, c) as pixels in [0,1]."""
    shown = found.shown
    floating = np.issubdtype(array.dtype, np.floating)
    if not floating and array.dtype.newbyteorder("=") not in _INTEGERS:
        raise _refusal(array, found, f"(h, w) or (h, w, {found.channels})", "(h, w, 4)")
    if array.size == 0:
        raise UnseeError(f"{shown} is {array.shape} of {array.dtype} and has no pixels: give at least one")
    if floating:
        values, notes = floats_in_unit(array, found.value_range, shown)
        pixels, more = planes(values, 1, found.channels, shown)
        return pixels, (*more, *notes)
    full = int(np.iinfo(array.dtype).max)
    pixels, more = planes(array, full, found.channels, shown)
    return pixels, (*more, *depth(array, full))


def _refusal(array: NDArray[Any], found: _Numbers, shapes: str, alpha: str) -> UnseeError:
    """The error for another shape or type, which says what there should be."""
    if np.issubdtype(array.dtype, np.integer) and array.dtype.itemsize > 2 and array.size:
        refuse_eight_bits(array, found.shown, "give .astype('uint8')")
    wanted = f"{shapes} of uint8, uint16 or floats in 0..1"
    if found.channels in (GREY, RGB):
        wanted += f", or {alpha} of uint8 or uint16"
    return UnseeError(f"{found.shown} is {array.shape} of {array.dtype}: give {wanted}")
