"""A network with its input and what its answer means: images in [0,1] in, logits and scores out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.choices import look_up
from unsee.class_names import ClassNames, class_index, class_names_of
from unsee.errors import UnseeError
from unsee.fits import Fit
from unsee.heads import AUTO, GIVEN, HEADS, Head, Reading
from unsee.input_values import Channels, InputValues, each_channel
from unsee.lending import lent, original
from unsee.network_wrappers import NetworkWrapper, account_of, is_closed
from unsee.pixels import UNIT
from unsee.probes import asked, probed
from unsee.target_scores import SCORES

TargetLike = int | np.integer | str | Sequence[int | np.integer | str]


@dataclass(frozen=True, eq=False)
class Classifier:
    """Wraps any module that turns (B,C,H,W) images into scores, without changing the module.

    Args:
        net: the module; it stays on its device and in its dtype.
        size: height and width of the network's input, in pixels.
        mean: of each channel, or one number for all, subtracted from images in the value range. Defaults to
            ImageNet's for three channels in [0,1], and to 0 for any other input.
        std: of each channel, or one number for all, that images are then divided by. Defaults likewise, to 1.
        class_names: one for each score, in order, or a mapping from index to name; without them classes are
            named by their index.
        name: the network's name in results.
        weights_sha256: hash of the weight file, recorded in results.
        mean_color: value of each channel in [0,1] of the "constant" perturbation; defaults to `mean`, if one
            is given or ImageNet's is used, else to mid-grey.
        head: what the network's answer means: "softmax" (logits of one class for an image), "sigmoid" (logits
            of independent classes, or of a binary classifier), "probabilities", "logit" (scores without a
            range, as in regression), a function of the answer that returns (B,C) scores, or "auto". "auto"
            evaluates two probe images at the first use.
        head_reason: why the head is known, for `unsee check`.
        score: what several target classes score together, a name in `unsee.target_scores.SCORES`: "softmax",
            the sum of their probabilities; "sigmoid" and "sigmoid-all", the probability that at least one of
            them, or every one, is there; "logit", the sum of their logits. Without it the head decides.
        channels: of the input; defaults to the length of `mean` and `std`, else to 3.
        value_range: what black and white are for the network before mean and std; images are in [0,1].
        trained_fit: how photos were brought to the input when the network was trained, if that is known.
        facts: what else its scores depend on, as JSON values, for the record: the labels of a zero-shot
            classifier, for example.

    Raises:
        UnseeError: the size, mean, standard deviation, channels, value range or class names are not valid.
    """

    net: nn.Module
    size: tuple[int, int] = (224, 224)
    mean: Channels = None
    std: Channels = None
    class_names: ClassNames | None = None
    name: str = "custom"
    weights_sha256: str | None = None
    mean_color: Channels = None
    head: Head = AUTO
    head_reason: str = GIVEN
    score: str | None = None
    channels: int | None = None
    value_range: tuple[float, float] = UNIT
    trained_fit: Fit | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    values: InputValues = field(init=False, repr=False)
    color: tuple[float, ...] = field(init=False, repr=False)
    names: tuple[str, ...] | None = field(init=False, repr=False)
    _known: list[Reading] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.net, nn.Module):
            raise UnseeError(f"a Classifier wraps a torch.nn.Module, not {type(self.net).__name__}")
        if not isinstance(self.size, tuple | list) or len(self.size) != 2 or min(self.size) < 1:
            raise UnseeError(f"the input size must be a positive (height, width), not {self.size}")
        if not callable(self.head):
            look_up(dict.fromkeys(HEADS), self.head, "head")
        if self.score is not None:
            look_up(SCORES, self.score, "score")
        values = InputValues.of(self.mean, self.std, self.channels, self.value_range)
        count, given, names = len(values.mean), self.mean_color, class_names_of(self.class_names)
        own = {
            "channels": count,
            "mean": values.mean if values.stated else None,
            "std": values.std if values.stated else None,
            "value_range": values.value_range,
            "class_names": names,
            "names": names,
            "values": values,
            "color": values.color if given is None else _checked_color(given, count),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def network(self) -> nn.Module:
        """The network itself, whose layers have names: `net` without wrappers that run or compile it."""
        net = original(self.net)
        while isinstance(net, NetworkWrapper):
            net = original(net.net)
        return net

    @property
    def hookable(self) -> bool:
        """Whether methods can read and change what happens inside the network: its layers and functions.

        False for TorchScript and for programs of `torch.export`, which call no module and no function of
        torch that could be replaced, and for networks that run outside torch.
        """
        return not any(is_closed(module) for module in self.network.modules())

    @property
    def account(self) -> str:
        """What the network has been asked so far, in a line; empty where nobody counts, as for most."""
        return account_of(self.network)

    @property
    def record(self) -> dict[str, Any]:
        """What its scores depend on besides network, weights, size and head, as JSON values."""
        values = self.values
        own = {"mean": values.mean, "std": values.std, "value_range": values.value_range, "color": self.color}
        return {**{name: list(value) for name, value in own.items()}, **self.facts}

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
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's input."""
        assert self.channels is not None
        return self.channels, self.size[0], self.size[1]

    @property
    def reading(self) -> Reading:
        """What the network's answer means; found on two probe images at the first use.

        Raises:
            UnseeError: the network fails on them, or its head cannot be told.
        """
        if not self._known:
            draws = torch.Generator().manual_seed(0)
            image = torch.rand(1, *self.input_shape, generator=draws, dtype=torch.float64)
            names = None if self.names is None else len(self.names)
            with self.borrowed():
                found = probed(self._probe, image.to(self.device, self.dtype), self.head, names)
            reason = self.head_reason if found.why == GIVEN else found.why
            self._known.append(replace(found, why=reason))
        return replace(self._known[0], score=self.score or "")

    def with_net(self, net: nn.Module) -> "Classifier":
        """The same classifier around another module that gives the same answers."""
        other = replace(self, net=net)
        other._known.extend(self._known)
        return other

    def scored(self, score: str | None) -> "Classifier":
        """The same classifier with another score of several target classes; None leaves it as it is.

        Raises:
            UnseeError: the score is unknown.
        """
        if score is None:
            return self
        other = replace(self, score=score)
        other._known.extend(self._known)
        return other

    def logits(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The network's logits for images in [0,1]; differentiable with respect to the images.

        Probabilities, if the network returns them, become their logarithms or log-odds.

        Raises:
            UnseeError: the network's answer is not one row of scores for each image.
        """
        return self.answer(self.normalised(images))

    def normalised(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Images in [0,1] as the network takes them: in its value range, normalised by mean and std."""
        return self.values.normalised(images)

    def answer(self, inputs: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The network's logits for images that are already normalised; differentiable.

        Raises:
            UnseeError: the network's answer is not one row of scores for each image.
        """
        reading = self.reading
        parts = inputs[:, None] if reading.alone and len(inputs) > 1 else [inputs]
        rows = [reading.logits(self.net(part.to(self.net_dtype)), len(part)) for part in parts]
        return torch.cat(rows).to(inputs.dtype)

    @torch.no_grad()
    def still_logits(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of images in [0,1], in evaluation mode and without gradients."""
        with self.borrowed():
            return self.logits(images.to(self.device, self.dtype))

    def target_scores(
        self, logits: Float[Tensor, "b k"], targets: Sequence[Sequence[int]]
    ) -> Float[Tensor, " b"]:
        """The score of each image's target classes together, by `score` or else the head.

        Args:
            logits: as `logits` gives them.
            targets: the indices of each image's classes.
        """
        marks = torch.zeros_like(logits)
        for row, indices in zip(marks, targets, strict=True):
            row[list(indices)] = 1
        return self.reading.target_scores(logits, marks)

    @torch.no_grad()
    def probabilities(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Scores of all classes for images in [0,1], in evaluation mode and without gradients.

        Probabilities, or for the head "logit" the network's own values.
        """
        return self.reading.scores(self.still_logits(images))

    def not_finite(self, photo: str) -> str:
        """What to say of a photo for which the network gives NaN or infinite scores."""
        return f"{self.name} gives scores for {photo} that are not finite"

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """A context in which the network is in evaluation mode and its weights need no gradients.

        On leaving, also after an exception, each module's mode and each parameter's `requires_grad` are
        restored; several threads may borrow one network at once. The caller's autocast, inference mode,
        default dtype and default device have no effect inside.
        """
        with lent(self.net):
            yield

    def class_index(self, target: object, classes: int) -> int:
        """The index of a class; a name goes before an index (see `unsee.class_names.class_index`).

        Args:
            target: the class's name, its index, or a part of its name that no other class has.
            classes: the number of classes.

        Raises:
            UnseeError: no class matches, or more than one.
        """
        return class_index(target, classes, self.names, self.name)

    def class_name(self, index: int) -> str:
        """The name of a class, or its index as text if the network has no class names."""
        return self.names[index] if self.names is not None and index < len(self.names) else str(index)

    def _probe(self, images: Float[Tensor, "b c h w"]) -> object:
        """The network's answer to probe images.

        Raises:
            UnseeError: it fails.
        """
        inputs = self.normalised(images).to(self.net_dtype)
        return asked(self.net, inputs, self.name)

    def _tensors(self) -> Iterator[Tensor]:
        yield from self.net.parameters()
        yield from self.net.buffers()


def _checked_color(given: float | Sequence[float], channels: int) -> tuple[float, ...]:
    color = each_channel(given, channels, "mean_color")
    if not all(0 <= value <= 1 for value in color):
        raise UnseeError(
            f"mean_color is a colour in [0,1], got {given!r}: divide by 255 if it is one of 0 to 255"
        )
    return color
