"""torchvision's classification networks, with torchvision's own weights or a file of yours."""

import urllib.error
from pathlib import Path

import torch
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


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's thousand classes, in their standard order."""
    return tuple(_default("resnet18").meta["categories"])


def build(name: str, weights: Path | None) -> Classifier:
    """A torchvision network by name.

    With a file, the number of classes is read from its last layer, and GoogLeNet and Inception re-normalise
    their input as torchvision's own weights make them do.

    Raises:
        UnseeError: the download failed, or the file does not fit.
    """
    preset = _default(name)
    transforms = preset.transforms()
    sha256 = None
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
    side = transforms.crop_size[0]
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
    except (urllib.error.URLError, OSError) as error:
        raise UnseeError(
            f"the weights of torchvision:{name} could not be downloaded ({error}); "
            "connect to the network, or give a file with --weights"
        ) from error
    return net


def _empty(name: str, state: dict[str, Tensor]) -> nn.Module:
    options: dict[str, object] = {}
    if name in _WITH_AUXILIARIES:
        auxiliaries = any(key.lower().startswith("aux") for key in state)
        options = {"aux_logits": auxiliaries, "init_weights": False, "transform_input": True}
    with torch.device("meta"):
        last = list(get_model(name, weights=None, **options).state_dict())[-1]
    if last in state and state[last].ndim > 0:
        options["num_classes"] = len(state[last])
    net: nn.Module = get_model(name, weights=None, **options)
    return net


def _classes(net: nn.Module) -> int:
    return len(list(net.state_dict().values())[-1])
