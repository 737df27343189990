"""A network whose activation at one layer is replaced: only what lies behind the layer runs, where it can."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.cutting import Cut, cut_at
from unsee.errors import UnseeError
from unsee.hooks import copied, hooked, opened
from unsee.layers import layer_named, named_layers
from unsee.memory import is_out_of_memory
from unsee.network_wrappers import NetworkWrapper
from unsee.tensors.depthwise import hasten
from unsee.tuning import folded, require_compiler

_TOLERANCE = {torch.float16: 2e-2, torch.bfloat16: 2e-2}
_STRICT = 1e-3
_FAILURES = (TypeError, ValueError, RuntimeError, AttributeError)


class BehindLayer(NetworkWrapper):
    """Runs a network from the activation of one layer on.

    Args:
        classifier: its network is borrowed for each pass through the whole of it.
        layer: a dotted name.
        autocast: whether passes with replaced activations run in bfloat16.
    """

    def __init__(self, classifier: Classifier, layer: str, autocast: bool = False) -> None:
        super().__init__()
        self.classifier = (classifier,)
        self.net = classifier.net
        self.layer = layer
        self.autocast = autocast
        self.cuts: tuple[Cut, ...] = ()

    @property
    def is_cut(self) -> bool:
        """Whether only the part behind the layer runs for a replaced activation."""
        return bool(self.cuts)

    def forward(self, images: Float[Tensor, "b c h w"]) -> object:
        """The whole network's output."""
        (classifier,) = self.classifier
        with classifier.borrowed(), self._precision(images):
            return self.net(images)

    @torch.no_grad()
    def activation(self, inputs: Float[Tensor, "b c h w"]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The layer's activation for normalised images, and what else the part behind it needs.

        If for these images the first part gives another activation than the whole network, or the second part
        other logits with half of the activation, the network is not cut from then on.

        Raises:
            UnseeError: the layer does not run once for an image, or does not return one tensor.
        """
        (classifier,) = self.classifier
        with classifier.borrowed():
            if not self.cuts:
                return read(classifier, self.layer, inputs), ()
            try:
                activation, others = self.cuts[0].activation(inputs.to(classifier.net_dtype))
                if _same(classifier, self.layer, self.cuts[0], inputs, activation, others):
                    return activation, others
            except _FAILURES as error:
                if is_out_of_memory(error):
                    raise
            self.cuts = ()
            return read(classifier, self.layer, inputs), ()

    def output(self, given: Tensor, inputs: Tensor, others: Sequence[Tensor]) -> object:
        """What the network returns with another activation at the layer; differentiable with respect to it.

        Args:
            given: the activation of each image.
            inputs: the normalised images, for the whole network.
            others: what `activation` has returned besides.
        """
        (classifier,) = self.classifier
        if self.cuts:
            with self._precision(given):
                return self.cuts[0].behind(given, *(other.clone() for other in others))
        with classifier.borrowed(), self._precision(given):
            return replaced(classifier, self.layer, given, inputs)

    @contextmanager
    def _precision(self, like: Tensor) -> Iterator[None]:
        with torch.autocast(like.device.type, torch.bfloat16, self.autocast):
            yield


def behind_layer(
    classifier: Classifier, layer: str, bfloat16: bool = False, compiled: bool = False
) -> Classifier:
    """The classifier with a network that runs from a layer on, cut there if possible, and made for speed.

    The parts are of a private copy. That behind the layer has BatchNorm folded into convolutions and channels
    last, where it then gives the same.

    Args:
        classifier: borrowed, and given back as it was.
        layer: a dotted name.
        bfloat16: whether passes with replaced activations run under bfloat16 autocast.
        compiled: whether the part behind the layer is handed to `torch.compile`.

    Raises:
        UnseeError: there is no such layer, the network's layers are closed, or there is no C++ compiler.
    """
    if compiled:
        require_compiler(classifier.device)
    classifier = opened(classifier)
    layer_named(classifier, layer)
    _ = classifier.reading
    net = BehindLayer(classifier, layer, bfloat16)
    with classifier.borrowed():
        cut = _private_cut(classifier, layer)
        if cut is not None:
            net.cuts = (_fastest(classifier, cut),)
    if bfloat16 and classifier.device.type == "cpu":
        for part in net.cuts:
            hasten(part.behind)
    if compiled:
        for part in net.cuts:
            part.behind.compile(mode="reduce-overhead" if classifier.device.type == "cuda" else "default")
    return classifier.with_net(net)


def read(classifier: Classifier, layer: str, inputs: Float[Tensor, "b c h w"]) -> Tensor:
    """What a layer returns for normalised images, by a pass through the whole lent network.

    Raises:
        UnseeError: the layer does not run once for an image, or does not return one tensor.
    """
    found: list[Tensor] = []
    classifier = opened(classifier)

    def keep(output: Tensor) -> None:
        found.append(output.clone())

    for part in _parts(classifier, inputs):
        _hooked_pass(classifier, layer, part, keep)
    return torch.cat(found)


def replaced(classifier: Classifier, layer: str, given: Tensor, inputs: Float[Tensor, "b c h w"]) -> object:
    """What a lent network returns for normalised images if a layer returned another activation.

    Raises:
        UnseeError: the layer does not run once for an image, or does not return one tensor.
    """
    return _hooked_pass(opened(classifier), layer, inputs, lambda _: given)


def _hooked_pass(
    classifier: Classifier, layer: str, inputs: Tensor, act: Callable[[Tensor], Tensor | None]
) -> object:
    """A pass through the whole network in which `act` sees a layer's activation, and may replace it."""
    times = 0

    def hook(_module: nn.Module, _inputs: object, output: object) -> Tensor | None:
        nonlocal times
        times += 1
        if times > 1 or not isinstance(output, Tensor) or output.ndim == 0 or len(output) != len(inputs):
            raise UnseeError(
                f"{layer} of {classifier.name} does not run once for an image and return one tensor: choose "
                "a layer that `unsee layers` lists"
            )
        return act(output)

    with hooked([layer_named(classifier, layer)], hook):
        answer = classifier.net(inputs.to(classifier.net_dtype))
    if times == 0:
        raise UnseeError(f"{layer} of {classifier.name} does not run: choose one that `unsee layers` lists")
    return answer


def _parts(classifier: Classifier, inputs: Tensor) -> list[Tensor]:
    """The images as the network takes them: together, or one at a time."""
    return list(inputs[:, None].unbind()) if classifier.reading.alone else [inputs]


def _private_cut(classifier: Classifier, layer: str) -> Cut | None:
    """A lent network's copy, cut; None where it cannot be copied or cut, or calls modules of the original."""
    if classifier.net is not classifier.network or classifier.reading.alone:
        return None
    try:
        twin = copied(classifier.network)
    except (RuntimeError, TypeError, AttributeError, copy.Error):
        return None
    cut = cut_at(twin, named_layers(twin)[layer])
    if cut is None:
        return None
    called: list[bool] = []
    with torch.no_grad(), hooked(classifier.network.modules(), lambda *_: called.append(True), before=True):
        try:
            activation, others = cut.activation(_probe(classifier))
            cut.behind(activation, *others)  # what it may change in place is not used again
        except _FAILURES:
            return None
    return None if called else cut


@torch.no_grad()
def _fastest(classifier: Classifier, cut: Cut) -> Cut:
    """The cut with the fastest variant of its second part that gives the same."""
    activation, others = cut.activation(_probe(classifier))

    def answer(part: nn.Module) -> object:
        return part(activation.clone(), *(other.clone() for other in others))  # it may change them in place

    expected = classifier.reading.logits(answer(cut.behind), 1)
    for change in (folded, _unchanged):
        try:
            variant = Cut(cut.before, change(cut.behind).to(memory_format=torch.channels_last))
            output = answer(variant.behind)
        except Exception:
            continue
        if _close(classifier.reading.logits(output, 1), expected):
            return variant
    return cut


@torch.no_grad()
def _same(
    classifier: Classifier, layer: str, cut: Cut, inputs: Tensor, activation: Tensor, others: Sequence[Tensor]
) -> bool:
    """Whether the first part gives the activation, and the second what the whole gives with half of it."""
    read_as, count = classifier.reading.logits, len(inputs)
    seen: list[Tensor] = []

    def halve(output: Tensor) -> Tensor:
        seen.append(output.clone())
        return output / 2

    expected = read_as(_hooked_pass(classifier, layer, inputs, halve), count)
    found = read_as(cut.behind(seen[0] / 2, *(other.clone() for other in others)), count)
    return _close(activation, seen[0]) and _close(found, expected)


def _probe(classifier: Classifier) -> Tensor:
    """A random image, as the network takes it."""
    draws = torch.rand(1, *classifier.input_shape, generator=torch.Generator().manual_seed(0))
    images = draws.to(classifier.device, classifier.dtype)
    return classifier.normalised(images).to(classifier.net_dtype)


def _close(one: Tensor, other: Tensor) -> bool:
    tolerance = _TOLERANCE.get(one.dtype, _STRICT)
    return one.shape == other.shape and torch.allclose(
        one, other, rtol=tolerance, atol=tolerance, equal_nan=True
    )


def _unchanged(net: nn.Module) -> nn.Module:
    return net
