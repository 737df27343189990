"""Programs that torch.export.save has written. Running such a program runs what the file says."""

import copy
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.fixed_batch import in_batches
from unsee.models.request import Request
from unsee.models.sidecar import described_by, sha256_of
from unsee.network_wrappers import NetworkWrapper
from unsee.quiet import quiet


class ExportedNetwork(NetworkWrapper):
    """Holds an exported program's module, which takes no `train()` and cannot be pickled.

    Args:
        net: `ExportedProgram.module()`.
        batch: the only batch size that it takes; None for any.
        file: where the program is: it is read again in another process, which has to see it.
        sha256: of that file.
    """

    def __init__(self, net: nn.Module, batch: int | None, file: Path, sha256: str) -> None:
        super().__init__()
        self.net, self.batch, self.file, self.sha256 = net, batch, file.absolute(), sha256

    def forward(self, images: Tensor) -> object:
        """The program's answer."""
        return in_batches(self.net, images, self.batch)

    def train(self, mode: bool = True) -> "ExportedNetwork":
        """Note the mode; the program keeps the one it was exported in."""
        self.training = mode
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        device = next((str(weight.device) for weight in self.net.parameters()), "cpu")
        return _unpickled, (self.file, self.sha256, device)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ExportedNetwork":
        copied = ExportedNetwork(copy.deepcopy(self.net, memo), self.batch, self.file, self.sha256)
        return copied.train(self.training)


def load(request: Request) -> Classifier:
    """A program that torch.export.save has written, in the mode in which it was exported.

    Raises:
        UnseeError: the file is no such program, it takes something other than one batch of images, or
            nothing says how they are normalised.
    """
    file = request.file
    program = _read(file)
    shape = _input_shape(program, file)
    known: dict[str, Any] = {}
    if isinstance(shape[1], int):
        known["channels"] = shape[1]
    if isinstance(shape[2], int) and isinstance(shape[3], int):
        known["size"] = (shape[2], shape[3])
    given = described_by(request, known)
    sha256 = sha256_of(file)
    return Classifier(
        _network(program, file, sha256).eval(), name=request.name, weights_sha256=sha256, **given
    )


def _network(program: ExportedProgram, file: Path, sha256: str) -> ExportedNetwork:
    count = _input_shape(program, file)[0]
    return ExportedNetwork(program.module(), count if isinstance(count, int) else None, file, sha256)


def _unpickled(file: Path, sha256: str, device: str) -> nn.Module:
    if sha256_of(file) != sha256:
        raise UnseeError(f"{file} has changed since the network was loaded")
    return _network(_read(file), file, sha256).eval().to(device)


def _input_shape(program: ExportedProgram, file: Path) -> tuple[int | torch.SymInt, ...]:
    """Batch, channels, height and width of the input; a symbol where any number will do.

    Raises:
        UnseeError: the program does not take one batch of images.
    """
    names = program.graph_signature.user_inputs
    values = [node.meta.get("val") for node in program.graph.nodes if node.name in names]
    shapes = [tuple(value.shape) for value in values if isinstance(value, Tensor)]
    if len(names) != 1 or len(shapes) != 1 or len(shapes[0]) != 4:
        raise UnseeError(f"{file} takes {len(names)} inputs, and unsee gives one of shape (B,C,H,W): wrap it")
    return shapes[0]


def _read(file: Path) -> ExportedProgram:
    if not zipfile.is_zipfile(file):
        raise UnseeError(f"{file} is not a file of torch.export.save")
    try:
        with quiet("torch.export"), file.open("rb") as opened:  # by name torch reads only *.pt2
            return torch.export.load(opened)
    except Exception as error:
        raise UnseeError(
            f"{file} is not a file of torch.export.save that this version of torch reads"
        ) from error
