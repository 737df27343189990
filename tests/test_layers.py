"""Which layer is chosen by itself, and how the tokens of transformers lie on a grid."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.layers import TokenGrid, last_spatial_layer
from unsee.methods import METHODS

WIDTH = 8


class Block(nn.Module):
    """A block of a vision transformer with one head, named as timm names its parts."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=2)
        x = x + self.proj((q @ k.transpose(1, 2) / WIDTH**0.5).softmax(2) @ v)
        return x + self.mlp(self.norm2(x))


class PatchEmbedding(nn.Module):
    """Patches of 8 pixels as tokens."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(3, WIDTH, 8, stride=8)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class TinyViT(nn.Module):
    """Two blocks, with any number of class and register tokens; without any the patches' mean is taken."""

    def __init__(self, prefix):
        super().__init__()
        self.prefix = nn.Parameter(torch.randn(1, prefix, WIDTH)) if prefix else None
        self.patch_embed, self.blocks = PatchEmbedding(), nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.patch_embed(x)
        if self.prefix is not None:
            x = torch.cat([self.prefix.expand(len(x), -1, -1), x], dim=1)
        x = self.norm(self.blocks(x))
        return self.head(x.mean(1) if self.prefix is None else x[:, 0])


class ChannelsLast(nn.Module):
    """A network whose maps have their channels last, as Swin's have in timm."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.head = nn.Conv2d(3, 6, 8, stride=8), nn.LayerNorm(6), nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.norm(self.stem(x).permute(0, 2, 3, 1)).mean((1, 2)))


def drawn(make, size=(32, 32), **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return Classifier(make(**options).double().eval(), size=size, name="tiny")


def images(size=(32, 32)):
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def literal_grad_cam(classifier, views, targets, layer, prefix, grid):
    """Grad-CAM of tokens, patch by patch in NumPy, from what the layer returned and its gradient."""
    outputs = []
    handle = classifier.net.get_submodule(layer).register_forward_hook(
        lambda _m, _i, out: outputs.append(out)
    )
    logits = classifier.logits(views.clone().requires_grad_())
    handle.remove()
    score = sum(row[target] for row, target in zip(logits, targets, strict=True))
    (gradient,) = torch.autograd.grad(score, outputs[0])
    tokens, gradient = outputs[0].detach().numpy(), gradient.numpy()
    expected = np.zeros((len(views), *grid))
    for image, row, column in np.ndindex(len(views), *grid):
        place = prefix + row * grid[1] + column
        weights = gradient[image, prefix:].sum(0) / (grid[0] * grid[1])
        expected[image, row, column] = max(0.0, float((weights * tokens[image, place]).sum()))
    return expected


@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_a_vit_is_read_at_the_first_norm_of_its_last_block(prefix, size):
    classifier = drawn(TinyViT, size, prefix=prefix)
    assert last_spatial_layer(classifier) == "blocks.1.norm1"
    found = METHODS["grad_cam"](classifier, images(size), [1, 4])
    grid = (size[0] // 8, size[1] // 8)
    expected = literal_grad_cam(classifier, images(size), [1, 4], "blocks.1.norm1", prefix, grid)
    assert found.shape == (2, *grid)
    assert (found > 0).any()
    assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("prefix", [9, 13])
def test_many_tokens_before_a_small_grid_are_not_read_as_a_larger_grid(prefix):
    classifier = drawn(TinyViT, prefix=prefix)
    with pytest.raises(UnseeError, match="name the layer to read"):
        last_spatial_layer(classifier)
    with pytest.raises(UnseeError, match="tokens on a known grid"):
        METHODS["grad_cam"](classifier, images(), [1, 4], layer="blocks.1.norm1")


def without_first_norms(net):
    """The same network, its blocks' first normalisations named otherwise."""
    for block in net.blocks:
        block.before, block.norm1 = block.norm1, nn.Identity()
        block.register_forward_pre_hook(lambda module, given: module.before(given[0]))


def with_a_mixer_after_it(net):
    """The same network with another token layer behind its blocks, which the names do not tell."""
    net.norm = nn.Sequential(net.norm, nn.Linear(WIDTH, WIDTH).double())


def with_one_block_for_two(net):
    """The same network, its last block called twice."""
    net.blocks = nn.Sequential(net.blocks[0], net.blocks[1], net.blocks[1])


@pytest.mark.parametrize("change", [without_first_norms, with_a_mixer_after_it, with_one_block_for_two])
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_a_layer_before_a_transformer_is_never_chosen_by_itself(prefix, change):
    classifier = drawn(TinyViT, prefix=prefix)
    change(classifier.net)
    with pytest.raises(UnseeError, match="name the layer to read") as caught:
        METHODS["grad_cam"](classifier, images(), [1, 4])
    assert "\n" not in str(caught.value)


def test_maps_with_channels_last_are_read_as_maps():
    classifier = drawn(ChannelsLast)
    assert last_spatial_layer(classifier) == "norm"
    found = METHODS["grad_cam"](classifier, images(), [1, 4])
    maps = classifier.net.norm(classifier.net.stem(classifier.normalised(images())).permute(0, 2, 3, 1))
    weights = classifier.net.head.weight[[1, 4]] / 16
    assert_allclose(found, (maps * weights[:, None, None]).sum(3).clamp(min=0).detach(), rtol=1e-9)


@pytest.mark.parametrize(
    ("count", "size", "patches", "grid"),
    [
        (201, (224, 224), None, (5, 14, 14)),
        (201, (224, 224), (14, 14), (5, 14, 14)),
        (197, (224, 224), (14, 14), (1, 14, 14)),
        (198, (224, 224), None, (2, 14, 14)),
        (196, (224, 224), (14, 14), (0, 14, 14)),
        (25, (224, 224), (4, 5), (5, 4, 5)),
        (16, (224, 224), (3, 3), (7, 3, 3)),
        (49, (224, 224), (14, 14), (0, 7, 7)),
        (25, (224, 224), (4, 4), None),
        (60, (128, 480), None, None),
        (223, (224, 224), None, None),
        (1, (224, 224), None, None),
    ],
)
def test_a_grid_comes_from_the_patches_before_the_nearest_square(count, size, patches, grid):
    assert TokenGrid.of(count, size, patches) == (None if grid is None else TokenGrid(*grid))


def test_tokens_are_laid_out_row_by_row():
    tokens = torch.arange(2 * 8 * 3).reshape(2, 8, 3).float()
    maps = TokenGrid(2, 2, 3).maps(tokens)
    assert maps.shape == (2, 3, 2, 3)
    for row, column in np.ndindex(2, 3):
        assert torch.equal(maps[:, :, row, column], tokens[:, 2 + 3 * row + column])
