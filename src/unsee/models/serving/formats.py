"""The formats of services: what is sent for some images, and the scores in the answer."""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.models.score_rows import score_rows
from unsee.models.serving.calls import Reply
from unsee.models.serving.form import KSERVE, Form, file_of, request_of

_DATATYPES = {"float32": "FP32", "float64": "FP64", "float16": "FP16", "uint8": "UINT8"}
_OF_DATATYPES = {name: kind for kind, name in _DATATYPES.items()}
_BINARY = "Inference-Header-Content-Length"
_MOST_SHOWN = 80


class Question(NamedTuple):
    """A call: where, what, and how it is described."""

    address: str
    body: bytes
    headers: dict[str, str]


@runtime_checkable
class Format(Protocol):
    """How a kind of service is asked."""

    @abstractmethod
    def question(self, values: Sequence[np.ndarray]) -> Question:
        """The call for some images, as `values_of` gives them."""

    @abstractmethod
    def scores(self, reply: Reply, count: int) -> Float[Tensor, "b k"]:
        """The scores in an answer.

        Args:
            reply: the answer.
            count: of images that were asked.

        Raises:
            UnseeError: there is not one row of finite scores for each image.
        """


class KServe(Format):
    """KServe's inference protocol, version 2, which Triton, OpenVINO and MLServer speak too.

    Args:
        address: of the model, without /infer.
        form: with the names of the tensors; without an output the one that the answer has is taken.
    """

    def __init__(self, address: str, form: Form) -> None:
        self.address, self.form = address, form

    def question(self, values: Sequence[np.ndarray]) -> Question:
        """A tensor of all images, as numbers in the JSON or as bytes behind it."""
        images = np.stack(values)
        tensor: dict[str, Any] = {
            "name": self.form.input,
            "shape": list(images.shape),
            "datatype": _DATATYPES[self.form.image],
        }
        request: dict[str, Any] = {"inputs": [tensor]}
        if self.form.output:
            request["outputs"] = [{"name": self.form.output}]
        headers = {"Content-Type": "application/json"}
        if not self.form.binary:
            tensor["data"] = images.ravel().tolist()
            return Question(f"{self.address}/infer", _json(request), headers)
        data = images.astype(images.dtype.newbyteorder("<")).tobytes()
        tensor["parameters"] = {"binary_data_size": len(data)}
        request["parameters"] = {"binary_data_output": True}
        head = _json(request)
        headers = {"Content-Type": "application/octet-stream", _BINARY: str(len(head))}
        return Question(f"{self.address}/infer", head + data, headers)

    def scores(self, reply: Reply, count: int) -> Float[Tensor, "b k"]:
        """The scores in the tensor that is named, or in the only one."""
        length = reply.headers.get(_BINARY, "")
        end = int(length) if length.isdecimal() else len(reply.data)
        found = _parsed(reply.data[:end], self.address)
        tensors = found.get("outputs") if isinstance(found, dict) else None
        if not isinstance(tensors, list) or not all(isinstance(each, dict) for each in tensors):
            raise UnseeError(f"{self.address} gave no outputs, but {_shown(found)}: does it speak KServe v2?")
        place = _place([str(each.get("name")) for each in tensors], self.form.output, self.address)
        sizes = [each.get("parameters", {}).get("binary_data_size", 0) for each in tensors]
        tensor, begin = tensors[place], end + sum(sizes[:place])
        values: Any = tensor.get("data")
        if values is None:
            kind = _OF_DATATYPES.get(str(tensor.get("datatype")))
            raw = reply.data[begin : begin + sizes[place]]
            if kind is None or not raw or len(raw) % np.dtype(kind).itemsize:
                raise UnseeError(f"{self.address} gave scores that cannot be read: {_shown(tensor)}")
            values = np.frombuffer(raw, np.dtype(kind).newbyteorder("<"))
        return score_rows(_shaped(values, tensor.get("shape"), self.address), count, self.address)


class Json(Format):
    """A request in JSON, or an image file, and an answer in JSON.

    Args:
        address: of the model.
        form: of request and answer.
        names: of the classes, which an answer by name needs.
    """

    def __init__(self, address: str, form: Form, names: Sequence[str] | None) -> None:
        self.address, self.form, self.names = address, form, names

    def question(self, values: Sequence[np.ndarray]) -> Question:
        """The request with the images in it, or the file of the one image."""
        if self.form.request:
            body = _json(request_of(values, self.form))
            return Question(self.address, body, {"Content-Type": "application/json"})
        kind = {"Content-Type": f"image/{self.form.image}"}
        return Question(self.address, file_of(values[0], self.form), kind)

    def scores(self, reply: Reply, count: int) -> Float[Tensor, "b k"]:
        """The scores at the place that is named: rows, or for one image a row; by order or by name."""
        found = _at(_parsed(reply.data, self.address), self.form.scores, self.address)
        if count == 1 and not _is_row_list(found):
            found = [found]
        if isinstance(found, list):
            found = [_in_order(row, self.names, self.address) for row in found]
        return score_rows(_array(found, self.address), count, self.address)


def format_of(address: str, form: Form, names: Sequence[str] | None) -> Format:
    """The format of a service."""
    return KServe(address, form) if form.format == KSERVE else Json(address, form, names)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _parsed(data: bytes, who: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        words = " ".join(data[:_MOST_SHOWN].decode("utf-8", "replace").split())
        raise UnseeError(f"{who} gave no JSON, but {words!r}: check the address and the format") from error


def _place(names: Sequence[str], wanted: str, who: str) -> int:
    if wanted in names:
        return names.index(wanted)
    if wanted or len(names) != 1:
        raise UnseeError(
            f"{who} gave the outputs {', '.join(names) or 'none'}: write the one with the scores as output = "
            "into the service file"
        )
    return 0


def _shaped(values: Any, shape: Any, who: str) -> np.ndarray:  # noqa: ANN401
    """A tensor's values in its shape, without axes of length 1 behind the classes."""
    array = _array(values, who)
    sides = shape if isinstance(shape, list) and all(type(side) is int for side in shape) else []
    if not sides or int(np.prod(sides)) != array.size:
        raise UnseeError(f"{who} gave {array.size} numbers for the shape {shape}: it must give one for each")
    while len(sides) > 2 and sides[-1] == 1:
        sides = sides[:-1]
    return array.reshape(sides)


def _array(values: Any, who: str) -> np.ndarray:  # noqa: ANN401
    """Numbers as an array; anything else, such as null, text or rows of two lengths, is refused."""
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiu":
        raise UnseeError(
            f"{who} gave {_shown(values)} where the scores should be: check scores in the service file"
        )
    return array


def _at(value: Any, path: str, who: str) -> Any:  # noqa: ANN401
    """What stands at a path of keys, places and *."""
    if not path:
        return value
    part, _, rest = path.partition(".")
    if part == "*" and isinstance(value, list):
        return [_at(each, rest, who) for each in value]
    if isinstance(value, dict) and part in value:
        return _at(value[part], rest, who)
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return _at(value[int(part)], rest, who)
    raise UnseeError(f"{who} gave {_shown(value)}, where {part!r} of the path to the scores is not")


def _is_row_list(value: Any) -> bool:  # noqa: ANN401
    """Whether it is a list of rows and not one row."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, list) or (isinstance(each, dict) and not _labelled(each)) for each in value)
    )


def _labelled(value: Mapping[str, Any]) -> bool:
    return {"label", "score"} <= value.keys()


def _in_order(row: Any, names: Sequence[str] | None, who: str) -> Any:  # noqa: ANN401
    """A row of scores; those by name in the order of the class names."""
    if isinstance(row, list) and row and all(isinstance(each, dict) and _labelled(each) for each in row):
        row = {str(each["label"]): each["score"] for each in row}
    if not isinstance(row, dict):
        return row
    if names is None:
        raise UnseeError(f"{who} gives scores by name, {_shown(row)}: give class_names (--class-names)")
    missing = [name for name in names if name not in row]
    if missing or len(row) != len(names):
        unknown = "" if missing else f", and {next(iter(row.keys() - set(names)))!r} is none of them"
        lacks = f" and not of {missing[0]!r}" if missing else unknown
        raise UnseeError(
            f"{who} gave the scores of {len(row)} classes{lacks}, for {len(names)} class names: let it give "
            "all of them"
        )
    return [row[name] for name in names]


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
