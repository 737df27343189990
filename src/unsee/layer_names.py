"""The layers of a network: by which names they are called, what they return, and what papers call them."""

from collections import Counter
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import hooked, opened
from unsee.layers import layer_named, named_layers

ALEXNET, VGG16 = "AlexNet", "VGG-16"
_VGG16_CONVOLUTIONS = 13
_HOMES = {"AlexNet": "torchvision.models.alexnet", "VGG": "torchvision.models.vgg"}
_FIRST_DENSE = 6
"""The first fully connected layer of AlexNet and VGG-16 is called fc6."""


@final
@dataclass(frozen=True)
class NamedLayer:
    """A layer that runs once for an image and returns one tensor.

    Args:
        name: its dotted name, as in `nn.Module.named_modules`.
        kind: the class of the module.
        shape: of what it returns for one image, without the batch.
        paper: what the paper calls it, such as pool5; empty where it has no such name.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    paper: str = ""

    @property
    def short(self) -> str:
        """The paper's name if there is one, else the dotted name."""
        return self.paper or self.name


def layers_of(classifier: Classifier) -> list[NamedLayer]:
    """The layers that run once for an image and return one tensor, in the order in which they finish.

    Args:
        classifier: borrowed, and given back as it was; evaluated on one blank image.

    Raises:
        UnseeError: the network's layers are closed.
    """
    classifier = opened(classifier)
    _ = classifier.reading  # its probe images are not for the hooks
    shapes: dict[str, tuple[int, ...]] = {}
    times: Counter[str] = Counter()
    with classifier.borrowed(), torch.no_grad():
        modules = {name: module for name, module in named_layers(classifier.network).items() if name}
        names = {module: name for name, module in modules.items() if not _is_scripted(module)}

        def note(module: nn.Module, _: object, output: object) -> None:
            times[names[module]] += 1
            if isinstance(output, Tensor) and output.ndim > 1 and len(output) == 1:
                shapes[names[module]] = tuple(output.shape[1:])

        blank = torch.zeros(1, *classifier.input_shape, device=classifier.device, dtype=classifier.dtype)
        with hooked(list(names), note):
            classifier.logits(blank)
        kinds = {name: type(module).__name__ for name, module in modules.items()}
    papers = {name: paper for paper, name in paper_names(classifier).items()}
    return [
        NamedLayer(name, kinds[name], shape, papers.get(name, ""))
        for name, shape in shapes.items()
        if times[name] == 1
    ]


def layer_called(classifier: Classifier, name: str) -> str:
    """The dotted name of a layer that is given by that name, or by the paper's (pool5) in AlexNet and VGG.

    Raises:
        UnseeError: there is no such layer.
    """
    known = paper_names(classifier)
    try:
        layer_named(classifier, name)
    except UnseeError as error:
        if name in known:
            return known[name]
        hint = f", or {', '.join(known)}" if known else ""
        raise UnseeError(f"{error}{hint}; `unsee layers` lists all") from None
    return name


def paper_names(classifier: Classifier) -> dict[str, str]:
    """What papers call the layers of torchvision's AlexNet and VGG → their dotted names; else nothing."""
    found: dict[str, str] = {}
    for name, module in named_layers(classifier.network).items():
        kind = _known_kind(module)
        if kind is not None:
            prefix = f"{name}." if name else ""
            convolved = _convolutions(module.get_submodule("features"), kind == "AlexNet")
            found |= {paper: f"{prefix}features.{place}" for paper, place in convolved.items()}
            dense = _dense(module.get_submodule("classifier"))
            found |= {paper: f"{prefix}classifier.{place}" for paper, place in dense.items()}
    return found


def paper_network(classifier: Classifier) -> str | None:
    """`ALEXNET` or `VGG16` for torchvision's networks of these names, of any weights; else None."""
    for module in named_layers(classifier.network).values():
        kind = _known_kind(module)
        if kind == "AlexNet":
            return ALEXNET
        if kind == "VGG":
            count = sum(isinstance(part, nn.Conv2d) for part in module.modules())
            return VGG16 if count == _VGG16_CONVOLUTIONS else None
    return None


def _known_kind(module: nn.Module) -> str | None:
    """Which of torchvision's classes it is, by name, so that torchvision's networks need not be imported."""
    for kind in type(module).__mro__:
        if _HOMES.get(kind.__name__) == kind.__module__:
            return kind.__name__
    return None


def _convolutions(features: nn.Module, counted: bool) -> dict[str, str]:
    """conv1, relu1, pool1 if convolutions are counted (AlexNet); conv1_1, relu1_1, pool1 by blocks (VGG)."""
    found: dict[str, str] = {}
    block, convolution = 1, 0
    for place, module in features.named_children():
        convolution += isinstance(module, nn.Conv2d)
        own = f"{convolution}" if counted else f"{block}_{convolution}"
        if isinstance(module, nn.MaxPool2d):
            found[f"pool{convolution if counted else block}"] = place
            if not counted:
                block, convolution = block + 1, 0
        for kind, word in ((nn.Conv2d, "conv"), (nn.BatchNorm2d, "bn"), (nn.ReLU, "relu")):
            if isinstance(module, kind):
                found[f"{word}{own}"] = place
    return found


def _dense(classifier: nn.Module) -> dict[str, str]:
    """fc6, relu6, fc7, relu7, fc8."""
    found: dict[str, str] = {}
    number = _FIRST_DENSE - 1
    for place, module in classifier.named_children():
        number += isinstance(module, nn.Linear)
        for kind, word in ((nn.Linear, "fc"), (nn.ReLU, "relu")):
            if isinstance(module, kind):
                found[f"{word}{number}"] = place
    return found


def _is_scripted(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)
