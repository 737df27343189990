"""m ⊙ a: masks on the activation of a layer, and only the network behind it runs (supplement §6.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.activation import ActivationForm
from unsee.behind_layer import BehindLayer, read, replaced
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.network_input import NetworkInput
from unsee.tensors.tiles import tiles_of, untiled

SPACE, CHANNELS, BOTH = "space", "channels", "both"
OVER = (SPACE, CHANNELS, BOTH)
"""What a mask on a layer has a value for: each place, each channel, or each place of each channel."""
_SIDE = 224


@dataclass(frozen=True)
class LayerMask(Perturbation):
    """Replaces the activation of a layer with a constant where the mask is 0.

    Args:
        layer: its dotted name.
        form: how its activation lies.
        value: the constant: one number (0 is drop-out, as in the paper), or one for each channel.
        over: one of `OVER`.
        name: the name in results.

    Raises:
        UnseeError: an unknown `over`, a mask over the places of a layer that has one, or a wrong number of
            values.
    """

    layer: str
    form: ActivationForm
    value: float | tuple[float, ...] = 0.0
    over: str = SPACE
    name: str = "layer"
    kind: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.over not in OVER:
            raise UnseeError(f"a mask on a layer is over space, channels or both, not {self.over!r}")
        if self.over != CHANNELS and self.form.places == 1:
            raise UnseeError(
                f"{self.layer} has one place and {self.form.channels} channels: mask the channels "
                "(--mask-over channels), or choose an earlier layer"
            )
        if isinstance(self.value, tuple) and len(self.value) != self.form.channels:
            raise UnseeError(
                f"{self.layer} has {self.form.channels} channels, and the constant {len(self.value)} values: "
                "give one number, or one for each channel"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the mask; channels are tiled over it, in order, row by row."""
        rows, columns = tiles_of(self.form.channels) if self.over != SPACE else (1, 1)
        return (
            (rows, columns) if self.over == CHANNELS else (rows * self.form.rows, columns * self.form.columns)
        )

    @property
    def masked_layer(self) -> str:
        """The layer."""
        return self.layer

    @property
    def start_scale(self) -> float | None:
        """The mask's longer side over that of the paper's input; None for a mask over channels."""
        return max(self.size) / _SIDE if self.over == SPACE else None

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The activations of these inputs, on the classifier's device.

        Raises:
            UnseeError: the layer returns something of another shape than `form`.
        """
        device = classifier.device
        images = classifier.normalised(torch.stack([one.plain for one in inputs]).to(device))
        activation, others = _activation(classifier, self.layer, images)
        if activation.shape[1:] != self.form.shape:
            raise UnseeError(
                f"{self.layer} of {classifier.name} returned {tuple(activation.shape[1:])} for an image, and "
                f"{self.form.shape} was expected: make the mask for this network"
            )
        values = (self.value,) if isinstance(self.value, float | int) else self.value
        value = torch.tensor(values, dtype=classifier.dtype, device=device).view(1, -1, 1, 1)
        return LayerEdit(self, images, activation, others, value)

    def edited_photo(self, network_input: NetworkInput, mask: Float[Tensor, "h w"]) -> None:  # noqa: ARG002
        """None: no pixel is edited."""
        return


@dataclass(frozen=True, eq=False)
class LayerEdit(Edit):
    """The activations of B images at a layer, and what replaces them.

    Args:
        what: the layer and what masks are over.
        inputs: the normalised images, for passes through the whole network.
        activation: what the layer returns for them.
        others: what the part behind the layer needs besides, a row an image.
        value: seen where the mask is 0, (1,1,1,1) or (1,C,1,1).
    """

    what: LayerMask
    inputs: Float[Tensor, "b n hi wi"]
    activation: Float[Tensor, "b ..."]
    others: tuple[Tensor, ...]
    value: Float[Tensor, "1 _ 1 1"]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the masks."""
        return self.what.size

    def apply(
        self,
        masks: Float[Tensor, "b h w"],
        offsets: Int[Tensor, "b 2"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "b ..."]:
        """The activation where the mask is 1, the value where it is 0; class tokens stay, nothing jitters."""
        form = self.what.form
        kept = form.laid(self.factors(masks), 1.0)
        value = form.laid(self.value.expand(1, -1, 1, 1), 0.0)
        return kept * self.activation + (1 - kept) * value

    def factors(self, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b _c _h _w"]:
        """Masks as factors on maps: (B,1,H,W), (B,C,1,1) or (B,C,H,W)."""
        if self.what.over == SPACE:
            return masks[:, None]
        tiles = tiles_of(self.what.form.channels)
        return untiled(masks, tiles)

    def logits(self, classifier: Classifier, given: Float[Tensor, "b ..."]) -> Float[Tensor, "b k"]:
        """The classifier's logits with another activation at the layer."""
        reading, typed = classifier.reading, given.to(self.activation.dtype)
        size = 1 if reading.alone else len(typed)
        parts = zip(*(torch.split(each, size) for each in (typed, self.inputs, *self.others)), strict=True)
        rows = [
            reading.logits(self._answer(classifier, part, images, others), len(part))
            for part, images, *others in parts
        ]
        return torch.cat(rows).to(given.dtype)

    def on_places(self, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b hl wl"]:
        """Which share of the activation is kept at each place of the layer, in [0,1].

        For a mask over places it is the mask. For a mask over channels it is their mean, each weighted by how
        far its activation is from the constant there; where none is, the plain mean.
        """
        if self.what.over == SPACE:
            return masks
        kept = self.factors(masks)
        weight = (self.what.form.maps(self.activation).to(kept.dtype) - self.value).abs()
        total = weight.sum(dim=1)
        plain = kept.mean(dim=1).expand_as(total)
        return torch.where(total > 0, (kept * weight).sum(dim=1) / total.clamp(min=1e-30), plain)

    def select(self, rows: Int[Tensor, " k"]) -> "LayerEdit":
        """Some of the images."""
        others = tuple(other[rows] for other in self.others)
        return replace(self, inputs=self.inputs[rows], activation=self.activation[rows], others=others)

    def joined(self, other: "LayerEdit") -> "LayerEdit":
        """These images and others with a mask on the same layer."""
        return replace(
            self,
            inputs=torch.cat([self.inputs, other.inputs]),
            activation=torch.cat([self.activation, other.activation]),
            # one of them has none if the network is not cut any more: then nothing reads them
            others=tuple(map(torch.cat, zip(self.others, other.others, strict=False))),
        )

    def _answer(
        self, classifier: Classifier, given: Tensor, images: Tensor, others: Sequence[Tensor]
    ) -> object:
        net = classifier.net
        if isinstance(net, BehindLayer) and net.layer == self.what.layer:
            return net.output(given, images, others)
        return replaced(classifier, self.what.layer, given, images)


def _activation(
    classifier: Classifier, layer: str, images: Float[Tensor, "b n h w"]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    net = classifier.net
    if isinstance(net, BehindLayer) and net.layer == layer:
        return net.activation(images)
    with torch.no_grad():
        return read(classifier, layer, images), ()
