"""How images are put into a question, and where the scores are in the answer: settings and values."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from unsee.errors import UnseeError
from unsee.models.serving.environment import filled
from unsee.records import digest

KSERVE, TORCHSERVE, JSON = "kserve", "torchserve", "json"
FORMATS = (KSERVE, TORCHSERVE, JSON)
VALUES = ("float32", "float64", "float16", "uint8")
PICTURES = ("png", "jpeg")
ONE, MANY = "$image", "$images"
"""What stands for the image, or for the list of images, in a request."""
BYTES = (0.0, 255.0)
_CHANNELS = {"png": (1, 3, 4), "jpeg": (1, 3)}
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Form:
    """What a question to a service looks like.

    Args:
        format: a name in `FORMATS`.
        image: a name in `VALUES`, sent as numbers, or in `PICTURES`, sent as a file.
        layout: of the numbers: "NCHW" or "NHWC"; empty if the service itself says it, else as "NCHW".
        input: the name of the tensor with the images, for "kserve".
        output: the name of the tensor with the scores, likewise.
        binary: whether tensors are sent as bytes behind the JSON, likewise.
        request: JSON values with "$image" or "$images" in the place of the images, and ${NAME} for an
            environment variable; empty to send the file.
        scores: where in the answer they are: keys, places and * for every one, joined by dots.
    """

    format: str
    image: str = "float32"
    layout: str = ""
    input: str = ""
    output: str = ""
    binary: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)
    scores: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """What is not at its default, as JSON values."""
        usual = asdict(Form(self.format))
        return {key: value for key, value in asdict(self).items() if key == "format" or value != usual[key]}

    @property
    def whole(self) -> bool:
        """Whether it sends whole numbers from 0 to 255."""
        return self.image == "uint8" or self.image in PICTURES


def has_many(request: Any) -> bool:  # noqa: ANN401
    """Whether a request takes a list of images."""
    if isinstance(request, Mapping):
        return any(map(has_many, request.values()))
    if isinstance(request, list):
        return any(map(has_many, request))
    return bool(request == MANY)


def values_of(images: Float[Tensor, "b c h w"], form: Form) -> list[np.ndarray]:
    """Each image as it is sent: in the form's type and layout; for files as whole numbers, (h,w,c)."""
    last = form.layout == "NHWC" or form.image in PICTURES
    values = images.detach().permute(0, 2, 3, 1) if last else images.detach()
    array = values.cpu().numpy()
    if form.whole:
        return list(np.ascontiguousarray(array.round().clip(*BYTES), np.uint8))
    return list(np.ascontiguousarray(array, form.image))


def keys_of(values: Sequence[np.ndarray], address: str, form: Form) -> list[bytes]:
    """What each image's answer is kept under: a hash of address, form, and every byte of the image."""
    head = digest([address, form.record]).encode()
    return [
        sha256(head + f"{value.dtype}{value.shape}".encode() + value.tobytes()).digest() for value in values
    ]


def file_of(value: np.ndarray, form: Form) -> bytes:
    """A picture as a PNG or JPEG file.

    Raises:
        UnseeError: such a file has no such number of channels.
    """
    channels = value.shape[2]
    if channels not in _CHANNELS[form.image]:
        raise UnseeError(
            f'an image of {channels} channels cannot be sent as {form.image}: write image = "float32"'
        )
    data = io.BytesIO()
    picture = Image.fromarray(value[:, :, 0] if channels == 1 else value)
    if form.image == "jpeg":
        picture.save(data, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        picture.save(data, "PNG", compress_level=1)
    return data.getvalue()


def request_of(values: Sequence[np.ndarray], form: Form) -> Any:  # noqa: ANN401
    """The request with the images in it, as JSON values."""
    sent = [
        base64.b64encode(file_of(value, form)).decode() if form.image in PICTURES else value.tolist()
        for value in values
    ]
    return _put(form.request, sent)


def _put(request: Any, sent: Sequence[Any]) -> Any:  # noqa: ANN401
    if isinstance(request, Mapping):
        return {key: _put(value, sent) for key, value in request.items()}
    if isinstance(request, list):
        return [_put(value, sent) for value in request]
    if request == MANY:
        return list(sent)
    if request == ONE:
        return sent[0]
    if not isinstance(request, str):
        return request
    text = filled(request, "the request")
    return text.replace(ONE, sent[0]) if isinstance(sent[0], str) else text
