"""torchvision's vision transformers."""

from torch import nn

from unsee.masks.edits.tokens.family import is_a


def layer(module: nn.Module) -> str | None:
    """The part of a `VisionTransformer` that returns all tokens with their positions; None for others."""
    known = is_a(module, "torchvision.models.vision_transformer", "VisionTransformer")
    return "encoder.dropout" if known else None
