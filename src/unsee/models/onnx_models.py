"""ONNX files, by onnxruntime on the CPU. They give scores, and no gradient."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.fixed_batch import in_batches
from unsee.models.request import Request
from unsee.models.sidecar import ENDING, described_by, read_sidecar, sha256_of
from unsee.network_wrappers import ClosedNetwork
from unsee.optional import library

_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
_BYTES = (0.0, 255.0)
_USUAL_CHANNELS = (1, 3, 4)


class Port(NamedTuple):
    """How a session takes images and where it gives the scores.

    Args:
        input: its name.
        dtype: of its values.
        channels_last: whether it takes (B,H,W,C).
        batch: the only batch size that it takes; None for any.
        output: the name of the scores.
    """

    input: str
    dtype: type[np.generic]
    channels_last: bool
    batch: int | None
    output: str


class OnnxNetwork(ClosedNetwork):
    """Runs a session of onnxruntime.

    Args:
        file: the ONNX file: it is read again in another process, which has to see it.
        sha256: of the file and its data.
        port: how the session takes images.
        session: made from the file by default.
    """

    def __init__(self, file: Path, sha256: str, port: Port, session: Any = None) -> None:  # noqa: ANN401
        super().__init__()
        self.file, self.sha256, self.port = file.absolute(), sha256, port
        self.session = _session(file) if session is None else session

    def forward(self, images: Tensor) -> object:
        """The scores of (B,C,H,W) images, without a gradient."""
        return in_batches(self._run, images.detach(), self.port.batch)

    def _run(self, images: Tensor) -> Tensor:
        placed = images.permute(0, 2, 3, 1) if self.port.channels_last else images
        values = placed.cpu().numpy()
        if self.port.dtype is np.uint8:
            values = values.round().clip(*_BYTES)
        given = np.ascontiguousarray(values, dtype=self.port.dtype)
        (scores,) = self.session.run([self.port.output], {self.port.input: given})
        answer = torch.from_numpy(np.array(scores))
        return (answer if answer.dtype == torch.float64 else answer.float()).to(images.device)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.file, self.sha256, self.port)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxNetwork":
        copied = OnnxNetwork(self.file, self.sha256, self.port, self.session)
        copied.training = self.training
        return copied


def load(request: Request) -> Classifier:
    """A network in an ONNX file.

    Raises:
        UnseeError: onnxruntime is missing or cannot read the file, the network takes something other than
            images of a known layout, or nothing says how they are normalised.
    """
    file = request.file
    library("onnxruntime", "onnx")
    if request.device.type != "cpu":
        raise UnseeError(f"{request.name} runs on the CPU, by onnxruntime: leave device= (--device) out")
    session = _session(file)
    image, about = _images_of(session, file), read_sidecar(file)
    channels = request.over(about[0]).get("channels")
    last = _channels_last(image.shape, channels, about[1].get("layout"), file)
    dtype = _dtype(image, file)
    batch, height, width, depth = (image.shape[place] for place in ((0, 1, 2, 3) if last else (0, 2, 3, 1)))
    known: dict[str, Any] = {"channels": depth} if isinstance(depth, int) else {}
    if isinstance(height, int) and isinstance(width, int):
        known["size"] = (height, width)
    if dtype is np.uint8:
        known |= {"value_range": _BYTES, "mean": 0.0, "std": 1.0}
    given = described_by(request, known)
    usual = ("value_range", "mean", "std") if dtype is np.uint8 else ()
    if any(np.any(np.asarray(given[name], float) != np.asarray(known[name])) for name in usual):
        raise UnseeError(f"{file} takes whole numbers from 0 to 255: leave out mean, std and value range")
    port = Port(
        image.name,
        dtype,
        last,
        batch if isinstance(batch, int) else None,
        _output(session, about[1].get("output"), file),
    )
    sha256 = _sha256(file)
    return Classifier(
        OnnxNetwork(file, sha256, port, session).eval(), name=request.name, weights_sha256=sha256, **given
    )


def _unpickled(file: Path, sha256: str, port: Port) -> OnnxNetwork:
    if _sha256(file) != sha256:
        raise UnseeError(f"{file} has changed since the network was loaded")
    return OnnxNetwork(file, sha256, port)


def _sha256(file: Path) -> str:
    """Of the file and of FILE.data, where large networks have their weights."""
    data = file.with_name(f"{file.name}.data")
    return sha256_of(file, *([data] if data.is_file() else []))


def _session(file: Path) -> Any:  # noqa: ANN401
    runtime = library("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnseeError(f"{file} is no ONNX file that onnxruntime reads ({reason})") from error


def _images_of(session: Any, file: Path) -> Any:  # noqa: ANN401
    """The one input, which takes images.

    Raises:
        UnseeError: there are several, or it has not four axes.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = ", ".join(f"{each.name} {list(each.shape)}" for each in inputs)
        raise UnseeError(f"{file} takes {shapes}, and unsee gives one batch of images: export it so")
    return inputs[0]


def _dtype(image: Any, file: Path) -> type[np.generic]:  # noqa: ANN401
    if image.type not in _DTYPES:
        raise UnseeError(f"{file} takes {image.type}: unsee gives {', '.join(_DTYPES)}")
    return _DTYPES[image.type]


def _channels_last(
    shape: Sequence[int | str | None], channels: int | None, layout: str | None, file: Path
) -> bool:
    """Whether the input is (B,H,W,C): by the sidecar's layout, or by which axis has the channels.

    Raises:
        UnseeError: it could be both.
    """
    if layout is not None:
        return layout == "NHWC"
    wanted = _USUAL_CHANNELS if channels is None else (channels,)
    first, last = (shape[axis] in wanted for axis in (1, 3))
    if first == last:
        raise UnseeError(
            f"{file} takes {list(shape)}, and it is not clear which axis has the channels: give "
            f'channels= (--channels), or write {{"layout": "NCHW"}} or "NHWC" into {file}{ENDING}'
        )
    return last


def _output(session: Any, name: str | None, file: Path) -> str:  # noqa: ANN401
    """The output with the scores.

    Raises:
        UnseeError: there is none of that name, or it is not clear which one it is.
    """
    outputs = [each.name for each in session.get_outputs()]
    if name is None and len(outputs) > 1:
        raise UnseeError(
            f"{file} has the outputs {', '.join(outputs)}: write which one has the scores into "
            f'{file}{ENDING}, as in {{"output": "{outputs[0]}"}}'
        )
    if name is not None and name not in outputs:
        raise UnseeError(f"{file} has no output called {name!r}: it has {', '.join(outputs)}")
    return outputs[0] if name is None else name
