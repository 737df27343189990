"""How the numbers that a layer returns lie on channels and places."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Size, Tensor, cat

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.layer_names import layers_of
from unsee.layers import TokenGrid, has_channels_last, layer_outputs

MAPS, MAPS_LAST, TOKENS, VECTOR = "maps", "maps, channels last", "tokens", "vector"


@final
@dataclass(frozen=True)
class ActivationForm:
    """What a layer returns for one image.

    Args:
        kind: `MAPS` (C,H,W), `MAPS_LAST` (H,W,C), `TOKENS` (N,C) with N = prefix + H·W, or `VECTOR` (C,).
        channels: C.
        rows: H, 1 for a vector.
        columns: W, 1 for a vector.
        prefix: class and register tokens before those of the grid.
    """

    kind: str
    channels: int
    rows: int
    columns: int
    prefix: int = 0

    @property
    def places(self) -> int:
        """How many places each channel has."""
        return self.rows * self.columns

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the activation of one image."""
        if self.kind == TOKENS:
            return self.prefix + self.places, self.channels
        if self.kind == VECTOR:
            return (self.channels,)
        if self.kind == MAPS_LAST:
            return self.rows, self.columns, self.channels
        return self.channels, self.rows, self.columns

    def maps(self, activation: Float[Tensor, "b ..."]) -> Float[Tensor, "b c h w"]:
        """The activation as maps, channels first; without class and register tokens."""
        if self.kind == TOKENS:
            return TokenGrid(self.prefix, self.rows, self.columns).maps(activation)
        if self.kind == VECTOR:
            return activation[..., None, None]
        return activation.permute(0, 3, 1, 2) if self.kind == MAPS_LAST else activation

    def laid(self, maps: Float[Tensor, "b c h w"], prefix: float) -> Float[Tensor, "b ..."]:
        """Values for maps as the activation lies; the channels, or rows and columns, may be 1 to broadcast.

        Args:
            maps: (B,C,H,W), (B,1,H,W), (B,C,1,1) or (B,1,1,1).
            prefix: the value for class and register tokens.
        """
        if self.kind == TOKENS:
            spread = maps.expand(-1, -1, self.rows, self.columns).flatten(2).transpose(1, 2)
            first = spread.new_full((1, 1, 1), prefix).expand(len(spread), self.prefix, spread.shape[2])
            return cat([first, spread], dim=1)
        if self.kind == VECTOR:
            return maps[..., 0, 0]
        return maps.permute(0, 2, 3, 1) if self.kind == MAPS_LAST else maps


def form_of(classifier: Classifier, layer: str) -> ActivationForm:
    """How the activation of a layer lies.

    Args:
        classifier: borrowed, and given back as it was.
        layer: a dotted name.

    Raises:
        UnseeError: the layer does not run exactly once for an image, or does not return one tensor of maps,
            of tokens on a grid, or of one vector.
    """
    shape = next((one.shape for one in layers_of(classifier) if one.name == layer), None)
    if shape is None:
        raise UnseeError(
            f"{layer} of {classifier.name} does not run once for an image and return one tensor: choose a "
            "layer that `unsee layers` lists"
        )
    if len(shape) == 3 and min(shape) > 0:
        last = has_channels_last(Size((1, *shape)), classifier.size)
        rows, columns, channels = shape if last else (shape[1], shape[2], shape[0])
        return ActivationForm(MAPS_LAST if last else MAPS, channels, rows, columns)
    if len(shape) == 1:
        return ActivationForm(VECTOR, shape[0], 1, 1)
    grid = _tokens(classifier, layer, shape[0]) if len(shape) == 2 else None
    if grid is None:
        raise UnseeError(
            f"{layer} of {classifier.name} returns {shape} for an image: neither maps, nor tokens on a known "
            "grid, nor a vector; choose another layer"
        )
    return ActivationForm(TOKENS, shape[1], grid.rows, grid.columns, grid.prefix)


def _tokens(classifier: Classifier, layer: str, count: int) -> TokenGrid | None:
    found, _ = layer_outputs(classifier)
    patches = next((output.patches for output in found if layer in output.names), None)
    return TokenGrid.of(count, classifier.size, patches)
