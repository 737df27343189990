"""Deletion of tokens as a perturbation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.edits.tokens.edits import DroppedTokens, MaskedEmbeddings
from unsee.masks.edits.tokens.token_layer import token_layer_of
from unsee.masks.network_input import NetworkInput


@dataclass(frozen=True)
class Tokens(Perturbation):
    """Deletes patch tokens of a vision transformer: nothing is painted (docs/tokens.md).

    Where the tokens cannot be dropped, as in Swin, the embeddings of patches are masked, and results say so.
    """

    name: str = "tokens"

    kind: ClassVar[None] = None
    own_cells: ClassVar[bool] = True
    """Its masks have one cell for each token, inside the network."""

    def prepare(self, classifier: Classifier, inputs: Sequence[NetworkInput]) -> Edit:
        """The edit of these inputs, on the classifier's device.

        Raises:
            UnseeError: the network has no patch tokens.
        """
        plain = torch.stack([one.plain for one in inputs]).to(classifier.device)
        images = classifier.normalised(plain)
        token_layer = token_layer_of(classifier, images[:1])
        return (
            MaskedEmbeddings(images, token_layer)
            if token_layer.why_not
            else DroppedTokens(images, token_layer)
        )

    def edited_photo(
        self,
        network_input: NetworkInput,
        mask: Float[Tensor, "h w"],
    ) -> None:
        """None: no pixel is edited."""
