"""What a service of KServe's protocol says about itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from unsee.errors import UnseeError
from unsee.models.serving.calls import Caller
from unsee.models.serving.service_file import Service

_IMAGES = {"FP32": "float32", "FP64": "float64", "FP16": "float16", "UINT8": "uint8"}
_USUAL_CHANNELS = (1, 3, 4)


def stated_by(caller: Caller, address: str, service: Service) -> tuple[dict[str, Any], Service]:
    """What a service takes, by its own word where its file names no input.

    Args:
        caller: calls it.
        address: of the model, without /infer.
        service: as the file has it.

    Returns:
        The arguments of `Classifier` that it states, and the service with its input, type and layout.

    Raises:
        UnseeError: it does not answer, or takes something other than one batch of images.
    """
    if service.form.input:
        return {}, service
    try:
        reply = caller.call("GET", address, None, {}, Event())
        found = json.loads(reply.data)
        inputs = [(str(each["name"]), str(each["datatype"]), list(each["shape"])) for each in found["inputs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UnseeError(
            f"{address} does not say what it takes: write input = its name into the service file"
        ) from error
    if len(inputs) != 1 or len(inputs[0][2]) != 4:
        shapes = ", ".join(f"{name} {shape}" for name, _, shape in inputs)
        raise UnseeError(
            f"{address} takes {shapes or 'nothing'}, and unsee gives one batch of images: wrap it"
        )
    name, kind, shape = inputs[0]
    if kind not in _IMAGES:
        raise UnseeError(f"{address} takes {kind}: unsee gives {', '.join(_IMAGES)}")
    last = _channels_last(shape, service, address)
    depth, height, width = (shape[axis] for axis in ((3, 1, 2) if last else (1, 2, 3)))
    known: dict[str, Any] = {"channels": depth} if _fixed(depth) else {}
    if _fixed(height) and _fixed(width):
        known["size"] = (height, width)
    form = replace(service.form, input=name, image=_IMAGES[kind], layout="NHWC" if last else "NCHW")
    return known, replace(service, form=form, batch=_batch(shape[0], service, address))


def _fixed(side: object) -> bool:
    return isinstance(side, int) and side > 0


def _batch(stated: object, service: Service, address: str) -> int:
    """Images in a call.

    Raises:
        UnseeError: the service takes batches of one size, and that is not 1.
    """
    if not isinstance(stated, int) or stated < 1:
        return service.batch
    if stated > 1:
        raise UnseeError(f"{address} takes batches of exactly {stated} images: let it take any number, or 1")
    return 1


def _channels_last(shape: Sequence[Any], service: Service, address: str) -> bool:
    """Whether images are (B,H,W,C): by the file, or by which axis has the channels.

    Raises:
        UnseeError: it could be both.
    """
    if service.form.layout:
        return service.form.layout == "NHWC"
    network: Mapping[str, Any] = service.network
    wanted = (network["channels"],) if "channels" in network else _USUAL_CHANNELS
    first, last = (shape[axis] in wanted for axis in (1, 3))
    if first == last:
        raise UnseeError(
            f"{address} takes {list(shape)}, and it is not clear which axis has the channels: write layout = "
            '"NCHW" or "NHWC" into the service file'
        )
    return last
