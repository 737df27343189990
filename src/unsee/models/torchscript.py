"""Networks that torch.jit.save has written. Such a file is code, and running the network runs it."""

import io
from typing import Any

import torch
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.request import Request
from unsee.models.sidecar import described_by, sha256_of
from unsee.network_wrappers import NetworkWrapper
from unsee.quiet import quiet


class ScriptedNetwork(NetworkWrapper):
    """Holds a TorchScript module, so that it can be copied and sent to another process.

    Args:
        net: the module, as `torch.jit.load` gives it.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        for module in net.modules():
            if not hasattr(module, "training"):  # torch.jit.freeze takes it away
                module.training = False
        self.net = net

    def forward(self, images: Tensor) -> object:
        """The module's answer."""
        return self.net(images)

    def __reduce__(self) -> tuple[Any, ...]:
        written = io.BytesIO()
        with quiet():
            torch.jit.save(self.net, written)
        device = next((str(weight.device) for weight in self.net.parameters()), "cpu")
        return _unpickled, (written.getvalue(), device)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ScriptedNetwork":
        rebuild, arguments = self.__reduce__()
        copied: ScriptedNetwork = rebuild(*arguments)
        return copied


def load(request: Request) -> Classifier:
    """A network that torch.jit.save has written.

    Raises:
        UnseeError: the file is no such network, or nothing says how its images are normalised.
    """
    file = request.file
    given = described_by(request, {})
    try:
        net = _read(file, "cpu")
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise UnseeError(f"{file} is not a file of torch.jit.save ({reason})") from error
    return Classifier(ScriptedNetwork(net).eval(), name=request.name, weights_sha256=sha256_of(file), **given)


def _unpickled(data: bytes, device: str) -> ScriptedNetwork:
    return ScriptedNetwork(_read(io.BytesIO(data), device))


def _read(file: Any, device: str) -> nn.Module:  # noqa: ANN401
    with quiet():
        net: nn.Module = torch.jit.load(file, map_location=device)  # type: ignore[no-untyped-call]
    return net
