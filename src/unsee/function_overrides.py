"""Run a network with some of torch's functions overridden in this thread, without changing its modules.

Captum and zennit attach their rules to modules, so they miss a ReLU or a sum that is called as a function,
and a hook on an in-place ReLU breaks. Here the functions themselves are intercepted: modules, functions and
operators all end in them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

Function = Callable[..., Any]
Override = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]
"""(the function, its arguments, its keyword arguments) → what to return instead."""


class FunctionOverrides(TorchFunctionMode):
    """Context in which calls to some torch functions go to their overrides."""

    def __init__(self, overrides: Mapping[Function, Override]) -> None:
        super().__init__()
        self.overrides = overrides

    def __torch_function__(
        self,
        func: Function,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Torch calls this for each of its functions."""
        named = kwargs or {}
        override = self.overrides.get(func)
        if override is None:
            return func(*args, **named)
        return override(func, args, named)
