"""Tiny networks of Hugging Face with random weights, written to folders, for the tests of `hf:`."""

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from unsee.errors import UnseeError
from unsee.models import load

transformers.utils.logging.disable_progress_bar()

SIDE = 32
NAMES = {0: "ant", 1: "bee", 2: "cat"}
LABELS = ("a cat", "a dog", "a bird")
WORDS = ["<pad>", "<unk>", "<s>", "</s>", *["This", "is", "a", "photo", "of", "cat", "dog", "bird", "."]]
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
TEXT = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}


def images(count=2):
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def write(folder, net, processor=None, tokenizer=None):
    for each in (net, processor, tokenizer):
        if each is not None:
            each.save_pretrained(folder)
    return folder


def vit(seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = {"id2label": NAMES, "label2id": {v: k for k, v in NAMES.items()}} | config
        net = transformers.ViTForImageClassification(transformers.ViTConfig(**VISION, **config))
        with torch.no_grad():
            net.classifier.weight *= 20
    return net.eval()


def squashing(**options):
    return transformers.ViTImageProcessor(size={"height": SIDE, "width": SIDE}, **options)


def cropping(**options):
    crop = {"height": SIDE, "width": SIDE}
    return transformers.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size=crop, **options)


def loaded(folder, **options):
    return load(f"hf:{folder}", device="cpu", **options)


def line(folder, **options):
    with pytest.raises(UnseeError) as error:
        loaded(folder, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


def tokenizer():
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    parts = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    made.pre_tokenizer = pre_tokenizers.Sequence(parts)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    special = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def clip():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vision, text = {**VISION, "projection_dim": 8}, {**TEXT, "projection_dim": 8}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        return transformers.CLIPModel(config).eval()


def siglip():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = transformers.SiglipModel(transformers.SiglipConfig(text_config=TEXT, vision_config=VISION))
        with torch.no_grad():
            net.logit_scale.fill_(2.0)
            net.logit_bias.fill_(-1.0)
        return net.eval()
