"""Numbers as pixels in [0,1] with a network's channels: what integers, floats, grey and colour mean."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from unsee.errors import UnseeError
from unsee.words import below, counted

UNIT = (0.0, 1.0)
RGB, GREY = 3, 1
RGBA = 4
AXES = 3  # of an image with channels
EIGHT_BIT, SIXTEEN_BIT = 255, 65535
ALPHA_OVER_WHITE = "alpha over white"
DOUBTS = ("brightest value is", "taken as values in [0,1]", "animated", "first of")
"""How notes begin that say what a reader could not be sure of."""

_SLACK = 1e-6  # floats may exceed their range by this share of it through rounding
_DARK = 1 / 8  # 12 bits in 16 are at most 1/16 of white
_WHOLE = 1e-3  # of a level of 8 bits

Bands = tuple[int, int, int]
"""The channels that are drawn as red, green and blue, from 0."""
Unpacked = tuple[Float[Tensor, "c h w"], tuple[str, ...]]


def planes(values: NDArray[Any], full: int, channels: int = RGB, shown: str = "the image") -> Unpacked:
    """Turn (h, w, c) of 0 to `full` into float32 (channels, h, w) in [0, 1], with notes.

    Raises:
        UnseeError: the image cannot have as many channels.
    """
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0), dtype=np.float32) / np.float32(full)
    return with_channels(torch.from_numpy(planes).clamp(0.0, 1.0), channels, shown)


def with_channels(pixels: Float[Tensor, "n h w"], channels: int, shown: str) -> Unpacked:
    """The image with as many channels as a network takes, and what was done.

    For RGB, grey is repeated; for grey, RGB becomes the luma of ITU-R 601, rounded as Pillow's "L" if the
    image has 8 bits. Alpha is blended with white for both. All else keeps its channels.

    Raises:
        UnseeError: the image has another number of channels.
    """
    has = len(pixels)
    if has == channels and has != RGB:
        return pixels, ()
    if channels not in (GREY, RGB) or has not in (GREY, RGB, RGBA):
        raise other_channels(channels, f"{shown} has {has}")
    if has == GREY:
        return pixels.repeat(RGB, 1, 1), ("greyscale",)
    colour, notes = _without_alpha(pixels)
    if channels == RGB:
        return colour, notes
    if torch.equal(colour[0], colour[1]) and torch.equal(colour[0], colour[2]):
        return colour[:1].clone(), notes
    return _luma(colour), (*notes, "colour converted to grey")


def other_channels(channels: int, held: str) -> UnseeError:
    """The error for a picture that has another number of channels than the network takes."""
    wanted = {
        GREY: "give a grey or an RGB picture",
        RGB: "give an RGB or a grey picture",
        RGBA: "give RGBA, an array with 4 channels, or a TIFF with 4 pages",
    }
    many = f"give an array or a .npy file with {channels} channels, or a TIFF with {channels} pages"
    return UnseeError(
        f"the network takes {counted(channels, 'channel')}; {held}: {wanted.get(channels, many)}"
    )


def floats_in_unit(
    values: NDArray[Any],
    value_range: tuple[float, float],
    shown: str,
    advice: str = ": scale it to 0..1, or give uint8",
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Floats in [0,1], and a note if their range had to be assumed.

    Values beyond [0,1] are in the network's value range, if they all lie in it.

    Raises:
        UnseeError: they are in neither range, or not finite.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnseeError(f"{shown} holds NaN or infinite values: replace them first")
    black, white = value_range
    other = value_range != UNIT
    if low >= -_SLACK and high <= 1 + _SLACK:
        assumed = f"{DOUBTS[1]}, not as {black:g} to {white:g}"
        return values, (assumed,) if other else ()
    slack = _SLACK * (white - black)
    if other and low >= black - slack and high <= white + slack:
        return (values.astype(np.float64) - black) / (white - black), ()
    also = f", or to the network's {black:g}..{white:g}" if other else ""
    raise UnseeError(f"{shown} holds {low:g} to {high:g}{advice}{also}")


def depth(values: NDArray[Any], full: int) -> tuple[str, ...]:
    """Notes on values of more than 8 bits: that they are, and if they are so dark that white may be lower."""
    if full == EIGHT_BIT:
        return ()
    share = 100 * float(values.max()) / full
    if full != SIXTEEN_BIT or share >= 100 * _DARK:
        return ("16-bit",)
    return (
        "16-bit",
        f"{DOUBTS[0]} {share:.0f} % of white" if share >= 1 else f"{DOUBTS[0]} {share:.1g} % of white",
    )


def refuse_eight_bits(values: NDArray[Any], shown: str, advice: str) -> None:
    """Refuse integers of 32 bits or more that hold values of 8 bits: white could be either.

    Raises:
        UnseeError: they do.
    """
    low, high = int(values.min()), int(values.max())
    if low >= 0 and 0 < high <= EIGHT_BIT:
        raise UnseeError(f"{shown} holds {low} to {high} as {values.dtype}: {advice}")


def checked_bands(bands: Sequence[int] | None, channels: int) -> Bands | None:
    """The three channels that are drawn as red, green and blue.

    Raises:
        UnseeError: they are not three of the channels.
    """
    if bands is None:
        return None
    found = tuple(bands)
    whole = all(isinstance(band, int) and not isinstance(band, bool) for band in found)
    if len(found) != RGB or not whole or not all(0 <= band < channels for band in found):
        raise UnseeError(
            f"bands are three channels, each of {below(channels)}, for red, green and blue, such as "
            f"{channels - 1},0,0, got {','.join(map(str, found))}"
        )
    return found[0], found[1], found[2]


def doubts(notes: Sequence[str]) -> list[str]:
    """The notes that say what a reader could not be sure of."""
    return [note for note in notes if note.startswith(DOUBTS)]


def _without_alpha(pixels: Float[Tensor, "n h w"]) -> Unpacked:
    if len(pixels) == RGB or pixels[3].min() == 1:
        return pixels[:3].clone(), ()
    return (pixels[:3] * pixels[3] + (1 - pixels[3])).clamp(0.0, 1.0), (ALPHA_OVER_WHITE,)


def _luma(colour: Float[Tensor, "3 h w"]) -> Float[Tensor, "1 h w"]:
    levels = colour * EIGHT_BIT
    whole = levels.round()
    if float((levels - whole).abs().max()) < _WHOLE:
        red, green, blue = whole.long()
        grey: Tensor = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
        return grey[None].float() / EIGHT_BIT
    weights = colour.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (weights * colour).sum(dim=0, keepdim=True).clamp(0.0, 1.0)
