"""A private copy of a network that gives the same outputs faster."""

import copy
import shutil
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from unsee.choices import look_up
from unsee.classifier import Classifier, NetworkWrapper
from unsee.errors import UnseeError
from unsee.tensors.depthwise import hasten

PRECISIONS = ("auto", "float32", "bfloat16")
_TOLERANCE = 1e-3
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Tuned(NetworkWrapper):
    """Runs a network on images in its preferred memory layout, and in bfloat16 if `autocast` is set."""

    def __init__(self, net: nn.Module, layout: torch.memory_format, autocast: bool = False) -> None:
        super().__init__()
        self.net = net.to(memory_format=layout)
        self.layout = layout
        self.autocast = autocast

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> object:
        """The network's output."""
        laid_out = images.contiguous(memory_format=self.layout)
        if not self.autocast:
            return self.net(laid_out)
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.net(laid_out)


class Borrowed(NetworkWrapper):
    """Borrows a network that cannot be copied, once for each forward pass."""

    def __init__(self, classifier: Classifier, autocast: bool = False) -> None:
        super().__init__()
        self.classifier = (classifier,)
        self.autocast = autocast
        self.net = classifier.net

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> object:
        """The network's output."""
        (classifier,) = self.classifier
        with classifier.borrowed(), torch.autocast(images.device.type, torch.bfloat16, self.autocast):
            return self.net(images)


def tuned(classifier: Classifier, bfloat16: bool = False, compiled: bool = False) -> Classifier:
    """The classifier with a private copy of its network, in evaluation mode, made for speed.

    The copy runs with channels last and with BatchNorm folded into the preceding convolutions. Either is left
    out if the network then fails or gives other outputs. A network that cannot be copied, or whose copy still
    calls modules of the original, is borrowed once for each forward pass. In bfloat16 on a CPU, depthwise
    convolutions with a stride get a faster backward pass.

    Args:
        classifier: the caller must have borrowed it.
        bfloat16: whether to run the copy under bfloat16 autocast.
        compiled: whether to pass the copy to `torch.compile`, with CUDA graphs on a GPU. The first forward
            pass then takes about a minute.

    Raises:
        UnseeError: `compiled` is set, but there is no C++ compiler for a network on the CPU.
    """
    if compiled:
        _require_compiler(classifier.device)
    try:
        plain = copy.deepcopy(classifier.net).eval()
    except (RuntimeError, TypeError, AttributeError, copy.Error):
        return replace(classifier, net=Borrowed(classifier, bfloat16))
    for weight in plain.parameters():
        weight.requires_grad_(False)
    net = _fastest_equal(classifier, plain)
    if _calls_the_original(classifier, net):
        return replace(classifier, net=Borrowed(classifier, bfloat16))
    net.autocast = bfloat16
    if bfloat16 and classifier.device.type == "cpu":
        hasten(net)
    if compiled:
        net.net.compile(mode="reduce-overhead" if classifier.device.type == "cuda" else "default")
    return replace(classifier, net=net)


def memory_of_one_pass(classifier: Classifier) -> int:
    """Bytes that the forward pass of one image keeps for the backward pass, and those of the image."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    weights = {weight.untyped_storage().data_ptr() for weight in classifier.net.parameters()}
    image = torch.full((1, 3, *classifier.size), 0.5).to(classifier.device, classifier.dtype).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        classifier.logits(image)
    return sum(size for pointer, size in kept.items() if pointer not in weights) + 8 * image.nbytes


def check_precision(precision: object) -> None:
    """Check that a precision is one of `PRECISIONS`.

    Raises:
        UnseeError: it is not.
    """
    look_up(dict.fromkeys(PRECISIONS), precision, "precision")


def uses_bfloat16(classifier: Classifier, precision: str) -> bool:
    """Whether to run a network in bfloat16; with "auto", if the device has instructions for it.

    Raises:
        UnseeError: the precision is unknown.
    """
    check_precision(precision)
    if precision == "float32" or classifier.net_dtype != torch.float32:
        return False
    return precision == "bfloat16" or computes_in_bfloat16(classifier.device)


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; without them it is much slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    listed: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(listed.get("avx512_bf16") or listed.get("amx_bf16"))


@torch.no_grad()
def _fastest_equal(classifier: Classifier, plain: nn.Module) -> Tuned:
    """The fastest variant of the copy that gives the same output as the network itself."""
    draws = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, *classifier.size, generator=draws).to(classifier.device, classifier.dtype)
    expected = classifier.logits(image)
    variants = ((folded, torch.channels_last), (_unchanged, torch.channels_last))
    for variant, layout in variants:
        try:
            net = Tuned(variant(plain), layout)
            output = replace(classifier, net=net).logits(image)
        except Exception:
            continue
        if torch.allclose(output, expected, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            return net
    return Tuned(plain, torch.contiguous_format)


@torch.no_grad()
def _calls_the_original(classifier: Classifier, net: Tuned) -> bool:
    """Whether the copy still calls modules of the original, for example through a bound method."""
    called: list[bool] = []
    try:
        hooks = [
            module.register_forward_pre_hook(lambda *_: called.append(True))
            for module in classifier.net.modules()
        ]
    except RuntimeError:  # a scripted network takes no hooks
        return True
    try:
        image = torch.full((1, 3, *classifier.size), 0.5).to(classifier.device, classifier.dtype)
        replace(classifier, net=net).logits(image)
    finally:
        for hook in hooks:
            hook.remove()
    return bool(called)


def _unchanged(net: nn.Module) -> nn.Module:
    return net


def folded(net: nn.Module) -> nn.Module:
    """A copy with BatchNorm folded into the convolutions, or the network if it has hooks or no BatchNorm."""
    modules = list(net.modules())
    hooked = any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in modules)
    if hooked or not any(isinstance(module, _NORMS) for module in modules):
        return net
    folded: nn.Module = fuse(net)
    return folded.requires_grad_(False)


def _require_compiler(device: torch.device) -> None:
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++", "cl"))):
        raise UnseeError(
            "compiled=True (--compile) needs a C++ compiler, and found none: install g++ or clang++"
        )
