"""The settings of torch that change what is computed, as unsee needs them, whatever the caller has set."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")

_KINDS = ("cpu", "cuda", "mps", "xpu")
_LOCK = threading.Lock()


class _DefaultDtype:
    """torch's default dtype, which all threads share: the caller's, while nobody needs float32."""

    users = 0
    callers: torch.dtype | None = None


@contextmanager
def neutral() -> Iterator[None]:
    """A context, or a decorator, in which the caller's settings of torch have no effect.

    Inference mode and autocast are off, the default dtype is float32 and the default device the CPU.
    Gradients stay switched on or off; in inference mode they are off.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        for kind in _KINDS:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(_float32())
        yield


def advanced(steps: Iterator[Item]) -> Iterator[Item]:
    """What a generator yields, each step of it run under neutral settings and with gradients."""
    while True:
        with neutral(), torch.enable_grad():
            try:
                item = next(steps)
            except StopIteration:
                return
        yield item


@contextmanager
def _float32() -> Iterator[None]:
    """Float32 as the default dtype; the last to leave, in any thread, puts the caller's back."""
    with _LOCK:
        _DefaultDtype.users += 1
        current = torch.get_default_dtype()
        if current != torch.float32:
            _DefaultDtype.callers = current
            torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        with _LOCK:
            _DefaultDtype.users -= 1
            if _DefaultDtype.users == 0 and _DefaultDtype.callers is not None:
                torch.set_default_dtype(_DefaultDtype.callers)
                _DefaultDtype.callers = None
