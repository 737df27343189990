"""A model's name, and perhaps a weight file, becomes a `Classifier`."""

from pathlib import Path

import torch

from unsee.choices import nearest
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models import from_torchvision, menagerie
from unsee.models.bvlc_googlenet import BVLCGoogLeNet
from unsee.models.weights import fill, read_weights

__all__ = ["load", "names", "pick_device"]

BVLC_GOOGLENET = "unsee:googlenet-bvlc"
MENAGERIES = tuple(f"unsee:{name}" for name in menagerie.WEIGHTS)


def names() -> list[str]:
    """Every name that `load` takes."""
    return [*MENAGERIES, BVLC_GOOGLENET, *(f"torchvision:{name}" for name in from_torchvision.names())]


def load(name: str, weights: str | Path | None = None, device: str = "auto") -> Classifier:
    """A classifier by name.

    Args:
        name: `unsee:menagerie` or `unsee:menagerie-shortcut`, which ship with the package;
            `torchvision:NAME`, whose weights torchvision downloads and caches unless a file is given; or
            `unsee:googlenet-bvlc`, the paper's network, which needs a file.
        weights: a safetensors file, or a state dict or checkpoint of `torch.save`, in which no code is run.
        device: a torch device, or "auto" for the fastest available.

    Raises:
        UnseeError: no such model or device, weights that cannot be found or do not fit.
    """
    place = pick_device(device)
    file = None if weights is None else Path(weights)
    if name not in names():
        close = nearest(name, names(), cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "`unsee models` lists them"
        raise UnseeError(f"no model is called {name!r}; {hint}")
    if name == BVLC_GOOGLENET:
        classifier = _bvlc_googlenet(file)
    elif name in MENAGERIES:
        classifier = _menagerie(name, file)
    else:
        classifier = from_torchvision.build(name.removeprefix("torchvision:"), file)
    classifier.net.to(place)
    return classifier


def pick_device(device: str) -> torch.device:
    """A device by name; "auto" is a GPU where there is one, else the CPU.

    Raises:
        UnseeError: torch does not know it, or this machine does not have it.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise UnseeError(
            f"the device {device!r} cannot be used ({reason}); try device='cpu' (--device cpu)"
        ) from error
    if chosen.type == "meta":
        raise UnseeError("the device 'meta' computes nothing; try device='cpu' (--device cpu)")
    return chosen


def _bvlc_googlenet(weights: Path | None) -> Classifier:
    if weights is None:
        raise UnseeError(f"{BVLC_GOOGLENET} cannot be downloaded: give its file as weights=… (--weights)")
    state, sha256 = read_weights(weights)
    with torch.device("meta"):
        net = BVLCGoogLeNet()
    net.to_empty(device="cpu")
    fill(net, state, BVLC_GOOGLENET)
    return Classifier(
        net.eval(),
        class_names=from_torchvision.imagenet_classes(),
        name=BVLC_GOOGLENET,
        weights_sha256=sha256,
    )


def _menagerie(name: str, weights: Path | None) -> Classifier:
    state, sha256 = read_weights(weights or menagerie.WEIGHTS[name.removeprefix("unsee:")])
    net = menagerie.MenagerieNet()
    fill(net, state, name)
    return Classifier(
        net.eval(),
        mean=menagerie.MEAN,
        std=menagerie.STD,
        class_names=menagerie.CLASSES,
        name=name,
        weights_sha256=sha256,
    )
