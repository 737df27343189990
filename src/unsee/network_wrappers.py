"""Modules that run another network, and networks whose layers cannot be read."""

from abc import ABC
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn
from torch.fx import GraphModule

_AFRESH: ContextVar[bool] = ContextVar("_AFRESH", default=False)


class NetworkWrapper(nn.Module, ABC):
    """A module that runs another network, such as a faster copy; layers are named as in that network."""

    net: nn.Module


class ClosedNetwork(nn.Module, ABC):
    """A module that hands its input to something that is not torch: it has no layers to read."""

    @property
    def account(self) -> str:
        """What it has been asked so far, in a line; empty where nobody counts."""
        return ""


def is_closed(module: nn.Module) -> bool:
    """Whether a module calls no module and no function of torch that could be read or replaced."""
    if isinstance(module, GraphModule):
        return any(isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes)
    return isinstance(module, ClosedNetwork | torch.jit.ScriptModule)


def account_of(net: nn.Module) -> str:
    """What a network, or a part of it, has been asked so far, in a line; empty where nobody counts."""
    lines = [module.account for module in net.modules() if isinstance(module, ClosedNetwork)]
    return "; ".join(line for line in lines if line)


@contextmanager
def afresh() -> Iterator[None]:
    """A context in which a network that keeps its answers finds them anew, to see if they are the same."""
    before = _AFRESH.set(True)
    try:
        yield
    finally:
        _AFRESH.reset(before)


def wanted_afresh() -> bool:
    """Whether the caller is in the context of `afresh`."""
    return _AFRESH.get()
