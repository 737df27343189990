"""Reading what the layers of a network return, for networks that have layers to read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from unsee.classifier import Classifier, NetworkWrapper
from unsee.errors import UnseeError
from unsee.lending import hooked


def opened(classifier: Classifier, method: str) -> Classifier:
    """The classifier with a network that runs module by module and calls torch's functions.

    A network that `torch.compile` has compiled runs as the original.

    Args:
        classifier: any.
        method: what needs it, for the error message.

    Raises:
        UnseeError: the network is scripted, traced, frozen or exported.
    """
    net = classifier.network
    if isinstance(net, torch.jit.ScriptModule):
        kind = "a torch.jit network"
    elif _is_exported(net):
        kind = "a torch.export network"
    else:
        inner = classifier.net.net if isinstance(classifier.net, NetworkWrapper) else classifier.net
        return classifier if inner is net else replace(classifier, net=net)
    raise UnseeError(
        f"{method} reads layers, and {classifier.name} is {kind}, whose layers are closed: give the network "
        "that it was made from; mask, gradient, integrated_gradients, occlusion, rise and lime need no layers"
    )


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


def _is_exported(net: nn.Module) -> bool:
    """Whether it holds operations of torch in place of modules and functions."""
    if not isinstance(net, torch.fx.GraphModule):
        return False
    return any(isinstance(node.target, torch._ops.OpOverload) for node in net.graph.nodes)
