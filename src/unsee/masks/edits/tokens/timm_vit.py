"""timm's vision transformers: ViT, DeiT and others of the class, with registers or without a class token."""

from torch import nn

from unsee.masks.edits.tokens.family import is_a


def layer(module: nn.Module) -> str | None:
    """The part of a `VisionTransformer` that returns all tokens with their positions; None for others."""
    known = is_a(module, "timm.models.vision_transformer", "VisionTransformer")
    return "norm_pre" if known else None
