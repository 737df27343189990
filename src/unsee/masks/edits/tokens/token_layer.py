"""Where a network's tokens are, and whether they can be dropped there."""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import hooked, opened
from unsee.layers import TokenGrid, layer_named
from unsee.masks.edits.tokens import hugging_face_vit, timm_vit, torchvision_vit
from unsee.masks.edits.tokens.attention import KeptTokens

ADAPTERS: tuple[Callable[[nn.Module], str | None], ...] = (
    torchvision_vit.layer,
    timm_vit.layer,
    hugging_face_vit.layer,
)
"""Each says for a module, if it is of its family, which part returns all tokens with their positions."""
_SAME, _SAME_HALF = 1e-3, 5e-2
_ATTENTION = ("attention", "attn")
"""One of these is in the name of an attention's class."""


@dataclass(frozen=True)
class TokenLayer:
    """The layer whose output holds the tokens.

    Args:
        layer: its dotted name. Where tokens can be dropped it returns (B,N,D), with positions; else it is the
            convolution that makes embeddings of patches, and returns (B,D,rows,columns).
        grid: how the patch tokens lie.
        why_not: why tokens cannot be dropped; empty if they can.
    """

    layer: str
    grid: TokenGrid
    why_not: str = ""


_KNOWN: WeakKeyDictionary[nn.Module, tuple[tuple[int, int], TokenLayer]] = WeakKeyDictionary()
"""The layers that were found, each with the input's size."""


def token_layer_of(classifier: Classifier, image: Float[Tensor, "1 c h w"]) -> TokenLayer:
    """Where the tokens of a network are; found once for a network.

    Args:
        classifier: borrowed, and given back as it was.
        image: a normalised one, on which dropping tokens is compared with masking them.

    Raises:
        UnseeError: the network has no tokens, or its layers are closed.
    """
    _ = classifier.reading  # its probe images are not for the hooks
    classifier = opened(classifier)
    size, found = _KNOWN.get(classifier.network, (None, None))
    if found is None or size != classifier.size:
        exact = classifier.with_net(classifier.network)  # without autocast
        with classifier.borrowed(), torch.no_grad():
            found = _found(exact, image)
        _KNOWN[classifier.network] = classifier.size, found
    return found


def without_tokens(
    classifier: Classifier,
    token_layer: TokenLayer,
    images: Float[Tensor, "b c h w"],
    kept: Int[Tensor, " k"],
) -> Float[Tensor, "b classes"]:
    """Logits with all patch tokens but some taken out of the sequence; the others keep their positions.

    Args:
        classifier: borrowed by the caller.
        token_layer: where tokens can be dropped.
        images: normalised.
        kept: the numbers of the patch tokens that stay, row by row.
    """
    prefix = token_layer.grid.prefix
    stay = torch.cat([torch.arange(prefix, device=kept.device), prefix + kept])

    def drop(_module: nn.Module, _inputs: object, tokens: Tensor) -> Tensor:
        return tokens[:, stay]

    with hooked([layer_named(classifier, token_layer.layer)], drop):
        return classifier.answer(images)


def _found(classifier: Classifier, image: Tensor) -> TokenLayer:
    net = classifier.network
    layers = [
        ".".join(part for part in (name, own) if part)
        for name, module in net.named_modules()
        for adapter in ADAPTERS
        if (own := adapter(module)) is not None
    ]
    why_not = "its family is not one of those whose tokens unsee can drop"
    if len(layers) == 1:
        token_layer = _on_grid(classifier, layers[0], image)
        if token_layer is not None and _drops(classifier, token_layer, image):
            return token_layer
        why_not = "it does something with them besides attention and a mean or a class token"
    elif layers:
        why_not = f"it holds {len(layers)} vision transformers"
    return _patch_convolution(classifier, image, why_not)


def _on_grid(classifier: Classifier, layer: str, image: Tensor) -> TokenLayer | None:
    """The layer with its grid: that of the last map before it; None where there are fewer tokens."""
    maps: list[torch.Size] = []
    tokens: list[torch.Size] = []

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        if not isinstance(module, nn.Conv2d):
            tokens.append(output.shape)
        elif not tokens:
            maps.append(output.shape)

    convolutions = [module for module in classifier.network.modules() if isinstance(module, nn.Conv2d)]
    with hooked([*convolutions, layer_named(classifier, layer)], note):
        classifier.answer(image)
    if not maps or len(tokens) != 1:
        return None
    rows, columns = maps[-1][-2:]
    prefix = tokens[0][1] - rows * columns
    return None if prefix < 0 else TokenLayer(layer, TokenGrid(prefix, rows, columns))


def _drops(classifier: Classifier, token_layer: TokenLayer, image: Tensor) -> bool:
    """Whether masking half of the tokens gives what dropping them gives."""
    count = token_layer.grid.rows * token_layer.grid.columns
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    kept = order[: count // 2].sort().values.to(image.device)
    keep = torch.zeros(1, count, dtype=image.dtype, device=image.device).index_fill_(1, kept, 1.0)
    try:
        dropped = without_tokens(classifier, token_layer, image, kept)
    except (RuntimeError, ValueError, IndexError):
        return False
    with KeptTokens(keep, token_layer.grid.prefix)():
        masked = classifier.answer(image)
    tolerance = _SAME if classifier.net_dtype.itemsize >= 4 else _SAME_HALF
    return bool((masked - dropped).abs().max() <= tolerance * dropped.abs().max())


def _patch_convolution(classifier: Classifier, image: Tensor, why_not: str) -> TokenLayer:
    """The one convolution that makes embeddings of the image's patches, in a network with attention.

    Raises:
        UnseeError: there is no attention, or not one such convolution of the image.
    """
    found: dict[str, torch.Size] = {}
    modules = dict(classifier.network.named_modules())
    names = {module: name for name, module in modules.items()}

    def note(module: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        if inputs[0].shape[1] == image.shape[1]:  # the image, perhaps at another size
            found[names[module]] = output.shape

    patching = [module for module in modules.values() if _cuts_patches(module)]
    if any(word in type(module).__name__.lower() for module in modules.values() for word in _ATTENTION):
        with hooked(patching, note):
            classifier.answer(image)
    if len(found) != 1:
        raise UnseeError(
            f"unsee finds no place in {classifier.name} that holds all patch tokens, as vision transformers "
            "have one: choose another perturbation than tokens, such as blur"
        )
    ((layer, shape),) = found.items()
    return TokenLayer(layer, TokenGrid(0, shape[-2], shape[-1]), why_not)


def _cuts_patches(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == module.stride and max(module.stride) > 1
