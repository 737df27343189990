"""torchvision's classification networks, with torchvision's weights or your own weight file."""

import http.client
import math
import pickle
from pathlib import Path

import torchvision.models
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.request import Request
from unsee.models.weights import Weights, fill, read_weights, without_prefix

_WITH_AUXILIARIES = ("googlenet", "inception_v3")


def names() -> list[str]:
    """Every classification network of the installed torchvision."""
    return [str(name) for name in list_models(module=torchvision.models)]


def load(request: Request) -> Classifier:
    """A torchvision network by name: see `build`."""
    return build(request.rest, request.weights)


def build(name: str, weights: Path | None) -> Classifier:
    """A torchvision network by name.

    With a file, the number of classes is read from its last layer, and GoogLeNet and Inception re-normalise
    their input as they do with torchvision's own weights.

    Raises:
        UnseeError: the download failed, or the file does not fit.
    """
    preset = _default(name)
    transforms = preset.transforms()
    sha256 = None
    state: dict[str, Tensor] = {}
    taken: dict[str, str] = {}
    if weights is None:
        net = _downloaded(name, preset)
    else:
        read, sha256 = read_weights(weights)
        net, state = _empty(name, read)
        taken = fill(net, state, f"torchvision:{name}")
        if name in _WITH_AUXILIARIES:
            net.aux_logits = False  # type: ignore[assignment]
    classes = tuple(preset.meta["categories"])
    known = weights is None or _classes(net) == len(classes)
    side = _transformer_side(state) or transforms.crop_size[0]
    return Classifier(
        net.eval(),
        size=(side, side),
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        class_names=classes if known else None,
        name=f"torchvision:{name}",
        weights_sha256=sha256,
        facts=taken,
    )


def _default(name: str) -> WeightsEnum:
    return get_model_weights(name).DEFAULT


def _downloaded(name: str, preset: WeightsEnum) -> nn.Module:
    try:
        net: nn.Module = get_model(name, weights=preset)
    except (OSError, EOFError, RuntimeError, http.client.HTTPException, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnseeError(
            f"the weights of torchvision:{name} could not be downloaded and read ({reason}); "
            "connect to the network, or give a file as weights=… (--weights)"
        ) from error
    return net


def _empty(name: str, read: dict[str, Tensor]) -> tuple[nn.Module, Weights]:
    """A network shaped as a file's weights are, and the weights without a prefix of their keys."""
    options: dict[str, object] = {}
    if name in _WITH_AUXILIARIES:
        options = {"aux_logits": True, "init_weights": False, "transform_input": True}
    net: nn.Module = get_model(name, weights=None, **options)
    own = net.state_dict()
    state = without_prefix(read, own)
    other: dict[str, object] = {}
    if name in _WITH_AUXILIARIES and not any(key.lower().startswith("aux") for key in state):
        other["aux_logits"] = False
    side, usual = _transformer_side(state), _transformer_side(own)
    if None not in (side, usual) and side != usual and _patch(state) == _patch(own):
        other["image_size"] = side
    last = list(own)[-1]
    if last in state and state[last].ndim != 0 and len(state[last]) not in (0, _classes(net)):
        other["num_classes"] = len(state[last])
    if other:
        net = get_model(name, weights=None, **options | other)
    return net, state


def _transformer_side(state: dict[str, Tensor]) -> int | None:
    """The input's side in pixels that a vision transformer's weights are for; None for other networks."""
    places, patch = state.get("encoder.pos_embedding"), _patch(state)
    if places is None or patch is None or places.ndim != 3 or places.shape[1] < 2:
        return None
    return math.isqrt(places.shape[1] - 1) * patch


def _patch(state: dict[str, Tensor]) -> int | None:
    patches = state.get("conv_proj.weight")
    return None if patches is None or patches.ndim != 4 else patches.shape[-1]


def _classes(net: nn.Module) -> int:
    return len(list(net.state_dict().values())[-1])
