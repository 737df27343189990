"""Hugging Face's vision transformers: ViT, DeiT, the image halves of CLIP and SigLIP, DINOv2."""

from torch import nn

from unsee.masks.edits.tokens.family import is_a

_EMBEDDINGS = {
    "vit": "ViTEmbeddings",
    "deit": "DeiTEmbeddings",
    "clip": "CLIPVisionEmbeddings",
    "siglip": "SiglipVisionEmbeddings",
    "dinov2": "Dinov2Embeddings",
    "dinov2_with_registers": "Dinov2WithRegistersEmbeddings",
}


def layer(module: nn.Module) -> str | None:
    """The embeddings, which return all tokens with their positions, are the part itself; None for others."""
    known = any(
        is_a(module, f"transformers.models.{model}.modeling_{model}", name)
        for model, name in _EMBEDDINGS.items()
    )
    return "" if known else None
