"""Networks run with other rules for some of torch's functions, without touching a module.

Captum and zennit attach such rules to modules, so they miss a ReLU or a sum that is called as a function,
and a hook on a ReLU that works in place breaks. Here the functions themselves are met on their way: modules,
functions and operators alike end in them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from unsee.classifier import Classifier
from unsee.errors import UnseeError

Function = Callable[..., Any]
Rule = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]
"""(the function, its arguments, those given by name) → what is to be its answer."""


_ATTENTION = (F.multi_head_attention_forward, F.scaled_dot_product_attention)
_MATRIX_PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm)
"""Of two activations, as in attention that is written out."""


class Rules(TorchFunctionMode):
    """While entered, calls to some torch functions are answered by rules."""

    def __init__(self, rules: Mapping[Function, Rule]) -> None:
        super().__init__()
        self.rules = rules

    def __torch_function__(
        self,
        func: Function,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Torch calls this for each of its functions."""
        named = kwargs or {}
        rule = self.rules.get(func)
        if rule is None:
            return func(*args, **named)
        return rule(func, args, named)


def without_attention(classifier: Classifier, method: str) -> dict[Function, Rule]:
    """Rules that refuse a transformer, for methods that have none for attention."""

    def refuse(function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Any:  # noqa: ANN401
        learned = [part for part in args if isinstance(part, Tensor) and part.requires_grad]
        if function in _MATRIX_PRODUCTS and len(learned) < 2:
            return function(*args, **named)
        raise UnseeError(
            f"{method} has no rule for attention, which {classifier.name} has; gradient, grad_cam, "
            "occlusion, lime and rise serve transformers"
        )

    return dict.fromkeys((*_ATTENTION, *_MATRIX_PRODUCTS), refuse)


def entered(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """What goes into a function of one tensor, and its further arguments."""
    if args:
        return args[0], args[1:], named
    return named["input"], (), {name: value for name, value in named.items() if name != "input"}
