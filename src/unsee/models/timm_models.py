"""timm's networks, with timm's weights or your own weight file."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from unsee.choices import did_you_mean, nearest
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.fits import CentreCrop, Fit, Squash
from unsee.models.imagenet import imagenet_classes
from unsee.models.request import Request
from unsee.models.weights import fill, read_weights
from unsee.optional import library
from unsee.quiet import quiet

_RGB = 3


def load(request: Request) -> Classifier:
    """A timm network by name, described by its `pretrained_cfg`.

    With a file, the number of classes is read from it. Another size is set where the network has one of its
    own, as vision transformers do.

    Raises:
        UnseeError: timm is missing, has no such network, or the download failed; or the file does not fit, or
            the network has no classes.
    """
    timm = library("timm", "timm")
    architecture = request.rest.partition(".")[0]
    if not timm.is_model(architecture):
        close = [f"timm:{name}" for name in nearest(architecture, timm.list_models())]
        hint = did_you_mean(close, "timm.list_models() lists them")
        raise UnseeError(f"timm has no network called {architecture!r}; {hint}")
    channels = request.options.channels or _RGB
    state, sha256 = (None, None) if request.weights is None else read_weights(request.weights)
    taken: dict[str, str] = {}
    if state is None:
        net = _resized(_downloaded(timm, request, channels), request)
    else:
        net, taken = _filled(timm, request, channels, state)
    if not getattr(net, "num_classes", 0):
        raise UnseeError(f"{request.name} has no classes: it gives features, which say nothing about a class")
    about: Mapping[str, Any] = net.pretrained_cfg
    size = request.over({"size": tuple(about["input_size"][1:])})["size"]
    known: dict[str, Any] = {"mean": about["mean"], "std": about["std"]} if channels == _RGB else {}
    return Classifier(
        net.eval(),
        size=size,
        channels=channels,
        class_names=_class_names(net),
        name=request.name,
        weights_sha256=sha256,
        facts=taken,
        trained_fit=_trained_fit(about, size),
        **known,
    )


def _downloaded(timm: Any, request: Request, channels: int) -> Any:  # noqa: ANN401
    try:
        with quiet("huggingface_hub"):
            net: Any = timm.create_model(request.rest, pretrained=True, in_chans=channels)
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UnseeError(
            f"the weights of {request.name} could not be downloaded and read ({reason}); "
            "connect to the network, or give a file as weights=… (--weights)"
        ) from error
    return net


def _filled(
    timm: Any,  # noqa: ANN401
    request: Request,
    channels: int,
    state: dict[str, Tensor],
) -> tuple[Any, dict[str, str]]:
    """A network with the weights of a file, which are for its own size or for the one that is asked for.

    What of the file was taken comes with it.
    """
    try:
        net: Any = timm.create_model(request.rest, pretrained=False, in_chans=channels)
    except Exception as error:
        raise UnseeError(f"{request.name} cannot be built: {' '.join(str(error).split())[:200]}") from error
    classes = _classes_in(net, state)
    if classes is not None and classes != net.num_classes:
        net.reset_classifier(classes)
    own = net.state_dict()
    if all(own[key].shape == value.shape for key, value in state.items() if key in own):
        taken = fill(net, state, request.name)
        return _resized(net, request), taken
    net = _resized(net, request)
    return net, fill(net, state, request.name)


def _resized(net: Any, request: Request) -> Any:  # noqa: ANN401
    """The network, set to the size that is asked for, if it has to be told."""
    size = request.options.given().get("size")
    about: Mapping[str, Any] = net.pretrained_cfg
    if size is not None and size != tuple(about["input_size"][1:]) and hasattr(net, "set_input_size"):
        try:
            net.set_input_size(img_size=size)
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UnseeError(f"{request.name} cannot take {size[0]} × {size[1]} pixels: {reason}") from error
    return net


def _classes_in(net: Any, state: Mapping[str, Tensor]) -> int | None:  # noqa: ANN401
    """How many classes the last layer of a file has; None if that cannot be told."""
    named = net.pretrained_cfg.get("classifier")
    layer = named[0] if isinstance(named, tuple | list) else named
    weight = state.get(f"{layer}.weight")
    return None if weight is None or weight.ndim == 0 else len(weight)


def _class_names(net: Any) -> tuple[str, ...] | None:  # noqa: ANN401
    """Those that timm knows, or ImageNet's as torchvision names them; None where the classes are others."""
    about, count = net.pretrained_cfg, int(net.num_classes)
    own = about.get("label_names")
    if own and len(own) == count:
        described = about.get("label_descriptions") or {}
        return tuple(str(described.get(name, name)) for name in own)
    data = library("timm.data", "timm")
    subset = data.infer_imagenet_subset(net)
    if subset == "imagenet-1k":
        return imagenet_classes()
    return None if subset is None else tuple(data.ImageNetInfo(subset).label_descriptions())


def _trained_fit(about: Mapping[str, Any], size: tuple[int, int]) -> Fit | None:
    share, mode = about.get("crop_pct"), about.get("crop_mode", "center")
    if mode == "squash" and share == 1:
        return Squash()
    return CentreCrop(math.floor(max(size) / share)) if mode == "center" and share else None
