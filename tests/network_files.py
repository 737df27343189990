"""The menagerie's network at 64 x 64 pixels in files of other libraries, for the tests of model families."""

import io
import json
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

from unsee.classifier import Classifier
from unsee.models import load
from unsee.models.menagerie import CLASSES, MEAN, STD

SIZE = (64, 64)
TAKES = {"mean": list(MEAN), "std": list(STD), "class_names": list(CLASSES)}
"""What a sidecar says of the network."""
_KINDS = {"float": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def eager() -> Classifier:
    """The network itself."""
    return load("unsee:menagerie", device="cpu", size=SIZE)


def images(count: int = 2, seed: int = 0) -> torch.Tensor:
    """Images at its input, in 8 bits so that every input type can hold them."""
    draws = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=draws)
    smooth = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)
    return (smooth * 255).round() / 255


def sidecar(file: Path, **values: object) -> None:
    """Writes FILE.unsee.json."""
    file.with_name(f"{file.name}.unsee.json").write_text(json.dumps(TAKES | values))


def write_torchscript(file: Path, frozen: bool = False) -> Path:
    """The network traced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(eager().net, torch.rand(1, 3, *SIZE))
        (torch.jit.freeze(traced) if frozen else traced).save(str(file))
    return file


def write_export(file: Path, batch: int | None = None) -> Path:
    """The network exported, for any batch or for one size of it."""
    net, example = eager().net, torch.rand(batch or 2, 3, *SIZE)
    free = None if batch else ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (example,), dynamic_shapes=free), file)
    return file


def write_onnx(file: Path) -> Path:
    """The network in ONNX: float32, NCHW, any batch."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            eager().net,
            (torch.rand(2, 3, *SIZE),),
            file,
            dynamo=True,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    return file


def write_variant(
    source: Path,
    file: Path,
    kind: str = "float",
    channels_last: bool = False,
    batch: int | None = None,
    normalises: bool = False,
    shape: list | None = None,
) -> Path:
    """The ONNX file with another input in front of it: its type, its layout, its batch, its normalisation."""
    model = onnx.load(source)
    old = model.graph.input[0].name
    shape = shape or ([batch or "n", *SIZE, 3] if channels_last else [batch or "n", 3, *SIZE])
    nodes, name = [], "picture"

    def then(operation: str, *more: str, **attributes: object) -> None:
        nonlocal name
        nodes.append(helper.make_node(operation, [name, *more], [f"{name}_"], **attributes))
        name = f"{name}_"

    if kind != "float":
        then("Cast", to=TensorProto.FLOAT)
    if channels_last:
        then("Transpose", perm=[0, 3, 1, 2])
    if normalises:
        for key, values in (("mean", [255 * v for v in MEAN]), ("std", [255 * v for v in STD])):
            model.graph.initializer.append(
                helper.make_tensor(f"own_{key}", TensorProto.FLOAT, [3, 1, 1], values)
            )
        then("Sub", "own_mean")
        then("Div", "own_std")
    nodes.append(helper.make_node("Identity", [name], [old]))
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("picture", _KINDS[kind], shape))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    onnx.save(model, file)
    return file
