"""The networks of this package, and the paper's own network, whose weights are in a file."""

from pathlib import Path

import torch

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models import efficientnet_lite0, menagerie
from unsee.models.bvlc_googlenet import BVLCGoogLeNet
from unsee.models.imagenet import imagenet_classes
from unsee.models.request import Request
from unsee.models.weights import fill, read_weights

BVLC_GOOGLENET = "unsee:googlenet-bvlc"
MENAGERIES = tuple(f"unsee:{name}" for name in menagerie.WEIGHTS)
INSTALLED = (efficientnet_lite0.NAME, *MENAGERIES)
"""The networks whose weights are installed with unsee: they need neither a file nor a download."""


def names() -> list[str]:
    """Every name, without the prefix."""
    return [name.partition(":")[2] for name in (*INSTALLED, BVLC_GOOGLENET)]


def load(request: Request) -> Classifier:
    """A network by name.

    Raises:
        UnseeError: the weights are missing or do not fit.
    """
    if request.name == BVLC_GOOGLENET:
        return _bvlc_googlenet(request.weights)
    if request.name == efficientnet_lite0.NAME:
        return efficientnet_lite0.build(request.weights)
    return _menagerie(request.name, request.weights)


def _bvlc_googlenet(weights: Path | None) -> Classifier:
    if weights is None:
        raise UnseeError(f"{BVLC_GOOGLENET} cannot be downloaded: give its file as weights=… (--weights)")
    state, sha256 = read_weights(weights)
    with torch.device("meta"):
        net = BVLCGoogLeNet()
    taken = fill(net, state, BVLC_GOOGLENET)
    return Classifier(
        net.eval(),
        class_names=imagenet_classes(),
        name=BVLC_GOOGLENET,
        weights_sha256=sha256,
        facts=taken,
    )


def _menagerie(name: str, weights: Path | None) -> Classifier:
    state, sha256 = read_weights(weights or menagerie.WEIGHTS[name.removeprefix("unsee:")])
    net = menagerie.MenagerieNet()
    taken = fill(net, state, name)
    return Classifier(
        net.eval(),
        mean=menagerie.MEAN,
        std=menagerie.STD,
        class_names=menagerie.CLASSES,
        name=name,
        weights_sha256=sha256,
        facts=taken,
    )
