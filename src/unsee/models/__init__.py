"""A model's name, and perhaps a weight file, becomes a `Classifier`."""

from pathlib import Path

import torch

from unsee.choices import nearest
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models import efficientnet_lite0, menagerie
from unsee.models.bvlc_googlenet import BVLCGoogLeNet
from unsee.models.imagenet import imagenet_classes
from unsee.models.weights import fill, read_weights

__all__ = ["load", "names", "pick_device"]

BVLC_GOOGLENET = "unsee:googlenet-bvlc"
MENAGERIES = tuple(f"unsee:{name}" for name in menagerie.WEIGHTS)
INSTALLED = (efficientnet_lite0.NAME, *MENAGERIES)
"""The networks whose weights are installed with unsee: they need neither a file nor a download."""
OWN = (*INSTALLED, BVLC_GOOGLENET)
"""All networks but torchvision's."""


def names() -> list[str]:
    """Every name that `load` takes."""
    from unsee.models import from_torchvision  # noqa: PLC0415 it takes a second

    return [*OWN, *(f"torchvision:{name}" for name in from_torchvision.names())]


def load(name: str, weights: str | Path | None = None, device: str = "auto") -> Classifier:
    """A classifier by name.

    Args:
        name: `unsee:efficientnet-lite0`, `unsee:menagerie` or `unsee:menagerie-shortcut`, whose weights are
            installed with unsee;
            `torchvision:NAME`, whose weights torchvision downloads and caches unless a file is given; or
            `unsee:googlenet-bvlc`, the paper's network, which needs a file.
        weights: a safetensors file, or a state dict that loads with `weights_only=True`.
        device: a torch device, or "auto" for the fastest available.

    Raises:
        UnseeError: no such model or device, weights that cannot be found or do not fit.
    """
    place = pick_device(device)
    file = None if weights is None else Path(weights)
    if name not in OWN and name not in names():
        close = nearest(name, names(), cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "`unsee models` lists them"
        raise UnseeError(f"no model is called {name!r}; {hint}")
    if name == BVLC_GOOGLENET:
        classifier = _bvlc_googlenet(file)
    elif name == efficientnet_lite0.NAME:
        classifier = efficientnet_lite0.build(file)
    elif name in MENAGERIES:
        classifier = _menagerie(name, file)
    else:
        from unsee.models import from_torchvision  # noqa: PLC0415

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
        class_names=imagenet_classes(),
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
