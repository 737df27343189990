"""Reading what the layers of a network return, where it has layers to read; copies without such hooks."""

import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.lending import CHANGING, original
from unsee.methods import check_hookable
from unsee.network_wrappers import NetworkWrapper


def opened(classifier: Classifier) -> Classifier:
    """The classifier with a network that runs module by module and calls torch's functions.

    A network that `torch.compile` has compiled runs as the original.

    Args:
        classifier: any.

    Raises:
        UnseeError: the network is scripted, traced, frozen or exported, or is not run by torch.
    """
    check_hookable(classifier)
    net = classifier.network
    inner = classifier.net.net if isinstance(classifier.net, NetworkWrapper) else classifier.net
    return classifier if inner is net else classifier.with_net(net)


def copied(net: nn.Module) -> nn.Module:
    """A deep copy of a lent network, without hooks that unsee has put on it.

    Raises:
        Exception: whatever copying raises, if the network cannot be copied.
    """
    with CHANGING:
        twin = copy.deepcopy(original(net))
    for module in twin.modules():
        for name in ("_forward_hooks", "_forward_pre_hooks"):
            table = vars(module).get(name, {})
            for key in [key for key, hook in table.items() if isinstance(hook, _ThreadHook)]:
                del table[key]
    return twin


@contextmanager
def hooked(modules: Iterable[nn.Module], hook: Callable[..., object], before: bool = False) -> Iterator[None]:
    """Put a hook on the forward pass of modules; it is called for passes of this thread alone.

    Args:
        modules: what is hooked.
        hook: called with the module, its inputs and, unless `before`, its output. What it returns replaces
            that output, or with `before` the inputs, unless it is None.
        before: call it before the pass instead of after it.

    Raises:
        RuntimeError: a module takes no hooks, as a scripted one.
    """
    handles = []
    own = _ThreadHook(hook)
    try:
        with CHANGING:
            for module in modules:
                add = module.register_forward_pre_hook if before else module.register_forward_hook
                handles.append(add(own))
        yield
    finally:
        with CHANGING:
            for handle in handles:
                handle.remove()


@contextmanager
def watched(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a module returns in this thread, call by call, for the duration of a `with` block.

    Raises:
        UnseeError: the module takes no hooks.
    """
    given: list[Tensor] = []

    def note(_module: nn.Module, _input: object, output: object) -> None:
        if isinstance(output, Tensor):
            given.append(output)

    if isinstance(module, torch.jit.ScriptModule):
        raise UnseeError("a torch.jit module cannot be read: name a layer that is not a part of one")
    with hooked([module], note):
        yield given


class _ThreadHook:
    """A hook for the thread that has made it."""

    def __init__(self, hook: Callable[..., object]) -> None:
        self.hook, self.thread = hook, threading.get_ident()

    def __call__(self, *given: object) -> object:
        return self.hook(*given) if threading.get_ident() == self.thread else None
