"""Run a network with some of torch's functions overridden, without changing its modules.

Captum and zennit attach their rules to modules, so they miss a ReLU or a sum that is called as a function,
and a hook on an in-place ReLU breaks. Here the functions themselves are intercepted: modules, functions and
operators all end in them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.needs import usable

Function = Callable[..., Any]
Override = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]
"""(the function, its arguments, its keyword arguments) → what to return instead."""

_ATTENTION = (F.multi_head_attention_forward, F.scaled_dot_product_attention)
_MATRIX_PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm)
"""Between two activations these are attention that is written out."""


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


def without_attention(classifier: Classifier, method: str) -> dict[Function, Override]:
    """Overrides that refuse attention, for methods that have no rule for it.

    Raises:
        UnseeError: by the overrides, if the network uses attention.
    """

    def refuse(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Any:  # noqa: ANN401
        learned = [part for part in args if isinstance(part, Tensor) and part.requires_grad]
        if function in _MATRIX_PRODUCTS and len(learned) < 2:
            return function(*args, **named)
        raise UnseeError(
            f"{method} has no rule for attention, which {classifier.name} has; {usable(classifier)} "
            "serve transformers"
        )

    return dict.fromkeys((*_ATTENTION, *_MATRIX_PRODUCTS), refuse)


def first_argument(
    args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """The first argument of a function, then its other positional and keyword arguments."""
    if args:
        return args[0], args[1:], named
    return named["input"], (), {name: value for name, value in named.items() if name != "input"}
