"""Listing and naming the layers of a network, and turning what they return into maps."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import hooked, opened
from unsee.methods import usable

_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_IDLE = (nn.Dropout, nn.Dropout2d, nn.Identity)
_COMPILED = "_orig_mod"
"""What `torch.compile` puts into the names of layers."""
_FIRST_NORMS = ("ln_1", "norm1", "layernorm_before", "layer_norm1")
"""The first normalisation of a block in torchvision, timm and Hugging Face."""
_MOST_PREFIX = 8
"""How many class and register tokens a transformer has at most."""


@final
@dataclass(frozen=True)
class TokenGrid:
    """How the tokens of a transformer lie on a grid, row by row, behind its class and register tokens.

    Args:
        prefix: how many class and register tokens come first.
        rows: of the grid.
        columns: of the grid.
    """

    prefix: int
    rows: int
    columns: int

    @classmethod
    def of(
        cls, count: int, size: tuple[int, int], patches: tuple[int, int] | None = None
    ) -> "TokenGrid | None":
        """The grid of `count` tokens; None where it is not certain.

        Args:
            count: of all tokens.
            size: height and width of the network's input. Where `patches` has more places than there are
                tokens, or is unknown, a square input gives the nearest square grid.
            patches: rows and columns of the map that the tokens were made from, if known.
        """
        if patches is not None and patches[0] * patches[1] <= count:
            return cls.on(count, patches)
        side = math.isqrt(count)
        return cls.on(count, (side, side)) if size[0] == size[1] else None

    @classmethod
    def on(cls, count: int, patches: tuple[int, int]) -> "TokenGrid | None":
        """The grid of `count` tokens made from a map of these rows and columns; None if they do not fit."""
        rows, columns = patches
        prefix = count - rows * columns
        return cls(prefix, rows, columns) if rows * columns > 1 and 0 <= prefix <= _MOST_PREFIX else None

    def maps(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b d r c"]:
        """Tokens as maps, without the class and register tokens."""
        placed = tokens[:, self.prefix :].transpose(1, 2)
        return placed.reshape(*placed.shape[:2], self.rows, self.columns)


@dataclass(eq=False)
class LayerOutput:
    """One tensor that modules returned.

    Args:
        shape: of the tensor, for a batch of one.
        source: shape of the last convolution's map before it, if there was one.
        names: the modules that returned it, the innermost first.
        pooled: whether a pooling layer returned it.
        convolved: whether a convolution returned it.
    """

    shape: torch.Size
    source: torch.Size | None = None
    names: list[str] = field(default_factory=list)
    pooled: bool = False
    convolved: bool = False

    @property
    def patches(self) -> tuple[int, int] | None:
        """Rows and columns of that map."""
        return None if self.source is None else (self.source[-2], self.source[-1])

    def named(self, depth: int) -> str | None:
        """The outermost name with at most `depth` dots."""
        fitting = [name for name in self.names if name.count(".") <= depth]
        return fitting[-1] if fitting else None


def layer_named(classifier: Classifier, name: str) -> nn.Module:
    """A module by its dotted name.

    Raises:
        UnseeError: there is no such module.
    """
    modules = named_layers(classifier.network)
    name = ".".join(part for part in name.split(".") if part != _COMPILED)
    if name not in modules or not name:
        last = name.rpartition(".")[2]
        close = [other for other in modules if other and other.rpartition(".")[2] == last]
        top = [other for other in modules if other and "." not in other]
        hint = f"perhaps {', '.join(close[:4])}" if close else f"available: {', '.join(top[:12])}"
        raise UnseeError(f"{classifier.name} has no layer called {name!r}; {hint}")
    module: nn.Module = modules[name]
    return module


def last_spatial_layer(classifier: Classifier) -> str:
    """The last layer whose output is a map or tokens on a grid, before pooling: the one that Grad-CAM reads.

    For BVLC GoogLeNet it is `inception5b`, for ResNet `layer4`, for VGG the last ReLU. In a ViT it is the
    first normalisation of the last block: after that block only the class token may be used.

    Raises:
        UnseeError: no layer returns maps, or tokens follow the maps and their grid is not certain.
    """
    classifier = opened(classifier)
    outputs, head = layer_outputs(classifier)
    body = outputs[:head]
    if _goes_on_with_tokens(body):
        name = _first_norm_of_last_block(classifier, body)
        if name is None:
            raise _no_certain_layer(classifier)
        return name
    maps = [output for output in body if output.names and is_map(output.shape) and not output.pooled]
    if not maps:
        raise UnseeError(
            f"no layer of {classifier.name} returns maps; {usable(classifier, maps=False)} need none"
        )
    return maps[-1].names[-1]


def eighth_layer(classifier: Classifier) -> str:
    """The first layer at most an eighth of the input's size (28 × 28 for 224): where excitation is read.

    For BVLC GoogLeNet it is `pool2`, the paper's pool2/3x3_s2.

    Raises:
        UnseeError: no layer returns maps, or tokens follow the maps.
    """
    most = min(classifier.size) / 8
    outputs, head = layer_outputs(classifier)
    if _goes_on_with_tokens(outputs[:head]):
        raise _no_certain_layer(classifier)
    depth = wrapping(classifier.network)
    for output in outputs:
        name = output.named(depth=1 + depth)
        if name and is_map(output.shape) and min(output.shape[2:]) <= most:
            return name
    return last_spatial_layer(classifier)


def _goes_on_with_tokens(body: Sequence[LayerOutput]) -> bool:
    """Whether tokens follow the last convolution, so that maps before them say little of the score."""
    tokens = [place for place, output in enumerate(body) if _is_tokens(output)]
    convolutions = [place for place, output in enumerate(body) if output.convolved]
    return bool(tokens) and tokens[-1] > max(convolutions, default=-1)


def _no_certain_layer(classifier: Classifier) -> UnseeError:
    return UnseeError(
        f"{classifier.name} goes on with tokens after its maps: name the layer to read, in most "
        "transformers the first normalisation of the last block; "
        f"{usable(classifier, maps=False)} need none"
    )


def layer_outputs(classifier: Classifier) -> tuple[list[LayerOutput], int]:
    """What the modules return for a blank image, in order, and the index of the last weighted layer's output.

    Modules that are called more than once are not named: the name would not say which call is meant.
    """
    found: dict[int, LayerOutput] = {}
    kept: list[Tensor] = []
    head = 0
    source: torch.Size | None = None
    classifier = opened(classifier)
    layers = named_layers(classifier.network).items()
    names = {module: name for name, module in layers if not isinstance(module, torch.jit.ScriptModule)}
    times: Counter[str] = Counter()

    def note(module: nn.Module, _: object, output: object) -> None:
        nonlocal head, source
        if not isinstance(output, Tensor) or not names[module] or isinstance(module, _IDLE):
            return
        kept.append(output)
        times[names[module]] += 1
        if id(output) not in found and isinstance(module, nn.Linear | nn.Conv2d):
            head = len(found)
        noted = found.setdefault(id(output), LayerOutput(output.shape, source))
        noted.names.append(names[module])
        noted.pooled |= isinstance(module, _POOLS)
        if isinstance(module, nn.Conv2d):
            noted.convolved = True
            source = output.shape if is_map(output.shape) else source

    _ = classifier.reading  # its probe images are not for the hooks
    blank = torch.zeros(1, *classifier.input_shape, device=classifier.device, dtype=classifier.dtype)
    with classifier.borrowed(), hooked(list(names), note), torch.no_grad():
        classifier.logits(blank)
    for noted in found.values():
        noted.names = [name for name in noted.names if times[name] == 1]
    return list(found.values()), head


def maps_at(classifier: Classifier, name: str, *outputs: Tensor) -> list[Float[Tensor, "b c hl wl"]] | None:
    """Outputs of a layer, all of one shape, as maps; None where they are neither maps nor tokens on a grid.

    Maps may have their channels first or last. Class and register tokens are left out.
    """
    shape = outputs[0].shape
    if is_map(shape):
        last = has_channels_last(shape, classifier.size)
        return [output.permute(0, 3, 1, 2) if last else output for output in outputs]
    if len(shape) != 3:
        return None
    found, _ = layer_outputs(classifier)
    patches = next((output.patches for output in found if name in output.names), None)
    grid = TokenGrid.of(shape[1], classifier.size, patches)
    return None if grid is None else [grid.maps(output) for output in outputs]


def named_layers(net: nn.Module) -> dict[str, nn.Module]:
    """Each module by its dotted name; compiled parts by the names that they have without `torch.compile`."""
    return {
        ".".join(part for part in name.split(".") if part != _COMPILED): module
        for name, module in net.named_modules()
    }


def _first_norm_of_last_block(classifier: Classifier, body: list[LayerOutput]) -> str | None:
    """Its name, where it returns tokens on a convolution's grid, or maps with channels last; else None."""
    for place, output in reversed(list(enumerate(body))):
        for name in output.names:
            block, _, last = name.rpartition(".")
            if last in _FIRST_NORMS:
                later = [other for after in body[place + 1 :] for other in after.names]
                certain = _on_known_grid(output, classifier.size) and _is_last(
                    classifier.network, block, later
                )
                return name if certain else None
    return None


def _is_last(net: nn.Module, block: str, later: list[str]) -> bool:
    """Whether a block is the last of a list, and only normalisations come after it."""
    parent, _, name = block.rpartition(".")
    layers = named_layers(net)
    blocks = layers[parent]
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or list(blocks._modules)[-1] != name:
        return False
    outside = [other for other in later if not f"{other}.".startswith(f"{block}.")]
    outside = [other for other in outside if not block.startswith(f"{other}.")]
    return all("Norm" in type(layers[other]).__name__ for other in outside)


def _on_known_grid(output: LayerOutput, size: tuple[int, int]) -> bool:
    if len(output.shape) == 4:
        return has_channels_last(output.shape, size)
    if len(output.shape) != 3 or output.patches is None:
        return False
    return TokenGrid.on(output.shape[1], output.patches) is not None


def _is_tokens(output: LayerOutput) -> bool:
    """Whether it may hold tokens: of a convolution's channels or grid, or on a square grid."""
    if len(output.shape) != 3 or output.shape[2] == 1:
        return False
    count = output.shape[0] if output.shape[1] == 1 else output.shape[1]
    side = math.isqrt(count)
    square = TokenGrid.on(count, (side, side))
    if square is not None and square.prefix <= 1:
        return True
    if output.source is None or output.patches is None:
        return False
    on_grid = TokenGrid.on(count, output.patches) is not None
    return on_grid or (count > 1 and output.shape[2] == output.source[1])


def has_channels_last(shape: torch.Size, size: tuple[int, int]) -> bool:
    """Whether (B,H,W,C) has the input's proportions and (B,C,H,W) does not."""
    first, last = (shape[2], shape[3]), (shape[1], shape[2])
    return last != (1, 1) and _proportional(last, size) and not _proportional(first, size)


def _proportional(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    return abs(grid[0] * size[1] - grid[1] * size[0]) < max(size)


def wrapping(net: nn.Module) -> int:
    """How many modules with a single child enclose the network itself."""
    depth = 0
    while len(children := list(net.children())) == 1:
        net, depth = children[0], depth + 1
    return depth


def is_map(shape: torch.Size) -> bool:
    """Whether a tensor of this shape holds maps of more than one pixel."""
    return len(shape) == 4 and shape[2] * shape[3] > 1
