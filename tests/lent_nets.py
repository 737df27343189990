"""Networks whose modes do more than modes do, and what must not change when they are lent."""

from functools import partial

import torch
from torch import Tensor, nn

from unsee.classifier import Classifier
from unsee.methods import METHODS

SHORT = {
    "occlusion": {"stride": 80.0},
    "lime": {"samples": 12, "segments": 6},
    "integrated_gradients": {"steps": 4},
    "smooth_grad": {"samples": 3},
    "rise": {"masks": 20},
}
"""Fewer passes than a method takes by itself."""
WITHOUT_LAYERS = ("mask", "gradient", "integrated_gradients", "occlusion", "rise", "lime")
WITH_LAYERS = (
    *("guided_backprop", "deconvnet", "feedback"),
    *("excitation_backprop", "contrastive_excitation_backprop"),
    *("grad_cam", "cam", "lrp"),
)


def small() -> nn.Module:
    """Two convolutions, a BatchNorm with statistics of its own, and a linear layer; in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        )
        net[1].running_mean.uniform_(-0.2, 0.2)
        net[1].running_var.uniform_(0.5, 2)
    return net.eval()


def wrapped(net: nn.Module) -> Classifier:
    return Classifier(net, size=(32, 32))


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def maps(name: str, classifier: Classifier, given: Tensor) -> Tensor:
    """A method's maps for the first classes."""
    return partial(METHODS[name].call, **SHORT.get(name, {}))(classifier, given, list(range(len(given))))


class Adapted(nn.Linear):
    """A linear layer with a low-rank adapter, which evaluation mode folds into its weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.down, self.up = nn.Parameter(torch.randn(2, inputs)), nn.Parameter(torch.randn(outputs, 2))
        self.weight.requires_grad = False
        self.merged, self.turns = False, 0

    def train(self, mode: bool = True) -> "Adapted":
        super().train(mode)
        if mode == self.merged:
            self.turns += 1
            self.weight.data += (-1 if mode else 1) * self.up.data @ self.down.data
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        answer = super().forward(x)
        return answer if self.merged else answer + x @ self.down.T @ self.up.T


class Frozen(nn.Sequential):
    """Keeps its BatchNorm in evaluation mode, whatever mode it is told."""

    def train(self, mode: bool = True) -> "Frozen":
        super().train(mode)
        self[1].eval()
        return self


def state_of(net: nn.Module) -> dict[str, object]:
    """Modes, hooks, attributes, and each weight's identity, type and need of gradients."""
    return {
        "modes": [getattr(module, "training", None) for module in net.modules()],
        "hooks": [
            [list(table.values()) for name, table in vars(module).items() if "hooks" in name]
            for module in net.modules()
        ],
        "attributes": [sorted(vars(module)) for module in net.modules()],
        "weights": [(id(w), w.requires_grad, w.dtype, w.is_inference()) for w in net.parameters()],
        "buffers": [(id(value), value.dtype) for value in net.buffers()],
    }


def values_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def check_unchanged(net: nn.Module, state: dict[str, object], values: dict[str, Tensor]) -> None:
    """The network has the state and, bit by bit, the values that it had."""
    for key, before in state.items():
        assert state_of(net)[key] == before, key
    after = values_of(net)
    assert after.keys() == values.keys()
    assert [name for name in values if not torch.equal(values[name], after[name])] == []
