"""Cutting a network at a layer: what comes before it runs once, what lies behind it runs for every mask."""

import inspect
from dataclasses import dataclass

from torch import Tensor, fx, nn

from unsee.tuning import TRACING, OwnTracer

_INPUT, _CALL = "placeholder", "call_module"


@dataclass(frozen=True, eq=False)
class Cut:
    """The two parts of a network, which share its modules.

    Args:
        before: the network's input → the layer's activation, and all else that the other part needs.
        behind: the activation and all else → what the network returns.
    """

    before: nn.Module
    behind: nn.Module

    def activation(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The layer's activation for an input, and what else crosses the cut: tensors with a row an image.

        Raises:
            TypeError: something else crosses the cut.
        """
        activation, *others = self.before(inputs)
        rows = len(inputs)
        for tensor in (activation, *others):
            if not isinstance(tensor, Tensor) or tensor.ndim == 0 or len(tensor) != rows:
                raise TypeError("what crosses the cut is not a row an image")
        return activation, tuple(others)


def cut_at(net: nn.Module, layer: nn.Module) -> Cut | None:
    """Cut a network at a layer, by the graph of `torch.fx`; None where that is impossible.

    Only the modules round the layer are traced; all others are kept as they are, whatever they do inside.

    Args:
        net: in evaluation mode; a copy, since tracing may leave constants in it.
        layer: one of its modules.
    """
    try:
        graph = _traced(net, layer)
        calls = [node for node in graph.nodes if node.op == _CALL and net.get_submodule(node.target) is layer]
        return _split(net, graph, calls[0]) if len(calls) == 1 else None
    except Exception:  # tracing runs the network's own code, which may refuse anything
        return None


class _RoundLayer(OwnTracer):
    """Traces the modules that contain a layer, and keeps all others whole."""

    def __init__(self, around: list[nn.Module]) -> None:
        super().__init__()
        self.around = around

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        """Whether a module is kept whole."""
        return all(m is not other for other in self.around)


def _traced(net: nn.Module, layer: nn.Module) -> fx.Graph:
    around = [module for module in net.modules() if module is not layer and layer in set(module.modules())]
    others = list(inspect.signature(net.forward).parameters.values())[1:]
    fixed = {other.name: other.default for other in others if other.default is not other.empty}
    with TRACING:
        return _RoundLayer(around).trace(net, fixed)


def _split(net: nn.Module, graph: fx.Graph, layer: fx.Node) -> Cut | None:
    """What depends on the layer lies behind it; what is not made from the images is made again there."""
    nodes = list(graph.nodes)
    images = next(node for node in nodes if node.op == _INPUT)
    made, behind = _reached(nodes, images), _reached(nodes, layer)
    if nodes[-1] not in behind or layer not in made:
        return None
    first = [node for node in nodes if node.op != _INPUT and node not in behind and node in made]
    later = [node for node in nodes if node in behind and node is not layer]
    crossing = [node for node in (images, *first) if not node.users.keys().isdisjoint(later)]
    fixed = [node for node in nodes if node not in made and node.op != _INPUT]
    before = [*_needed(fixed, [*first, layer]), *first, layer]
    return Cut(
        fx.GraphModule(net, _graph([images], before, [layer, *crossing])),
        fx.GraphModule(net, _graph([layer, *crossing], [*_needed(fixed, later), *later])),
    )


def _reached(nodes: list[fx.Node], start: fx.Node) -> set[fx.Node]:
    """A node and everything that depends on it."""
    found = {start}
    for node in nodes:
        if any(given in found for given in node.all_input_nodes):
            found.add(node)
    return found


def _needed(fixed: list[fx.Node], users: list[fx.Node]) -> list[fx.Node]:
    """Those of the fixed nodes that others use, directly or not."""
    wanted = {given for node in users for given in node.all_input_nodes}
    for node in reversed(fixed):
        if node in wanted:
            wanted |= set(node.all_input_nodes)
    return [node for node in fixed if node in wanted]


def _graph(inputs: list[fx.Node], nodes: list[fx.Node], outputs: list[fx.Node] | None = None) -> fx.Graph:
    """A graph of copied nodes; without `outputs` the last node is the output."""
    graph, known = fx.Graph(), {}
    for node in inputs:
        known[node] = graph.placeholder(node.name)
    for node in nodes:
        known[node] = graph.node_copy(node, known.__getitem__)
    if outputs is not None:
        graph.output(tuple(known[node] for node in outputs))
    graph.lint()
    return graph
