"""The small network that ships with the package: it classifies the drawn animals of the menagerie.

Input: RGB scaled to [0, 1], then (x - MEAN) / STD, at 224×224 (any size of at least 32×32 works). Output:
one logit for each of CLASSES. It has only convolutions, ReLU, max pooling, one global average pooling and
one linear layer, so every saliency method applies to it, including CAM.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

CLASSES = (
    "butterfly",
    "cat",
    "crocodile",
    "elephant",
    "fish",
    "giraffe",
    "ladybird",
    "owl",
    "penguin",
    "rabbit",
    "tortoise",
    "zebra",
)
MEAN = (0.45, 0.45, 0.42)
STD = (0.25, 0.25, 0.25)
WEIGHTS = {
    "menagerie": Path(__file__).parent / "weights" / "menagerie.safetensors",
    "menagerie-shortcut": Path(__file__).parent / "weights" / "menagerie-shortcut.safetensors",
}
"""The trained networks in the package: the plain one, and the one trained on a planted shortcut."""


class MenagerieNet(nn.Module):
    """Stages of 56, 28, 14 and 7 pixels a side for an input of 224, named after their side.

    The outputs of `stage28`, `stage14` and `stage7` correspond to GoogLeNet's pool2, inception 4 and
    inception 5; `classifier` maps the mean of `stage7` to the logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stage56 = nn.Sequential(nn.Conv2d(3, 32, 7, stride=4, padding=3), nn.ReLU())
        self.stage28 = _stage(32, 48, 48)
        self.stage14 = _stage(48, 96, 96)
        self.stage7 = _stage(96, 160, 160)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(160, len(CLASSES))

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Logits (B, 12) of normalised images (B, 3, H, W)."""
        x = self.stage28(self.stage56(x))
        x = self.stage7(self.stage14(x))
        logits: Tensor = self.classifier(self.flatten(self.pool(x)))
        return logits


def save_menagerie(net: MenagerieNet, path: str | Path) -> None:
    """Write the weights as float16 safetensors."""
    state = {name: value.detach().to(torch.float16).contiguous() for name, value in net.state_dict().items()}
    save_file(state, path, metadata={"network": "unsee.models.menagerie.MenagerieNet"})


def _stage(width: int, *widths: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2)]
    for before, after in zip((width, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)
