"""Zero-shot classifiers such as CLIP and SigLIP: the classes are texts, which are encoded once."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.request import Request
from unsee.target_scores import SIGMOID, SOFTMAX

TEMPLATE = "This is a photo of {}."
"""What a label is put into before it is encoded, as Hugging Face's pipeline does."""
_SIGLIP = ("siglip", "siglip2")
_LONGEST = 64
"""Tokens that SigLIP was trained with; its texts are padded to them."""
_SAME = 1e-3


class ZeroShotNetwork(nn.Module):
    """The cosine between an image and each text, scaled as in training.

    Args:
        model: encodes images; its texts are not needed any more.
        texts: (K,D) embeddings of unit length.
        scale: what the cosine is multiplied with.
        bias: what is then added.
    """

    def __init__(self, model: Any, texts: Float[Tensor, "k d"], scale: float, bias: float) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model
        self.texts: Tensor
        self.register_buffer("texts", texts)
        self.scale, self.bias = scale, bias

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The logit of each text for normalised images."""
        found = F.normalize(_vectors(self.model.get_image_features(pixel_values=images)), dim=-1)
        return self.scale * found @ self.texts.to(found.dtype).T + self.bias


def zero_shot(net: Any, tokenizer: Any, request: Request, known: dict[str, Any]) -> Classifier:  # noqa: ANN401
    """A classifier of the labels: softmax over them for CLIP, a sigmoid of each for SigLIP.

    Args:
        net: a network with `get_image_features`, `get_text_features` and `logit_scale`.
        tokenizer: of its texts.
        request: has the labels.
        known: the other arguments of `Classifier`.

    Raises:
        UnseeError: the labels are not valid, or the network is not of this kind.
    """
    labels = _checked(request.labels or ())
    siglip = net.config.model_type in _SIGLIP
    if not siglip and len(labels) < 2:
        raise UnseeError(f"{request.name} chooses between its labels: give two or more (--labels)")
    if not all(hasattr(net, name) for name in ("get_image_features", "get_text_features", "logit_scale")):
        raise UnseeError(f"{request.name} does not compare images with texts as CLIP and SigLIP do")
    net = net.eval()
    tokens = _tokens(net, tokenizer, labels, siglip)
    with torch.no_grad():
        texts = F.normalize(_vectors(net.get_text_features(**tokens)), dim=-1)
        bias = float(net.logit_bias) if hasattr(net, "logit_bias") else 0.0
        found = ZeroShotNetwork(net, texts, float(net.logit_scale.exp()), bias)
        _check_equal(net, found, tokens, known["size"], request.name)
    if hasattr(net, "text_model"):
        del net.text_model
    return Classifier(
        found.eval(),
        class_names=labels,
        head=SIGMOID if siglip else SOFTMAX,
        head_reason="SigLIP scores each label on its own" if siglip else "CLIP chooses between its labels",
        **known | {"facts": {**known["facts"], "labels": list(labels), "template": TEMPLATE}},
    )


def _checked(labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str) or not all(isinstance(label, str) and label.strip() for label in labels):
        raise UnseeError("labels= takes a list of texts, such as ['a cat', 'a dog']")
    if len(set(labels)) != len(labels):
        raise UnseeError("labels= (--labels) has the same label twice")
    if not labels:
        raise UnseeError("labels= (--labels) is empty: give the classes to choose from")
    return tuple(labels)


def _tokens(net: Any, tokenizer: Any, labels: Sequence[str], siglip: bool) -> dict[str, Tensor]:  # noqa: ANN401
    """The texts' tokens; SigLIP's are padded to the length that it was trained with.

    Raises:
        UnseeError: a text is too long.
    """
    texts = [TEMPLATE.format(label) for label in labels]
    places = int(getattr(net.config.text_config, "max_position_embeddings", _LONGEST))
    longest = min(places, _LONGEST) if siglip else places
    for label, ids in zip(labels, tokenizer(texts)["input_ids"], strict=True):
        if len(ids) > longest:
            raise UnseeError(f"the label {label[:40]!r} has {len(ids)} tokens, and {longest} fit: shorten it")
    padding = {"padding": "max_length", "max_length": longest} if siglip else {"padding": True}
    tokens = tokenizer(texts, return_tensors="pt", **padding)
    taken = ("input_ids",) if siglip else ("input_ids", "attention_mask")
    return {name: tokens[name] for name in taken if name in tokens}


def _check_equal(
    net: Any,  # noqa: ANN401
    found: ZeroShotNetwork,
    tokens: dict[str, Tensor],
    size: tuple[int, int],
    name: str,
) -> None:
    """Check that the network's own answer to an image is the same.

    Raises:
        UnseeError: it is another one, or there is none.
    """
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    try:
        own = net(pixel_values=images, **tokens).logits_per_image
        same = torch.allclose(own, found(images), rtol=_SAME, atol=_SAME)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnseeError(f"{name} failed on an image of {size[0]} × {size[1]} pixels: {reason}") from error
    if not same:
        raise UnseeError(f"{name} does not compare images with texts as CLIP and SigLIP do")


def _vectors(found: Any) -> Tensor:  # noqa: ANN401
    """The embeddings, which some versions of transformers return inside an object."""
    vectors: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return vectors
