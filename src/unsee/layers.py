"""Which layer of a network a method reads, and what a layer gave."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError

_ELSEWHERE = "gradient, occlusion, rise and lime need no layer"
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_IDLE = (nn.Dropout, nn.Dropout2d, nn.Identity)


@dataclass(eq=False)
class Stage:
    """One tensor that came out of modules, and their names, the innermost first."""

    shape: torch.Size
    names: list[str] = field(default_factory=list)
    pooled: bool = False

    def named(self, depth: int) -> str | None:
        """The outermost name with so many dots at most."""
        fitting = [name for name in self.names if name.count(".") <= depth]
        return fitting[-1] if fitting else None


def layer_named(classifier: Classifier, name: str) -> nn.Module:
    """A module by its dotted name.

    Raises:
        UnseeError: there is none of that name.
    """
    modules = dict(classifier.net.named_modules())
    if name not in modules or not name:
        last = name.rpartition(".")[2]
        close = [other for other in modules if other and other.rpartition(".")[2] == last]
        hint = f"perhaps {', '.join(close[:4])}" if close else f"there are {_some(modules)}"
        raise UnseeError(f"{classifier.name} has no layer called {name!r}; {hint}")
    module: nn.Module = modules[name]
    return module


def last_spatial_layer(classifier: Classifier) -> str:
    """The last layer whose output still is a map, before it is pooled: where Grad-CAM looks.

    For BVLC GoogLeNet it is `inception5b`, for ResNet `layer4`, for VGG the last ReLU. In torchvision's ViT
    it is the first normalisation of the last block: after it the class token alone is used.

    Raises:
        UnseeError: no layer gives maps.
    """
    names = [str(name) for name, _ in classifier.net.named_modules()]
    tokens = [name for name in names if name.endswith(".ln_1")]
    if tokens:
        return tokens[-1]
    stages, head = layer_outputs(classifier)
    maps = [stage for stage in stages[:head] if stage.names and is_map(stage.shape) and not stage.pooled]
    if any(_is_grid_of_tokens(stage.shape) for stage in stages[:head]):
        raise UnseeError(
            f"{classifier.name} goes on with tokens after its maps: name the layer to read, in most "
            "transformers the first normalisation of the last block; occlusion, rise and lime need none"
        )
    if not maps:
        raise UnseeError(f"no layer of {classifier.name} gives maps that could be read; {_ELSEWHERE}")
    return maps[-1].names[-1]


def eighth_layer(classifier: Classifier) -> str:
    """The first layer on a grid of an eighth of the picture (28 × 28 for 224): where excitation is read.

    For BVLC GoogLeNet it is `pool2`, the paper's pool2/3x3_s2.

    Raises:
        UnseeError: no layer gives maps.
    """
    most = min(classifier.size) / 8
    stages, _ = layer_outputs(classifier)
    wrapping = _wrapping(classifier.net)
    for stage in stages:
        name = stage.named(depth=1 + wrapping)
        if name and is_map(stage.shape) and min(stage.shape[2:]) <= most:
            return name
    return last_spatial_layer(classifier)


def layer_outputs(classifier: Classifier) -> tuple[list[Stage], int]:
    """The tensors that modules gave, in order, and at which of them the last weighted layer comes.

    Modules that are called more than once are not among the names: which of their calls is meant is not said.
    """
    stages: dict[int, Stage] = {}
    kept: list[Tensor] = []
    head = 0
    names = {module: name for name, module in classifier.net.named_modules()}
    times: Counter[str] = Counter()

    def note(module: nn.Module, _: object, output: object) -> None:
        nonlocal head
        if not isinstance(output, Tensor) or not names[module] or isinstance(module, _IDLE):
            return
        kept.append(output)
        times[names[module]] += 1
        if id(output) not in stages and isinstance(module, nn.Linear | nn.Conv2d):
            head = len(stages)
        stage = stages.setdefault(id(output), Stage(output.shape))
        stage.names.append(names[module])
        stage.pooled |= isinstance(module, _POOLS)

    blank = torch.zeros(1, 3, *classifier.size, device=classifier.device, dtype=classifier.dtype)
    with classifier.borrowed(), hooked(list(names), note), torch.no_grad():
        classifier.logits(blank)
    for stage in stages.values():
        stage.names = [name for name in stage.names if times[name] == 1]
    return list(stages.values()), head


def _wrapping(net: nn.Module) -> int:
    """How many modules with a single child lie round the network itself."""
    depth = 0
    while len(children := list(net.children())) == 1:
        net, depth = children[0], depth + 1
    return depth


def _is_grid_of_tokens(shape: torch.Size) -> bool:
    side = math.isqrt(shape[1]) if len(shape) == 3 else 0
    return side > 1 and shape[1] - side**2 <= 1 and shape[2] > 1


def is_map(shape: torch.Size) -> bool:
    """Whether a tensor of this shape is of maps with more than one place."""
    return len(shape) == 4 and shape[2] * shape[3] > 1


@contextmanager
def hooked(modules: list[nn.Module], hook: object) -> Iterator[None]:
    """A forward hook on modules while inside."""
    handles = [module.register_forward_hook(hook) for module in modules]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def watched(module: nn.Module) -> Iterator[list[Tensor]]:
    """What a module gives while inside, each time it is called."""
    given: list[Tensor] = []

    def note(_module: nn.Module, _input: object, output: object) -> None:
        if isinstance(output, Tensor):
            given.append(output)

    with hooked([module], note):
        yield given


def _some(modules: dict[str, nn.Module]) -> str:
    top = [name for name in modules if name and "." not in name]
    return ", ".join(top[:12])


def reached(classifier: Classifier, name: str, top: Tensor, given: list[Tensor], signal: Tensor) -> Tensor:
    """What of a signal at `top` comes to the maps that a layer gave, (B,C,H,W).

    Raises:
        UnseeError: the layer gives no maps, or the top does not depend on them.
    """
    if not given or not is_map(given[-1].shape):
        shape = tuple(given[-1].shape) if given else "nothing"
        raise UnseeError(
            f"{name} of {classifier.name} gives {shape}, not maps (batch, channels, height, width)"
        )
    (found,) = torch.autograd.grad(top, given[-1], signal, allow_unused=True)
    if found is None:
        raise UnseeError(f"the score of {classifier.name} does not depend on its layer {name}")
    return found
