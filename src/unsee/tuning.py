"""A private copy of a network that gives the same answers sooner."""

import copy
import shutil
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from unsee.classifier import Classifier
from unsee.errors import UnseeError

PRECISIONS = ("auto", "float32", "bfloat16")
_TOLERANCE = 1e-3
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Tuned(nn.Module):
    """Runs a network on pictures laid out as it likes them, in bfloat16 where told to."""

    def __init__(self, net: nn.Module, layout: torch.memory_format, autocast: bool = False) -> None:
        super().__init__()
        self.net = net.to(memory_format=layout)
        self.layout = layout
        self.autocast = autocast

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> object:
        """The network's answer."""
        laid = pictures.contiguous(memory_format=self.layout)
        if not self.autocast:
            return self.net(laid)
        with torch.autocast(pictures.device.type, torch.bfloat16):
            return self.net(laid)


class Lent(nn.Module):
    """Borrows a network that cannot be copied anew for each answer."""

    def __init__(self, classifier: Classifier, autocast: bool = False) -> None:
        super().__init__()
        self.classifier = (classifier,)
        self.autocast = autocast
        self.net = classifier.net

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> object:
        """The network's answer."""
        (classifier,) = self.classifier
        with classifier.borrowed(), torch.autocast(pictures.device.type, torch.bfloat16, self.autocast):
            return self.net(pictures)


def tuned(classifier: Classifier, bfloat16: bool = False, compiled: bool = False) -> Classifier:
    """The classifier with a private copy of its network, in evaluation mode, made for speed.

    Channels last, BatchNorm folded into the convolutions before it, and bfloat16 autocast where it is asked
    for. Each of the first two is left out where the network then fails or answers otherwise. A network that
    cannot be copied, or whose copy still calls modules of the original, is borrowed anew for each answer.

    Args:
        classifier: borrowed by whoever calls.
        bfloat16: run it under autocast.
        compiled: hand the copy to `torch.compile`, which takes about a minute before the first answer; on a
            GPU with CUDA graphs.
    """
    if compiled:
        _need_a_compiler(classifier.device)
    try:
        plain = copy.deepcopy(classifier.net).eval()
    except (RuntimeError, TypeError, AttributeError, copy.Error):
        return replace(classifier, net=Lent(classifier, bfloat16))
    for weight in plain.parameters():
        weight.requires_grad_(False)
    net = _first_that_agrees(classifier, plain)
    if _reaches_back(classifier, net):
        return replace(classifier, net=Lent(classifier, bfloat16))
    net.autocast = bfloat16
    if compiled:
        net.net.compile(mode="reduce-overhead" if classifier.device.type == "cuda" else "default")
    return replace(classifier, net=net)


def memory_of_one_pass(classifier: Classifier) -> int:
    """Bytes that one picture's forward pass keeps for the way back, and the picture's own."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    weights = {weight.untyped_storage().data_ptr() for weight in classifier.net.parameters()}
    picture = (
        torch.full((1, 3, *classifier.size), 0.5).to(classifier.device, classifier.dtype).requires_grad_()
    )
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        classifier.logits(picture)
    return sum(size for place, size in kept.items() if place not in weights) + 8 * picture.nbytes


def uses_bfloat16(classifier: Classifier, precision: str) -> bool:
    """Whether a network is to be run in bfloat16: "auto" says yes where the device computes in it.

    Raises:
        UnseeError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise UnseeError(f"no precision is called {precision!r}; there are {', '.join(PRECISIONS)}")
    if precision == "float32" or classifier.net_dtype != torch.float32:
        return False
    return precision == "bfloat16" or computes_in_bfloat16(classifier.device)


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, without which it is many times slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    listed: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(listed.get("avx512_bf16") or listed.get("amx_bf16"))


@torch.no_grad()
def _first_that_agrees(classifier: Classifier, plain: nn.Module) -> Tuned:
    """The fastest way to run the copy in which it answers as the network itself does."""
    draws = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, *classifier.size, generator=draws).to(classifier.device, classifier.dtype)
    expected = classifier.logits(picture)
    ways = ((folded, torch.channels_last), (_as_it_is, torch.channels_last))
    for way, layout in ways:
        try:
            net = Tuned(way(plain), layout)
            answer = replace(classifier, net=net).logits(picture)
        except Exception:
            continue
        if torch.allclose(answer, expected, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            return net
    return Tuned(plain, torch.contiguous_format)


@torch.no_grad()
def _reaches_back(classifier: Classifier, net: Tuned) -> bool:
    """Whether the copy still calls modules of the original, as through a function that was bound to them."""
    called: list[bool] = []
    try:
        hooks = [
            module.register_forward_pre_hook(lambda *_: called.append(True))
            for module in classifier.net.modules()
        ]
    except RuntimeError:  # a scripted network takes no hooks
        return True
    try:
        picture = torch.full((1, 3, *classifier.size), 0.5).to(classifier.device, classifier.dtype)
        replace(classifier, net=net).logits(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return bool(called)


def _as_it_is(net: nn.Module) -> nn.Module:
    return net


def folded(net: nn.Module) -> nn.Module:
    """A copy without BatchNorm where the network's graph can be traced."""
    modules = list(net.modules())
    hooked = any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in modules)
    if hooked or not any(isinstance(module, _NORMS) for module in modules):
        return net
    folded: nn.Module = fuse(net)
    return folded.requires_grad_(False)


def _need_a_compiler(device: torch.device) -> None:
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++", "cl"))):
        raise UnseeError("--compile needs a C++ compiler on this machine, and there is none")
