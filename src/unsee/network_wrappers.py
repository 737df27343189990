"""Modules that run another network, and networks whose layers cannot be read."""

from abc import ABC

import torch
from torch import nn
from torch.fx import GraphModule


class NetworkWrapper(nn.Module, ABC):
    """A module that runs another network, such as a faster copy; layers are named as in that network."""

    net: nn.Module


class ClosedNetwork(nn.Module, ABC):
    """A module that hands its input to something that is not torch: it has no layers to read."""


def is_closed(module: nn.Module) -> bool:
    """Whether a module calls no module and no function of torch that could be read or replaced."""
    if isinstance(module, GraphModule):
        return any(isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes)
    return isinstance(module, ClosedNetwork | torch.jit.ScriptModule)
