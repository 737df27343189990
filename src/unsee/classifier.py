"""A network and what it needs to read a picture: RGB in [0,1] goes in, logits come out."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.choices import nearest
from unsee.errors import UnseeError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

TargetLike = int | np.integer | str | Sequence[int | np.integer | str]


@dataclass(frozen=True, eq=False)
class Classifier:
    """Wraps any module that turns (B,3,H,W) pictures into (B,C) logits, and gives it back as it was.

    Args:
        net: the module; it stays on its own device and in its own dtype.
        size: height and width in pixels of the network's input.
        mean: RGB mean, in [0,1], that the network's pictures are shifted by.
        std: RGB standard deviation that they are divided by.
        class_names: one for each logit, in order; without them classes go by their index.
        name: how results call the network.
        weights_sha256: hash of the weight file, for the record of a result.
        mean_color: RGB in [0,1] of the "constant" perturbation; the mean unless told.

    Raises:
        UnseeError: a size, mean or deviation that no picture can be prepared with.
    """

    net: nn.Module
    size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    class_names: tuple[str, ...] | None = None
    name: str = "custom"
    weights_sha256: str | None = None
    mean_color: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.net, nn.Module):
            raise UnseeError(f"a Classifier wraps a torch.nn.Module, not {type(self.net).__name__}")
        if not isinstance(self.size, tuple | list) or len(self.size) != 2 or min(self.size) < 1:
            raise UnseeError(f"the input size must be a positive (height, width), not {self.size}")
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if len(self.mean) != 3 or len(self.std) != 3 or not finite or min(self.std) <= 0:
            raise UnseeError("mean and std need three finite values each, for RGB, with every std above 0")
        if self.class_names is not None:
            object.__setattr__(self, "class_names", tuple(self.class_names))

    @property
    def device(self) -> torch.device:
        """Where the network's weights are; the CPU for a network without any."""
        return next((tensor.device for tensor in self._tensors()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """What masks and pictures are computed in: float64 for a float64 network, float32 for all others."""
        return torch.float64 if self.net_dtype == torch.float64 else torch.float32

    @property
    def net_dtype(self) -> torch.dtype:
        """What the network's weights are in."""
        return next((t.dtype for t in self._tensors() if t.is_floating_point()), torch.float32)

    @property
    def color(self) -> tuple[float, float, float]:
        """The average colour, RGB in [0,1] (μ₀ of §4.1)."""
        return self.mean if self.mean_color is None else self.mean_color

    def logits(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Scores before the softmax of pictures in [0,1]; differentiable with respect to the pictures.

        Raises:
            UnseeError: the network's answer is not one row of class scores for each picture.
        """
        return self.answer(self.normalised(images))

    def normalised(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Pictures in [0,1] as the network takes them: shifted by the mean, divided by the deviation."""
        mean, std = (
            torch.tensor(v, device=images.device, dtype=images.dtype)[:, None, None]
            for v in (self.mean, self.std)
        )
        return (images - mean) / std

    def answer(self, inputs: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Scores before the softmax of pictures that are normalised already; differentiable.

        Raises:
            UnseeError: the network's answer is not one row of class scores for each picture.
        """
        answer = self.net(inputs.to(self.net_dtype))
        answer = getattr(answer, "logits", answer)
        if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != len(inputs):
            shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise UnseeError(
                f"the network answered {shape} to {len(inputs)} pictures; unsee needs logits of shape "
                f"({len(inputs)}, classes): wrap the network in a module that returns them"
            )
        return answer.to(inputs.dtype)

    @torch.no_grad()
    def probabilities(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Softmax scores of pictures in [0,1], without gradients, in evaluation mode."""
        with self.borrowed():
            return self.logits(images.to(self.device, self.dtype)).softmax(dim=1)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Evaluation mode and no gradients for the weights while inside; all as it was afterwards.

        Modes and `requires_grad` of every module and parameter come back, also after an exception.
        """
        modes = [(module, module.training) for module in self.net.modules()]
        wanted = [(weight, weight.requires_grad) for weight in self.net.parameters()]
        try:
            self.net.eval()
            for weight, _ in wanted:
                weight.requires_grad_(False)
            yield
        finally:
            for module, training in modes:
                module.training = training
            for weight, requires_grad in wanted:
                weight.requires_grad_(requires_grad)

    def class_index(self, target: int | np.integer | str, classes: int) -> int:
        """The index of a class given by its index, its name, or a part of its name that only it has.

        Raises:
            UnseeError: no class or several are meant.
        """
        text = str(target).strip()
        if re.fullmatch("-?[0-9]+", text):
            if 0 <= int(text) < classes:
                return int(text)
            raise UnseeError(f"class {text} is not there: {self.name} has classes 0 to {classes - 1}")
        if self.class_names is None:
            raise UnseeError(f"{self.name} has no class names: give the class {text!r} as an index")
        names = [name.casefold() for name in self.class_names]
        wanted = text.casefold()
        exact = [i for i, name in enumerate(names) if name == wanted]
        found = exact or [i for i, name in enumerate(names) if wanted and wanted in name]
        if len(found) == 1 and found[0] < classes:
            return found[0]
        if not found:
            close = nearest(wanted, names)
            hint = f"did you mean {' or '.join(close)}?" if close else "give a part of its name, or its index"
            raise UnseeError(f"{self.name} has no class called {text!r}; {hint}")
        listed = ", ".join(f"{self.class_names[i]} ({i})" for i in found[:8])
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        raise UnseeError(f"{text!r} could be {listed}{more}: give the whole name or the index")

    def class_name(self, index: int) -> str:
        """The name of a class, or its index as text where the network has no names."""
        names = self.class_names
        return names[index] if names is not None and index < len(names) else str(index)

    def _tensors(self) -> Iterator[Tensor]:
        yield from self.net.parameters()
        yield from self.net.buffers()
