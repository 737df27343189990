"""Networks whose batch has a fixed size: images are given to them in such batches, the last one filled up."""

from collections.abc import Callable

import torch
from torch import Tensor


def in_batches(run: Callable[[Tensor], object], images: Tensor, size: int | None) -> object:
    """The answer to all images, from batches of `size`; at once if it is None.

    Args:
        run: returns a tensor, or a tuple, list or mapping of tensors, with a row for each image.
        images: (B,…).
        size: of the batches that `run` takes.
    """
    if size is None or len(images) == size:
        return run(images)
    answers = []
    for first in range(0, len(images), size):
        part = images[first : first + size]
        missing = size - len(part)
        filled = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) if missing else part
        answers.append(_first(run(filled), len(part)))
    return _joined(answers)


def _first(answer: object, count: int) -> object:
    if isinstance(answer, Tensor):
        return answer[:count]
    if isinstance(answer, dict):
        return {name: _first(part, count) for name, part in answer.items()}
    if isinstance(answer, tuple | list):
        return [_first(part, count) for part in answer]
    return answer


def _joined(answers: list[object]) -> object:
    first = answers[0]
    if isinstance(first, Tensor):
        return torch.cat([part for part in answers if isinstance(part, Tensor)])
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in answers]) for name in first}  # type: ignore[index]
    if isinstance(first, list):
        return [_joined(list(parts)) for parts in zip(*answers, strict=True)]
    return first
