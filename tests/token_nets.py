"""Small vision transformers of random weights, of each family whose tokens can be dropped, and of others."""

import copy

import timm
import torch
import torchvision
import transformers
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from unsee.classifier import Classifier
from unsee.models.zero_shot import ZeroShotNetwork

SIZE = (32, 48)
CLASSES = 5
WIDE = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": CLASSES}
HUGGING = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
LABELLED = {"id2label": {n: str(n) for n in range(CLASSES)}, "label2id": {str(n): n for n in range(CLASSES)}}


@torch.no_grad()
def lively(net, seed=0):
    """Weights with which attention is uneven and positions count; LayerNorms stay as they are."""
    draws = torch.Generator().manual_seed(seed)
    for name, weight in net.named_parameters():
        if weight.ndim > 1 and not ("pos" in name or "token" in name or "latent" in name or "probe" in name):
            scale = 1.5 / weight[0].numel() ** 0.5
        else:
            scale = 1.0 if weight.ndim > 1 else 0.0
        if scale:
            weight.copy_(scale * torch.randn(weight.shape, generator=draws))
    return net.eval()


def torchvision_vit():
    return torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=CLASSES)


def timm_vit(**options):
    return VisionTransformer(img_size=SIZE, **WIDE, **options)


def timm_unfused(**options):
    net = timm_vit(**options)
    for block in net.blocks:
        block.attn.fused_attn = False
    return net


def hugging(kind, config, **options):
    return getattr(transformers, kind)(getattr(transformers, config)(**HUGGING, **LABELLED, **options))


def clip_images():
    config = transformers.CLIPVisionConfig(**HUGGING)
    return transformers.CLIPForImageClassification(
        transformers.CLIPConfig(vision_config=config.to_dict(), text_config={"hidden_size": 8}, **LABELLED)
    )


def siglip_images():
    config = transformers.SiglipVisionConfig(**HUGGING)
    return transformers.SiglipForImageClassification(
        transformers.SiglipConfig(vision_config=config.to_dict(), text_config={"hidden_size": 8}, **LABELLED)
    )


class ImageHalf(nn.Module):
    """Stands for CLIP or SigLIP in a zero-shot classifier, without the text half."""

    def __init__(self, vision):
        super().__init__()
        self.vision = vision

    def get_image_features(self, pixel_values):
        return self.vision(pixel_values=pixel_values)


def zero_shot(kind):
    config = getattr(transformers, f"{kind}VisionConfig")(**HUGGING)
    vision = getattr(transformers, f"{kind}VisionModel")(config)
    texts = F.normalize(torch.randn(CLASSES, 16, generator=torch.Generator().manual_seed(3)), dim=1)
    return ZeroShotNetwork(ImageHalf(vision), texts, 5.0, 0.0)


MAKERS = {
    "torchvision": torchvision_vit,
    "timm": timm_vit,
    "timm, unfused": timm_unfused,
    "timm, registers, mean": lambda: timm_unfused(reg_tokens=4, global_pool="avg", fc_norm=True),
    "timm, no class token": lambda: timm_vit(class_token=False, global_pool="avg"),
    "timm, attention pool": lambda: timm_vit(class_token=False, global_pool="map"),
    "timm, positions without class": lambda: timm_vit(no_embed_class=True, reg_tokens=2, pre_norm=True),
    "timm, distilled": lambda: VisionTransformerDistilled(img_size=SIZE, **WIDE),
    "hf vit": lambda: hugging("ViTForImageClassification", "ViTConfig"),
    "hf vit, eager": lambda: hugging("ViTForImageClassification", "ViTConfig", attn_implementation="eager"),
    "hf deit": lambda: hugging("DeiTForImageClassificationWithTeacher", "DeiTConfig"),
    "hf clip": clip_images,
    "hf siglip": siglip_images,
    "hf dinov2 with registers": lambda: hugging(
        "Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig", num_register_tokens=3
    ),
    "zero-shot clip": lambda: zero_shot("CLIP"),
    "zero-shot siglip": lambda: zero_shot("Siglip"),
}
"""By name; those of timm take 32 × 48 pixels, the others 32 × 32; patches have 8 × 8."""
PREFIX = {
    "timm, registers, mean": 5,
    "timm, no class token": 0,
    "timm, attention pool": 0,
    "timm, positions without class": 3,
    "timm, distilled": 2,
    "hf deit": 2,
    "hf siglip": 0,
    "hf dinov2 with registers": 4,
    "zero-shot siglip": 0,
}
"""Class and register tokens; of the others one."""


def made(name, seed=0):
    """A classifier of a family of `MAKERS`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = lively(MAKERS[name](), seed)
    return Classifier(net, size=SIZE if name.startswith("timm") else (32, 32), name=name)


class Subset(nn.Module):
    """Some of the tokens that a module returns."""

    def __init__(self, inner, stay):
        super().__init__()
        self.inner, self.stay = inner, stay

    def forward(self, *given, **named):
        return self.inner(*given, **named)[:, self.stay]

    def __getattr__(self, name):
        return super().__getattr__(name) if name in ("inner", "stay") else getattr(self.inner, name)


def shortened(classifier, stay):
    """A copy of the network that goes on with these tokens alone, after positions were added to all."""
    net = copy.deepcopy(classifier.net)
    for name, module in list(net.named_modules()):
        hugging_face = type(module).__name__.endswith("Embeddings") and name.endswith("embeddings")
        if hugging_face or name in ("norm_pre", "encoder.dropout"):
            net.set_submodule(name, Subset(module, stay))
    return classifier.with_net(net.eval())


def swin():
    return lively(
        torchvision.models.SwinTransformer(
            patch_size=[4, 4], embed_dim=8, depths=[2], num_heads=[2], window_size=[4, 4], num_classes=CLASSES
        )
    )


def max_pooled():
    """A vision transformer that does more with its tokens than attention and a mean."""
    return lively(timm_vit(class_token=False, global_pool="max"))


def convnet():
    return timm.create_model("test_convnext", pretrained=False, num_classes=CLASSES).eval()
