"""Small networks that take any number of channels, pictures for them, and files of these."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from unsee.classifier import Classifier

SIZE = (24, 24)
SPAN = (-1024.0, 1024.0)
LEVELS = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


class Undone(nn.Module):
    """Undoes a value range, so that the network inside is given images in [0,1]."""

    def __init__(self, net: nn.Module, span: tuple[float, float] = SPAN) -> None:
        super().__init__()
        self.net, self.span = net, span

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.span
        return self.net((x - low) / (high - low))


def band_net(channels: int, classes: int = 3, seed: int = 0) -> nn.Sequential:
    """Two convolutions with ReLU, a global average and a linear layer, float64.

    The first convolution sees only detail in each channel, and detail speaks for class 1: blurring lowers it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            *(
                nn.Conv2d(channels, 8, 5, padding=2, padding_mode="replicate"),
                nn.ReLU(),
                nn.Conv2d(8, 12, 3, padding=1),
                nn.ReLU(),
            ),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, classes)),
        ).double()
    with torch.no_grad():
        net[0].weight -= net[0].weight.mean(dim=(2, 3), keepdim=True)
        net[2].weight.abs_()
        net[-1].weight[1].abs_()
        for layer in (net[0], net[2], net[-1]):
            layer.bias.zero_()
        image = torch.from_numpy(bands(channels, SIZE)).permute(2, 0, 1)[None].double() / 255
        net[-1].weight *= 3 / float(net(image)[0, 1])
    return net.eval()


def summed(net: nn.Sequential) -> nn.Sequential:
    """A network of grey images that gives what an RGB network gives for the same grey."""
    grey = band_net(1)
    grey.load_state_dict({**net.state_dict(), "0.weight": net[0].weight.detach().sum(dim=1, keepdim=True)})
    return grey


def banded(channels: int, **options) -> Classifier:
    return Classifier(
        band_net(channels), size=SIZE, channels=channels, mean=0.0, std=1.0, name="bands", **options
    )


def bands(channels: int, size: tuple[int, int] = (30, 36), seed: int = 0) -> np.ndarray:
    """uint8 (h, w, channels): smooth ramps, and a patch with stripes of its own in each channel."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    found = np.stack([40 + (1 + k % 3) * rows + (3 - k % 3) * columns for k in range(channels)], axis=-1)
    found[6:16, 8:20] = rng.integers(0, 256, (10, 12, channels))
    return found.astype(np.uint8)


def said(error):
    """The message, which is one line."""
    assert str(error.value).isprintable()
    return str(error.value)


def npy(folder, array, name="scan.npy"):
    np.save(folder / name, array)
    return folder / name


def tiff(folder, pages, name="stack.tiff"):
    first, *rest = [page if isinstance(page, Image.Image) else Image.fromarray(page) for page in pages]
    first.save(folder / name, format="TIFF", save_all=True, append_images=rest)
    return folder / name


def values(photo):
    return (photo.pixels * 255).numpy()
