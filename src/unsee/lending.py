"""Lending a network: evaluation mode and weights without gradients, and afterwards everything as it was.

A network, or a part of it, may be lent several times at once, in one thread or in many. Loans are counted
for each module and weight; the first changes it, and the last puts it back. No loan waits for another to end.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from unsee.neutral import neutral

CHANGING = threading.RLock()
"""Held while networks change or are copied, never while they compute."""
_ROUNDS = 3


@dataclass(eq=False)
class _Module:
    """A module that is lent.

    Args:
        module: the module.
        mode: whether it was in training mode; None where it has no mode, as in a frozen network.
        loans: how many have not ended.
        kept: tensors that its change of mode may change, each with a copy.
        undo: puts back what is replaced in it.
    """

    module: nn.Module
    mode: bool | None
    loans: int = 0
    kept: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)


@dataclass(eq=False)
class _Weight:
    """A weight that is lent, whether it required gradients, and how many loans have not ended."""

    weight: Tensor
    wanted: bool
    loans: int = 0


_MODULES: dict[int, _Module] = {}
_WEIGHTS: dict[int, _Weight] = {}


@contextmanager
def lent(net: nn.Module) -> Iterator[None]:
    """A context in which a network is in evaluation mode and its weights need no gradients; torch is neutral.

    On leaving, also after Ctrl-C, each module's mode and each weight's `requires_grad` are what they were.
    Modes go through the modules' own `train`, so that adapters unfold; what folding has changed in weights
    and buffers is put back bit by bit. Meanwhile weights that were made in inference mode are replaced with
    copies, which gradients can pass, and parts that `torch.compile` has compiled with the originals.
    """
    loan = _Loan(original(net))
    with neutral():
        try:
            loan.begin()
            yield
        finally:
            loan.end()


def original(net: nn.Module) -> nn.Module:
    """The network that `torch.compile` was given, or the network itself."""
    while _is_compiled(net):
        net = cast("nn.Module", net._orig_mod)
    return net


class _Loan:
    """One loan of a network."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.modules: list[_Module] = []
        self.weights: dict[int, _Weight] = {}

    def begin(self) -> None:
        """Count what is lent, and change what is not lent already."""
        with CHANGING:
            fresh = [held for held in map(self._take, _members(self.net)) if held.loans == 1]
            for weight in self.net.parameters():
                self._note(weight)
            copies: dict[int, Tensor] = {}
            for held in fresh:
                _replace(held, copies)
            training = [held for held in fresh if held.mode]
            _keep(training)
            if training:
                _evaluate(self.net)
            for weight in self.net.parameters():
                self._note(weight)
                if weight.requires_grad:
                    weight.requires_grad_(False)

    def end(self) -> None:
        """Put back what nobody else has borrowed."""
        with CHANGING:
            modules = [held for held in self.modules if _was_last(_MODULES, id(held.module), held)]
            weights = [held for key, held in self.weights.items() if _was_last(_WEIGHTS, key, held)]
            try:
                _restore_modes(modules)
            finally:
                for held in modules:
                    _put_back(held)
                for one in weights:
                    if one.weight.requires_grad != one.wanted:
                        one.weight.requires_grad_(one.wanted)

    def _take(self, module: nn.Module) -> _Module:
        held = _MODULES.setdefault(id(module), _Module(module, _mode(module)))
        held.loans += 1
        self.modules.append(held)
        return held

    def _note(self, weight: Tensor) -> None:
        if id(weight) in self.weights:
            return
        held = _WEIGHTS.setdefault(id(weight), _Weight(weight, weight.requires_grad))
        held.loans += 1
        self.weights[id(weight)] = held


def _was_last(table: dict[int, Any], key: int, held: _Module | _Weight) -> bool:
    held.loans -= 1
    if held.loans == 0:
        del table[key]
    return held.loans == 0


def _is_compiled(module: nn.Module) -> bool:
    return type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod")


def _members(net: nn.Module) -> list[nn.Module]:
    """The network's modules, a parent before its children, without the wrappers of `torch.compile`."""
    return [module for module in net.modules() if not _is_compiled(module)]


def _mode(module: nn.Module) -> bool | None:
    return getattr(module, "training", None)


def _has_own_train(module: nn.Module) -> bool:
    """Whether a change of its mode may do more than set the mode of each module in it."""
    if isinstance(module, torch.jit.ScriptModule):
        return False
    names = ("train", "eval")
    return any(
        name in vars(module) or getattr(type(module), name) is not getattr(nn.Module, name) for name in names
    )


def _evaluate(net: nn.Module) -> None:
    """Evaluation mode, also where a part of the network has no mode or refuses to change it."""
    members = _members(net)
    if all(_mode(module) is not None for module in members):
        try:
            net.eval()
        except NotImplementedError:  # a network of torch.export has the mode that it was exported in
            pass
        else:
            return
    for module in members:
        if _mode(module) is not None:
            _turn(module, False)


def _turn(module: nn.Module, mode: bool) -> None:
    """Set a module's mode; children follow only where the module says so itself."""
    if not _has_own_train(module):
        module.training = mode
        return
    try:
        module.train(mode)
    except NotImplementedError:
        return


def _restore_modes(lent: list[_Module]) -> None:
    """Each module's own mode. A parent's `train` also changes its children, which therefore come later.

    Raises:
        Exception: what a module's `train` has raised, once all the others are restored.
    """
    problem: Exception | None = None
    for _ in range(_ROUNDS):
        for held in lent:
            if held.mode is not None and _mode(held.module) != held.mode:
                try:
                    _turn(held.module, held.mode)
                except Exception as error:
                    problem = error
    for held in lent:
        if held.mode is not None and _mode(held.module) != held.mode:
            held.module.training = held.mode
    if problem is not None:
        raise problem


def _keep(training: list[_Module]) -> None:
    """Copy the tensors of modules that may fold them when their mode changes."""
    seen: set[int] = set()
    for held in training:
        if not _has_own_train(held.module):
            continue
        for tensor in (*held.module.parameters(), *held.module.buffers()):
            if id(tensor) not in seen and not nn.parameter.is_lazy(tensor):
                seen.add(id(tensor))
                held.kept.append((tensor, tensor.detach().clone()))


def _replace(held: _Module, copies: dict[int, Tensor]) -> None:
    """Replace inference tensors with copies, and compiled parts with the originals."""
    module, own = held.module, vars(held.module)
    if own.get("_compiled_call_impl") is not None:
        held.undo.append(partial(own.__setitem__, "_compiled_call_impl", own["_compiled_call_impl"]))
        own["_compiled_call_impl"] = None
    for name, child in module.named_children():
        if _is_compiled(child):
            held.undo.append(partial(module._modules.__setitem__, name, child))
            module._modules[name] = original(child)
    for name, tensor in (*module.named_parameters("", False, False), *module.named_buffers("", False, False)):
        if nn.parameter.is_lazy(tensor) or not tensor.is_inference():
            continue
        if id(tensor) not in copies:
            twin = tensor.detach().clone()
            weight = isinstance(tensor, nn.Parameter)
            copies[id(tensor)] = nn.Parameter(twin, requires_grad=False) if weight else twin
        held.undo.append(partial(setattr, module, name, tensor))
        setattr(module, name, copies[id(tensor)])


def _put_back(held: _Module) -> None:
    """What has changed in a module besides its mode."""
    with torch.no_grad():
        for tensor, copy_of_it in held.kept:
            if tensor.shape == copy_of_it.shape:
                tensor.data.copy_(copy_of_it)
            else:
                tensor.data = copy_of_it
    for undo in held.undo:
        undo()
