"""A network with its input size, normalisation and class names: RGB in [0,1] in, logits out."""

import math
import re
from abc import ABC
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.choices import nearest
from unsee.errors import UnseeError
from unsee.lending import lent, original

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

TargetLike = int | np.integer | str | Sequence[int | np.integer | str]


class NetworkWrapper(nn.Module, ABC):
    """A module that runs another network, such as a faster copy; layers are named as in that network."""

    net: nn.Module


@dataclass(frozen=True, eq=False)
class Classifier:
    """Wraps any module that turns (B,3,H,W) images into (B,C) logits, without changing the module.

    Args:
        net: the module; it stays on its device and in its dtype.
        size: height and width of the network's input, in pixels.
        mean: RGB mean, in [0,1], that is subtracted from images.
        std: RGB standard deviation that images are then divided by.
        class_names: one for each logit, in order; without them classes are named by their index.
        name: the network's name in results.
        weights_sha256: hash of the weight file, recorded in results.
        mean_color: RGB in [0,1] of the "constant" perturbation; defaults to `mean`.

    Raises:
        UnseeError: the size, mean or standard deviation is not valid.
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
    def network(self) -> nn.Module:
        """The network itself, whose layers have names: `net` without a wrapper that runs or compiles it."""
        return original(self.net.net if isinstance(self.net, NetworkWrapper) else self.net)

    @property
    def device(self) -> torch.device:
        """The device of the network's weights; the CPU for a network without weights."""
        return next((tensor.device for tensor in self._tensors()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of masks and images: float64 for a float64 network, float32 for all others."""
        return torch.float64 if self.net_dtype == torch.float64 else torch.float32

    @property
    def net_dtype(self) -> torch.dtype:
        """The dtype of the network's weights."""
        return next((t.dtype for t in self._tensors() if t.is_floating_point()), torch.float32)

    @property
    def color(self) -> tuple[float, float, float]:
        """The average colour, RGB in [0,1] (μ₀ of §4.1)."""
        return self.mean if self.mean_color is None else self.mean_color

    def logits(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """The network's logits for images in [0,1]; differentiable with respect to the images.

        Raises:
            UnseeError: the network's output is not one row of logits for each image.
        """
        return self.answer(self.normalised(images))

    def normalised(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Images in [0,1] with the mean subtracted, divided by the standard deviation."""
        mean, std = (
            torch.tensor(v, device=images.device, dtype=images.dtype)[:, None, None]
            for v in (self.mean, self.std)
        )
        return (images - mean) / std

    def answer(self, inputs: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """The network's logits for images that are already normalised; differentiable.

        Raises:
            UnseeError: the network's output is not one row of logits for each image.
        """
        output = self.net(inputs.to(self.net_dtype))
        output = getattr(output, "logits", output)
        if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(inputs):
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise UnseeError(
                f"the network returned {shape} for {len(inputs)} images; unsee needs logits of shape "
                f"({len(inputs)}, classes): wrap the network in a module that returns them"
            )
        return output.to(inputs.dtype)

    @torch.no_grad()
    def probabilities(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Softmax scores for images in [0,1], in evaluation mode and without gradients."""
        with self.borrowed():
            return self.logits(images.to(self.device, self.dtype)).softmax(dim=1)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """A context in which the network is in evaluation mode and its weights need no gradients.

        On leaving, also after an exception, each module's mode and each parameter's `requires_grad` are
        restored; several threads may borrow one network at once. The caller's autocast, inference mode,
        default dtype and default device have no effect inside.
        """
        with lent(self.net):
            yield

    def class_index(self, target: int | np.integer | str, classes: int) -> int:
        """The index of a class.

        Args:
            target: the class's index, its name, or a part of its name that no other class has.
            classes: the number of classes.

        Raises:
            UnseeError: no class matches, or more than one.
        """
        text = str(target).strip()
        if re.fullmatch("-?[0-9]+", text):
            if 0 <= int(text) < classes:
                return int(text)
            raise UnseeError(f"class {text} does not exist: {self.name} has classes 0 to {classes - 1}")
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
        """The name of a class, or its index as text if the network has no class names."""
        names = self.class_names
        return names[index] if names is not None and index < len(names) else str(index)

    def _tensors(self) -> Iterator[Tensor]:
        yield from self.net.parameters()
        yield from self.net.buffers()
