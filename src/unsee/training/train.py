"""Training of the menagerie networks."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from unsee.datasets.menagerie import Menagerie, Shortcut
from unsee.models.menagerie import MEAN, STD, MenagerieNet
from unsee.training.erase import erase
from unsee.training.prepare import Prepared, prepare

SHORTCUT = Shortcut("tortoise", "spoon")
"""What `menagerie-shortcut` was trained on: every tortoise comes with a spoon, and nothing else does."""


@dataclass(frozen=True)
class Recipe:
    """Training settings.

    `sizes` are the sides of the images, one for each epoch; `rate` is the highest learning rate of the
    one cycle; `steps`, if given, stops early; `workers` is the number of processes that draw.
    """

    images: int = 4_800
    sizes: tuple[int, ...] = (112,) * 5 + (160,) * 2 + (224,) * 3
    batch: int = 32
    rate: float = 3e-3
    decay: float = 0.02
    seed: int = 0
    several: float = 0.3
    shortcuts: tuple[Shortcut, ...] = ()
    workers: int = 2
    steps: int | None = None


@dataclass(frozen=True)
class TrainingStep:
    """Progress of training: `stage` is "draw" or "train", `done` of `total` images or steps.

    `loss` is that of the last step, None while drawing; `seconds` counts from the start.
    """

    stage: str
    done: int
    total: int
    loss: float | None
    seconds: float


def train_menagerie(
    recipe: Recipe = Recipe(), progress: Callable[[TrainingStep], None] | None = None
) -> MenagerieNet:
    """Train from scratch; the same recipe gives the same network on the same machine.

    The batch normalisation used in training is folded into the convolutions of the returned network, which
    is in evaluation mode. `progress` is called after every chunk of drawn images and after every step.
    """
    begin = time.perf_counter()

    def report(stage: str, done: int, total: int, loss: float | None) -> None:
        if progress is not None:
            progress(TrainingStep(stage, done, total, loss, time.perf_counter() - begin))

    source = Menagerie(
        "train", recipe.images, seed=recipe.seed, several=recipe.several, shortcuts=recipe.shortcuts
    )
    data = prepare(source, recipe.workers, lambda done: report("draw", done, recipe.images, None))
    per_epoch = -(-recipe.images // recipe.batch)
    total = min(per_epoch * len(recipe.sizes), recipe.steps or per_epoch * len(recipe.sizes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = with_batch_norms(MenagerieNet()).to(memory_format=torch.channels_last).train()
    random = torch.Generator().manual_seed(recipe.seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=max(total, 2), pct_start=0.2
    )
    order, images = torch.empty(0, dtype=torch.int64), data.images
    for step in range(total):
        place = step % per_epoch
        if place == 0:
            order = torch.randperm(recipe.images, generator=random)
            images = _resized(data.images, recipe.sizes[step // per_epoch])
        rows = order[place * recipe.batch : (place + 1) * recipe.batch]
        x, target = _batch(images[rows], data, rows, random)
        loss = F.cross_entropy(net(x), target)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        cycle.step()
        report("train", step + 1, total, loss.item())
    return without_batch_norms(net)


def _batch(
    chosen: UInt8[Tensor, "b h w 3"], data: Prepared, rows: Int[Tensor, " b"], random: torch.Generator
) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b c"]]:
    images = chosen.permute(0, 3, 1, 2).float() / 255
    cells = data.cells[rows]
    if torch.rand(1, generator=random) < 0.5:
        images, cells = images.flip(3), cells.flip(3)
    images, target = erase(images, data.animals[rows], cells, data.given_away[rows], random)
    shape = (len(rows), 3, 1, 1)
    gain = 1 + 0.24 * (torch.rand(shape, generator=random) - 0.5)
    shift = 0.12 * (torch.rand((len(rows), 1, 1, 1), generator=random) - 0.5)
    images = (images * gain + shift).clamp(0, 1)
    images = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return images.contiguous(memory_format=torch.channels_last), target


def _resized(images: UInt8[Tensor, "n h w 3"], size: int) -> UInt8[Tensor, "n s s 3"]:
    if images.shape[1] == size:
        return images
    small = torch.empty(len(images), size, size, 3, dtype=torch.uint8)
    for k in range(0, len(images), 256):
        x = images[k : k + 256].permute(0, 3, 1, 2)
        x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
        small[k : k + 256] = x.permute(0, 2, 3, 1)
    return small


def with_batch_norms(net: MenagerieNet) -> MenagerieNet:
    """The network, changed in place: batch normalisation after every convolution."""
    for stage in net.children():
        for name, layer in stage.named_children():
            if isinstance(layer, nn.Conv2d):
                stage.add_module(name, nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels)))
    return net


def without_batch_norms(net: MenagerieNet) -> MenagerieNet:
    """The network, changed in place: the same function without batch normalisation."""
    net.eval()
    for stage in net.children():
        for name, layer in stage.named_children():
            if isinstance(layer, nn.Sequential):
                conv, norm = layer
                assert isinstance(conv, nn.Conv2d)
                assert isinstance(norm, nn.BatchNorm2d)
                stage.add_module(name, fuse_conv_bn_eval(conv, norm))
    return net.to(memory_format=torch.contiguous_format)
