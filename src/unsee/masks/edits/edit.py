"""The seam between a mask and what it edits: image, activation or tokens."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.network_input import NetworkInput


@runtime_checkable
class Edit(Protocol):
    """A batch of images, prepared once, to which masks are applied: Φ(x₀; m) of §4.1.

    A perturbation prepares it (`Perturbation.prepare`). Masks come upsampled to `size`; 1 keeps, 0 deletes.
    """

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the masks that `apply` takes, such as the input's pixels."""

    def apply(self, masks: Float[Tensor, "b h w"], offsets: Int[Tensor, "b 2"] | None = None) -> Tensor:
        """What the network is given for one mask of each image, differentiable in the masks.

        Args:
            masks: in [0,1], at `size`.
            offsets: each image's jitter in pixels (rows, columns); None for the image without jitter, as the
                final scores have it. The mask itself never moves.
        """

    def logits(self, classifier: Classifier, given: Tensor) -> Tensor:
        """What the network makes of the result of `apply`: logits (B,C)."""

    def select(self, rows: Int[Tensor, " k"]) -> Any:  # noqa: ANN401
        """Some of the images, which may repeat, as an edit of the same kind."""

    def joined(self, other: Any) -> Any:  # noqa: ANN401
        """These images and others of the same kind."""

    def on_places(self, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b hl wl"]:
        """What masks keep at each place of the network's view, in [0,1]: how results show them.

        The masks themselves, unless they are no picture, such as masks over channels.
        """
        return masks

    def token_check(
        self,
        classifier: Classifier,  # noqa: ARG002
        masks: Float[Tensor, "b h w"],
        score: Callable[[Tensor], Tensor],  # noqa: ARG002
    ) -> list[Mapping[str, Any]]:
        """What each result records beside its scores, as JSON values; a `note` is shown to people.

        An edit of tokens says what the network answers with the deleted tokens taken out; others nothing.

        Args:
            classifier: borrowed by the caller.
            masks: what was learned, at `size`.
            score: (B,) of logits (B,C).
        """
        return [{}] * len(masks)


@runtime_checkable
class Perturbation(Protocol):
    """Says what deleting means, and prepares the edit of a batch.

    A subclass gives name, edit and edited photo. The other members say what else a perturbation is; they
    stand here for one that edits pixels.
    """

    @property
    def name(self) -> str:
        """The name in results."""

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The edit of these inputs, on the classifier's device."""

    def edited_photo(
        self, network_input: NetworkInput, mask: Float[Tensor, "h w"]
    ) -> Float[Tensor, "c h w"] | None:
        """The photo under a mask of its size, in [0,1]; None if no pixels are edited."""

    @property
    def kind(self) -> str | None:
        """What deleted pixels become, in a word; those of one kind look much alike. None for no pixels."""
        return self.name

    @property
    def own_cells(self) -> bool:
        """Whether its masks have cells of their own inside the network, such as tokens."""
        return False

    @property
    def masked_layer(self) -> str | None:
        """The dotted name of the layer that it edits; None for none."""
        return None

    @property
    def start_scale(self) -> float | None:
        """Cells of a mask for each pixel of the input, for `Start.scaled`; None if masks are no picture."""
        return 1.0
