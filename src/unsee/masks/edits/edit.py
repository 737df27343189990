"""The seam between a mask and what it edits: image, activation or tokens."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier


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


@runtime_checkable
class TokenChecked(Protocol):
    """An edit of tokens: it also says what the network answers with the deleted tokens taken out."""

    def token_check(
        self, classifier: Classifier, masks: Float[Tensor, "b h w"], score: Callable[[Tensor], Tensor]
    ) -> list[Mapping[str, Any]]:
        """What each result records beside its scores, as JSON values; a `note` is shown to people.

        Args:
            classifier: borrowed by the caller.
            masks: what was learned, at `size`.
            score: (B,) of logits (B,C).
        """


@runtime_checkable
class OnPlaces(Protocol):
    """An edit whose masks are not themselves a picture, such as masks over channels."""

    def on_places(self, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b hl wl"]:
        """What masks keep at each place of the network's view, in [0,1]: how results show them."""


def pictured(edit: Edit, masks: Float[Tensor, "b h w"]) -> Float[Tensor, "b hl wl"]:
    """Masks as results show them: those of `OnPlaces` at their places, others as they are."""
    return edit.on_places(masks) if isinstance(edit, OnPlaces) else masks
