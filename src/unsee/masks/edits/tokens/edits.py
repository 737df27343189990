"""The edits of a transformer's tokens: tokens that are not there, or embeddings that say nothing."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.hooks import hooked
from unsee.layers import layer_named
from unsee.masks.edits.edit import Edit
from unsee.masks.edits.tokens.attention import KeptTokens
from unsee.masks.edits.tokens.token_layer import TokenLayer, without_tokens

HALF = 0.5
"""Tokens with a lower mask are deleted in the binarised mask."""


@dataclass(frozen=True, eq=False)
class TokenEdit(Edit, ABC):
    """B images with masks on their patch tokens.

    Without gradients, as final scores are taken, masks of ones give the network's own answer, bit by bit.

    Args:
        images: as the network takes them.
        token_layer: where their tokens are.
    """

    images: Float[Tensor, "b c h w"]
    token_layer: TokenLayer

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the patch tokens."""
        return self.token_layer.grid.rows, self.token_layer.grid.columns

    def apply(
        self,
        masks: Float[Tensor, "b r c"],
        offsets: Int[Tensor, "b 2"] | None = None,  # noqa: ARG002 the tokens do not move
    ) -> Float[Tensor, "b n"]:
        """The mask of each patch token, row by row."""
        return masks.flatten(1)

    def logits(self, classifier: Classifier, given: Float[Tensor, "b n"]) -> Float[Tensor, "b k"]:
        """The classifier's logits for the images under these masks."""
        if not given.requires_grad and bool((given == 1).all()):
            return classifier.answer(self.images)
        if not classifier.reading.alone:
            return self.masked(classifier, self.images, given)
        pairs = zip(self.images, given, strict=True)
        return torch.cat([self.masked(classifier, image[None], keep[None]) for image, keep in pairs])

    @abstractmethod
    def masked(
        self, classifier: Classifier, images: Float[Tensor, "b c h w"], keep: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b k"]:
        """Logits for images that the network takes at once, differentiable in `keep`."""

    def select(self, rows: Int[Tensor, " k"]) -> "TokenEdit":
        """Some of the images."""
        return replace(self, images=self.images[rows])

    def joined(self, other: "TokenEdit") -> "TokenEdit":
        """These images and others."""
        return replace(self, images=torch.cat([self.images, other.images]))

    def token_check(
        self, classifier: Classifier, masks: Float[Tensor, "b r c"], score: Callable[[Tensor], Tensor]
    ) -> list[Mapping[str, Any]]:
        """For each image the scores that show whether the mask's score is that of deleted tokens.

        Args:
            classifier: borrowed by the caller.
            masks: what was learned.
            score: of one row of logits for each image.

        Returns:
            For each image `tokens`, how many there are, `deleted`, how many have a mask below 0.5,
            `binarised_score`, that of the mask with 0 for these and 1 for the others, and what the edit adds.
        """
        hard = (masks >= HALF).to(masks.dtype)
        scores = score(self.logits(classifier, self.apply(hard))).tolist()
        deleted = (hard == 0).flatten(1).sum(dim=1).tolist()
        count = masks[0].numel()
        return [
            {"tokens": count, "deleted": out, "binarised_score": value, **own}
            for out, value, own in zip(deleted, scores, self.further(classifier, hard, score), strict=True)
        ]

    @abstractmethod
    def further(
        self, classifier: Classifier, hard: Float[Tensor, "b r c"], score: Callable[[Tensor], Tensor]
    ) -> list[Mapping[str, Any]]:
        """What else is known of each image's binarised mask."""


class DroppedTokens(TokenEdit):
    """A deleted token is not there: no other token attends to it, and no mean counts it.

    A mean over no token is 0, and so is attention to none.
    """

    def masked(self, classifier: Classifier, images: Tensor, keep: Tensor) -> Tensor:
        """Logits with attention and means over the kept tokens."""
        with KeptTokens(keep, self.token_layer.grid.prefix)():
            return classifier.answer(images)

    def further(
        self, classifier: Classifier, hard: Tensor, score: Callable[[Tensor], Tensor]
    ) -> list[Mapping[str, Any]]:
        """`dropped_score`: with the deleted tokens really taken out of the sequence.

        It is null where no patch token stays, and the network gives no number without any.
        """
        stay = [mask.flatten().nonzero().flatten() for mask in hard]
        nothing = [not len(kept) and not self.token_layer.grid.prefix for kept in stay]
        rows = [
            classifier.answer(image) if none else without_tokens(classifier, self.token_layer, image, kept)
            for image, kept, none in zip(self.images[:, None], stay, nothing, strict=True)
        ]
        scores = score(torch.cat(rows)).tolist()
        known = [
            not none and (len(kept) > 0 or math.isfinite(value))
            for none, kept, value in zip(nothing, stay, scores, strict=True)
        ]
        return [{"dropped_score": v if k else None} for v, k in zip(scores, known, strict=True)]


class MaskedEmbeddings(TokenEdit):
    """A deleted token says nothing: its patch's embedding becomes the image's mean embedding."""

    def masked(self, classifier: Classifier, images: Tensor, keep: Tensor) -> Tensor:
        """Logits with embeddings moved to their mean."""
        mask = keep.view(len(keep), 1, *self.size)

        def mix(_module: nn.Module, _inputs: object, embeddings: Tensor) -> Tensor:
            mean = embeddings.mean(dim=(2, 3), keepdim=True).expand_as(embeddings)
            return torch.lerp(mean, embeddings, mask.to(embeddings.dtype).expand_as(embeddings))

        with hooked([layer_named(classifier, self.token_layer.layer)], mix):
            return classifier.answer(images)

    def further(
        self,
        classifier: Classifier,
        hard: Tensor,
        score: Callable[[Tensor], Tensor],  # noqa: ARG002
    ) -> list[Mapping[str, Any]]:
        """`note`: that tokens stay, and why."""
        note = (
            f"the tokens of {classifier.name} cannot be dropped: {self.token_layer.why_not}; "
            "embeddings of patches were masked towards their mean instead"
        )
        return [{"note": note}] * len(hard)
