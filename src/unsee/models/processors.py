"""What an image processor of Hugging Face does to an image, found by giving it plain ones."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from unsee.errors import UnseeError
from unsee.fits import CentreCrop, Fit, Squash
from unsee.input_values import Channels

_SIDE, _DIGITS, _EXACT = 320, 6, 1e-3
_BLACK, _WHITE, _GREY, _RED = (0, 0, 0), (255, 255, 255), (51, 51, 51), (255, 0, 0)


@dataclass(frozen=True)
class ProcessorFacts:
    """Size of its output, mean and std that images in [0,1] are normalised by, and the fit if it is known."""

    size: tuple[int, int]
    mean: Channels
    std: Channels
    fit: Fit | None


def facts_of(processor: Any, name: str) -> ProcessorFacts:  # noqa: ANN401
    """What an image processor does: its rescaling, offsets and normalisation together, and its resizing.

    Args:
        processor: of Hugging Face.
        name: of the network, for the error.

    Raises:
        UnseeError: it does something else than resize, crop and normalise each channel.
    """
    black, white, grey, red = (_answer(processor, colour, name) for colour in (_BLACK, _WHITE, _GREY, _RED))
    low, high = black.mean(dim=(1, 2)), white.mean(dim=(1, 2))
    span = high - low
    if bool((span.abs() < _EXACT).any()):
        raise UnseeError(f"the image processor of {name} gives the same for black and white: {_HOW}")
    expected = {"black": (black, low), "white": (white, high), "grey": (grey, low + 0.2 * span)}
    if len(low) == len(_RED):
        expected["red"] = (red, torch.where(torch.tensor([True, False, False]), high, low))
    for colour, (found, wanted) in expected.items():
        if bool(((found - wanted[:, None, None]).abs() > _EXACT * span.abs()[:, None, None]).any()):
            raise UnseeError(
                f"the image processor of {name} does more to {colour} than to normalise it: {_HOW}"
            )
    return ProcessorFacts(
        (black.shape[1], black.shape[2]),
        tuple(round(float(value), _DIGITS) for value in -low / span),
        tuple(float(f"{float(value):.{_DIGITS}g}") for value in 1 / span),
        _fit(processor, (black.shape[1], black.shape[2])),
    )


_HOW = "wrap network and processor in a module of your own, as in python:module:function"


def _answer(processor: Any, colour: tuple[int, int, int], name: str) -> Float[Tensor, "c h w"]:  # noqa: ANN401
    image = Image.new("RGB", (_SIDE, _SIDE), colour)
    try:
        pixels = processor(images=[image], return_tensors="pt")["pixel_values"]
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnseeError(
            f"the image processor of {name} failed on a plain image ({reason}): {_HOW}"
        ) from error
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or len(pixels) != 1:
        raise UnseeError(f"the image processor of {name} does not give one image for an image: {_HOW}")
    return pixels[0].double()


def _fit(processor: Any, size: tuple[int, int]) -> Fit | None:  # noqa: ANN401
    """How it brings photos to the network's size; None if that is none of unsee's ways."""
    asked = dict(getattr(processor, "size", None) or {})
    shortest, share = asked.get("shortest_edge"), getattr(processor, "crop_pct", None)
    if share:
        return CentreCrop(int(size[0] / share)) if share < 1 and size[0] < 384 else Squash()
    if getattr(processor, "do_center_crop", None):
        return CentreCrop(int(shortest)) if shortest else None
    return Squash() if (asked.get("height"), asked.get("width")) == size else None
