"""Overrides of torch's functions that several methods share, such as refusing attention."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.function_overrides import Function, FunctionOverrides, Override
from unsee.methods import usable

__all__ = ["Function", "FunctionOverrides", "Override", "first_argument", "without_attention"]

_ATTENTION = (F.multi_head_attention_forward, F.scaled_dot_product_attention)
_MATRIX_PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm)
"""Between two activations these are attention that is written out."""


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
