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
from unsee.models.weights import fill, read_weights

_WITH_AUXILIARIES = ("googlenet", "inception_v3")


def names() -> list[str]:
    """Every classification network of the installed torchvision."""
    return [str(name) for name in list_models(module=torchvision.models)]


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
    if weights is None:
        net = _downloaded(name, preset)
    else:
        state, sha256 = read_weights(weights)
        net = _empty(name, state)
        fill(net, state, f"torchvision:{name}")
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


def _empty(name: str, state: dict[str, Tensor]) -> nn.Module:
    options: dict[str, object] = {}
    if name in _WITH_AUXILIARIES:
        auxiliaries = any(key.lower().startswith("aux") for key in state)
        options = {"aux_logits": auxiliaries, "init_weights": False, "transform_input": True}
    side = _transformer_side(state)
    if side is not None:
        options["image_size"] = side
    net: nn.Module = get_model(name, weights=None, **options)
    last = list(net.state_dict())[-1]
    if last not in state or state[last].ndim == 0 or len(state[last]) == _classes(net):
        return net
    other: nn.Module = get_model(name, weights=None, num_classes=len(state[last]), **options)
    return other


def _transformer_side(state: dict[str, Tensor]) -> int | None:
    """The input's side in pixels that a vision transformer's weights are for; None for other networks."""
    places, patches = state.get("encoder.pos_embedding"), state.get("conv_proj.weight")
    if places is None or patches is None or places.ndim != 3:
        return None
    return math.isqrt(places.shape[1] - 1) * patches.shape[-1]


def _classes(net: nn.Module) -> int:
    return len(list(net.state_dict().values())[-1])
