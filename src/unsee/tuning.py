"""A private copy of a network that gives the same outputs faster."""

import copy
import shutil
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import copied, hooked
from unsee.network_wrappers import ClosedNetwork, NetworkWrapper
from unsee.tensors.depthwise import hasten

PRECISIONS = ("auto", "float32", "bfloat16")
_TOLERANCE = 1e-3
TRACING = threading.Lock()
"""Held while torch.fx traces."""
_RUN_IN_BFLOAT16: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Tuned(NetworkWrapper):
    """Runs a network on images in its preferred memory layout, and in bfloat16 if `autocast` is set."""

    def __init__(self, net: nn.Module, layout: torch.memory_format, autocast: bool = False) -> None:
        super().__init__()
        self.net = net.to(memory_format=layout)
        self.layout = layout
        self.autocast = autocast

    def forward(self, images: Float[Tensor, "b c h w"]) -> object:
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

    def forward(self, images: Float[Tensor, "b c h w"]) -> object:
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
        classifier: borrowed, and given back as it was.
        bfloat16: whether to run the copy under bfloat16 autocast.
        compiled: whether to pass the copy to `torch.compile`, with CUDA graphs on a GPU. The first forward
            pass then takes about a minute.

    Raises:
        UnseeError: `compiled` is set, but there is no C++ compiler for a network on the CPU.
    """
    if compiled:
        require_compiler(classifier.device)
    _ = classifier.reading  # known to every copy
    with classifier.borrowed():
        try:
            plain = copied(classifier.net)
        except (RuntimeError, TypeError, AttributeError, copy.Error):
            return classifier.with_net(Borrowed(classifier, bfloat16))
        net = _fastest_equal(classifier, plain)
        if _calls_the_original(classifier, net):
            return classifier.with_net(Borrowed(classifier, bfloat16))
    net.autocast = bfloat16
    if bfloat16 and classifier.device.type == "cpu":
        hasten(net)
    if compiled:
        net.net.compile(mode="reduce-overhead" if classifier.device.type == "cuda" else "default")
    return classifier.with_net(net)


def memory_of_one_pass(classifier: Classifier) -> int:
    """Bytes that the forward pass of one image keeps for the backward pass, and those of the image."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    _ = classifier.reading  # its evaluations do not count
    weights = {weight.untyped_storage().data_ptr() for weight in classifier.net.parameters()}
    image = (
        torch.full((1, *classifier.input_shape), 0.5).to(classifier.device, classifier.dtype).requires_grad_()
    )
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
    """Whether to run a network in bfloat16; with "auto", if the device has instructions for it and the
    network has no operation that cannot. What runs outside torch keeps its own precision.

    Raises:
        UnseeError: the precision is unknown.
    """
    check_precision(precision)
    closed = isinstance(classifier.net, ClosedNetwork)
    if precision == "float32" or classifier.net_dtype != torch.float32 or closed:
        return False
    if precision == "bfloat16":
        return True
    return computes_in_bfloat16(classifier.device) and _runs_in_bfloat16(classifier)


@torch.no_grad()
def _runs_in_bfloat16(classifier: Classifier) -> bool:
    """Whether every operation of the network can be run under bfloat16 autocast; tried once a network."""
    net = classifier.net
    if net not in _RUN_IN_BFLOAT16:
        _ = classifier.reading
        image = torch.full((1, *classifier.input_shape), 0.5).to(classifier.device, classifier.dtype)
        with classifier.borrowed(), torch.autocast(classifier.device.type, torch.bfloat16):
            try:
                classifier.logits(image)
            except RuntimeError:
                _RUN_IN_BFLOAT16[net] = False
            else:
                _RUN_IN_BFLOAT16[net] = True
    return _RUN_IN_BFLOAT16[net]


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
    image = torch.rand(1, *classifier.input_shape, generator=draws).to(classifier.device, classifier.dtype)
    expected = classifier.logits(image)
    variants = ((folded, torch.channels_last), (_unchanged, torch.channels_last))
    for variant, layout in variants:
        try:
            net = Tuned(variant(plain), layout)
            output = classifier.with_net(net).logits(image)
        except Exception:
            continue
        if torch.allclose(output, expected, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            return net
    return Tuned(plain, torch.contiguous_format)


@torch.no_grad()
def _calls_the_original(classifier: Classifier, net: Tuned) -> bool:
    """Whether the copy still calls modules of the original, for example through a bound method."""
    called: list[bool] = []
    modules = list(classifier.network.modules())
    if any(isinstance(module, torch.jit.ScriptModule) for module in modules):  # takes no hooks
        return True
    image = torch.full((1, *classifier.input_shape), 0.5).to(classifier.device, classifier.dtype)
    with hooked(modules, lambda *_: called.append(True), before=True):
        classifier.with_net(net).logits(image)
    return bool(called)


def _unchanged(net: nn.Module) -> nn.Module:
    return net


def folded(net: nn.Module) -> nn.Module:
    """A copy with BatchNorm folded into the convolutions, or the network if it has hooks or no BatchNorm."""
    modules = list(net.modules())
    has_hooks = any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in modules)
    if has_hooks or not any(isinstance(module, _NORMS) for module in modules):
        return net
    with TRACING:
        traced = fx.GraphModule(net, OwnTracer().trace(net))
    folded: nn.Module = fuse(traced, no_trace=True)
    return folded.requires_grad_(False)


class OwnTracer(fx.Tracer):
    """Traces its own thread alone: torch.fx replaces `nn.Module.__call__` for all threads while it traces."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401
        """What a module returns: in another thread its output."""
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:  # noqa: ANN401
        """An attribute of a module: in another thread its value."""
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def require_compiler(device: torch.device) -> None:
    """Refuse to compile for the CPU without a C++ compiler.

    Raises:
        UnseeError: there is none.
    """
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++", "cl"))):
        raise UnseeError(
            "compiled=True (--compile) needs a C++ compiler, and found none: install g++ or clang++"
        )
