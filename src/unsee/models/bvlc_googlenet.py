"""BVLC GoogLeNet, the network of the paper's experiments: LRN and biases, no BatchNorm.

Szegedy et al. 2015, as Caffe's model zoo trained it. The colour order, the mean and the scale of Caffe's
images are folded into `conv1`, so it takes RGB normalised by ImageNet's mean and deviation.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unsee.models.response_norm import ResponseNorm

Widths = tuple[int, int, int, int, int, int, int]

_BLOCKS: dict[str, Widths] = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Input channels, then the widths of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection."""


class Inception(nn.Module):
    """Four parallel branches, concatenated over the channels."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        inputs, one, reduce3, three, reduce5, five, projection = widths
        self.b1 = nn.Sequential(nn.Conv2d(inputs, one, 1), nn.ReLU())
        self.b3 = nn.Sequential(
            nn.Conv2d(inputs, reduce3, 1), nn.ReLU(), nn.Conv2d(reduce3, three, 3, padding=1), nn.ReLU()
        )
        self.b5 = nn.Sequential(
            nn.Conv2d(inputs, reduce5, 1), nn.ReLU(), nn.Conv2d(reduce5, five, 5, padding=2), nn.ReLU()
        )
        self.bp = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(inputs, projection, 1), nn.ReLU()
        )

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        """The concatenated outputs of the branches."""
        return torch.cat([self.b1(x), self.b3(x), self.b5(x), self.bp(x)], dim=1)


class BVLCGoogLeNet(nn.Module):
    """The whole network: (B,3,224,224), normalised RGB, to (B,1000) logits."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.ReLU())
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = ResponseNorm()
        self.conv2 = nn.Sequential(
            nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, 192, 3, padding=1), nn.ReLU()
        )
        self.norm2 = ResponseNorm()
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(_BLOCKS["3a"])
        self.inception3b = Inception(_BLOCKS["3b"])
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(_BLOCKS["4a"])
        self.inception4b = Inception(_BLOCKS["4b"])
        self.inception4c = Inception(_BLOCKS["4c"])
        self.inception4d = Inception(_BLOCKS["4d"])
        self.inception4e = Inception(_BLOCKS["4e"])
        self.pool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception5a = Inception(_BLOCKS["5a"])
        self.inception5b = Inception(_BLOCKS["5b"])
        self.pool5 = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Logits of normalised RGB images."""
        x = self.norm1(self.pool1(self.conv1(x)))
        x = self.pool2(self.norm2(self.conv2(x)))
        x = self.pool3(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = self.pool4(self.inception4e(self.inception4d(x)))
        x = self.pool5(self.inception5b(self.inception5a(x)))
        logits: Tensor = self.fc(self.dropout(x.flatten(1)))
        return logits
