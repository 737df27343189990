"""A network cut at a layer gives what the whole network gives; what cannot be cut runs whole."""

import subprocess
import sys
import threading
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from lent_nets import small
from unsee import behind_layer as module
from unsee.behind_layer import BehindLayer, behind_layer, read, replaced
from unsee.classifier import Classifier
from unsee.cutting import cut_at
from unsee.errors import UnseeError
from unsee.layer_names import layer_called
from unsee.layers import layer_named


def images(classifier: Classifier, count: int = 2) -> Tensor:
    draws = torch.rand(count, *classifier.input_shape, generator=torch.Generator().manual_seed(1))
    return classifier.normalised(draws.to(classifier.dtype))


def both_ways(classifier: Classifier, layer: str) -> tuple[BehindLayer, Tensor, Tensor]:
    """The part behind a layer, and its logits and the whole network's for half of the activation."""
    quick = behind_layer(classifier, layer).net
    assert isinstance(quick, BehindLayer)
    given = images(classifier)
    with classifier.borrowed(), torch.no_grad():
        activation, others = quick.activation(given)
        assert torch.allclose(activation, read(classifier, layer, given), atol=1e-4)
        whole = classifier.reading.logits(replaced(classifier, layer, activation / 2, given), 2)
        assert not torch.allclose(whole, classifier.answer(given), atol=1e-3)
        own = classifier.reading.logits(quick.output(activation / 2, given, others), 2)
    return quick, own, whole


def scaled(net: nn.Module) -> nn.Module:
    """The network with logits that are far apart, so that equal ones mean something."""
    last = [part for part in net.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]
    with torch.no_grad():
        last.weight.mul_(30)
    return net.eval()


class Residual(nn.Module):
    """The layer's input goes on beside it, and the sum is made in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.layer = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        before = self.first(x)
        y = self.layer(before)
        before = before.add_(y).mul_(3.0)
        return self.head(self.relu(before).mean(dim=(2, 3)))


class Beside(Residual):
    """The image itself goes round the layer, and so does a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.rand(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(self.first(x) + self.shift)
        joined = torch.cat([y, x], dim=1)[:, 3:]
        return self.head((joined + 2 * self.shift).mean(dim=(2, 3)))


class Unseen(Residual):
    """A sum in place whose result is read by the old name: the graph does not know what it depends on."""

    def forward(self, x: Tensor) -> Tensor:
        before = self.first(x)
        y = self.layer(before)
        before.add_(y)
        return self.head((y + 2 * before).mean(dim=(2, 3)))


class Branching(Residual):
    """What it does depends on values, so that no graph can be made of it."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(self.first(x))
        return self.head(y.mean(dim=(2, 3)) if float(y.detach().mean()) < 1e9 else y.sum(dim=(2, 3)))


class Aside(Residual):
    """It keeps what it computes, and something that cannot be copied."""

    def forward(self, x: Tensor) -> Tensor:
        self.steps = (step for step in ())
        self.kept = [self.layer(self.first(x))]
        return self.head(torch.stack(self.kept)[0].mean(dim=(2, 3)) + _sum_of(self.kept))


class Remembering(nn.Module):
    """Gives what it was given last; inside it, whatever is kept whole by tracing."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        return x


class Late(Residual):
    """Takes the layer's activation again through a module's memory: a graph is made, and is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Remembering()
        self.recall = Recalling(self.memory)

    def forward(self, x: Tensor) -> Tensor:
        first = self.memory(self.first(x))
        return self.head((self.layer(first) + self.recall(x)).mean(dim=(2, 3)))


class Recalling(nn.Module):
    """Gives the sum of what another module has seen: more at each pass."""

    def __init__(self, memory: Remembering) -> None:
        super().__init__()
        self.memory = (memory,)

    def forward(self, x: Tensor) -> Tensor:
        return sum(self.memory[0].seen)[..., : x.shape[-2], : x.shape[-1]]


def _sum_of(kept: list[Tensor]) -> Tensor:
    return sum(part.amax(dim=(2, 3)) for part in kept)


@pytest.fixture(scope="module")
def published():
    """Networks of torchvision with random weights, each made once."""

    @cache
    def make(name: str) -> Classifier:
        torch.manual_seed(0)
        return Classifier(scaled(get_model(name, weights=None)))

    return make


class TestCut:
    @pytest.mark.parametrize(
        ("name", "layer", "cells"),
        [
            ("alexnet", "conv1", (64, 55, 55)),  # the ReLU behind it works in place
            ("alexnet", "pool1", (64, 27, 27)),
            ("alexnet", "relu3", (384, 13, 13)),
            ("alexnet", "pool5", (256, 6, 6)),
            ("squeezenet1_1", "features.7", (256, 27, 27)),
            ("resnet18", "layer3", (256, 14, 14)),
            ("resnet18", "layer3.1.conv1", (256, 14, 14)),
        ],
    )
    def test_the_part_behind_gives_what_the_whole_network_gives(self, published, name, layer, cells):
        classifier = published(name)
        quick, own, whole = both_ways(classifier, layer_called(classifier, layer))
        assert quick.is_cut
        assert torch.allclose(own, whole, rtol=1e-3, atol=1e-3)
        assert read(classifier, quick.layer, images(classifier)).shape[1:] == cells

    def test_vgg_16_is_cut_at_every_layer_of_the_paper(self):
        """At an input of 64² its maps have 2/7 of the paper's sides; the names and the cuts are the same."""
        torch.manual_seed(0)
        classifier = Classifier(scaled(get_model("vgg16", weights=None)), size=(64, 64))
        with classifier.borrowed(), torch.no_grad():
            for paper, side in (("pool1", 32), ("pool2", 16), ("pool3", 8), ("pool4", 4), ("pool5", 2)):
                layer = layer_called(classifier, paper)
                cut = cut_at(classifier.net, layer_named(classifier, layer))
                given = images(classifier, 1)
                activation, others = cut.activation(given)
                assert activation.shape[2:] == (side, side)
                assert others == ()
                whole = replaced(classifier, layer, activation / 2, given)
                assert torch.allclose(cut.behind(activation / 2), whole, atol=1e-3)

    def test_what_else_crosses_the_cut_is_computed_once(self):
        torch.manual_seed(0)
        classifier = Classifier(Residual(), size=(16, 16))
        quick, own, whole = both_ways(classifier, "layer")
        assert quick.is_cut
        assert torch.allclose(own, whole, atol=1e-5)
        given = images(classifier)
        activation, others = quick.activation(given)
        assert [tuple(other.shape) for other in others] == [(2, 6, 16, 16)]
        kept = others[0].clone()
        first = quick.output(activation, given, others)
        assert torch.equal(others[0], kept)  # the network adds to it in place
        assert torch.equal(first, quick.output(activation, given, others))

    def test_the_image_and_constants_may_go_round_the_layer(self):
        classifier = Classifier(Beside(), size=(16, 16))
        quick, own, whole = both_ways(classifier, "layer")
        assert quick.is_cut
        assert torch.allclose(own, whole, atol=1e-5)
        _, others = quick.activation(images(classifier))
        assert [tuple(other.shape) for other in others] == [(2, 3, 16, 16)]

    @pytest.mark.parametrize("cut", [True, False])
    def test_gradients_pass_through_functions_that_work_in_place(self, cut):
        classifier = Classifier(Residual().double(), size=(16, 16))
        quick = behind_layer(classifier, "layer").net
        assert quick.is_cut
        given = images(classifier)
        activation, others = quick.activation(given)
        if not cut:
            quick.cuts = ()
        mask = torch.full((2, 1, 16, 16), 0.7, dtype=torch.float64, requires_grad=True)

        def total(factor):
            return quick.output(factor * activation, given, others)[:, 0].sum()

        (gradient,) = torch.autograd.grad(total(mask), mask)
        step = torch.zeros_like(mask)
        step[1, 0, 3, 4] = 1e-6
        with torch.no_grad():
            slope = (total(mask + step) - total(mask - step)) / 2e-6
        assert float(gradient[1, 0, 3, 4]) == pytest.approx(float(slope), abs=1e-7)
        assert float(slope) != 0

    def test_batch_norm_behind_the_layer_is_folded_and_the_layer_itself_is_not(self):
        classifier = Classifier(small(), size=(32, 32))
        quick, own, whole = both_ways(classifier, "0")
        assert quick.is_cut
        assert torch.allclose(own, whole, atol=1e-5)
        later, own, whole = both_ways(classifier, "1")
        assert later.is_cut
        assert torch.allclose(own, whole, atol=1e-5)
        behind = later.cuts[0].behind
        assert not any(isinstance(part, nn.BatchNorm2d) for part in behind.modules())

    def test_nothing_before_the_layer_runs_again(self):
        classifier = Classifier(small(), size=(32, 32))
        quick = behind_layer(classifier, "3").net
        given = images(classifier)
        activation, others = quick.activation(given)
        called: list[str] = []
        for part in quick.cuts[0].before.modules():
            part.register_forward_pre_hook(lambda *_: called.append("before"))
        for part in classifier.net.modules():
            part.register_forward_pre_hook(lambda *_: called.append("whole"))
        quick.output(activation, given, others)
        assert called == []


class TestWhole:
    @pytest.mark.parametrize("net", [Branching, Unseen, Aside])
    def test_a_network_of_which_no_right_graph_is_made_runs_whole(self, net):
        classifier = Classifier(net(), size=(16, 16))
        quick, own, whole = both_ways(classifier, "layer")
        assert torch.allclose(own, whole, atol=1e-5)
        assert not quick.is_cut

    def test_parts_that_differ_from_the_whole_network_are_not_used(self):
        quick = behind_layer(Classifier(Late(), size=(16, 16)), "layer").net
        quick.activation(images(Classifier(nn.Identity(), size=(16, 16))))
        assert not quick.is_cut

    @pytest.mark.parametrize("fault", ["activation", "logits"])
    def test_they_are_compared_for_the_images_themselves(self, monkeypatch, fault):
        classifier = Classifier(small(), size=(32, 32))
        quick = behind_layer(classifier, "3").net
        given, cut = images(classifier), quick.cuts[0]
        quick.activation(given)
        assert quick.is_cut
        layer = (cut.before if fault == "activation" else cut.behind).get_submodule(
            "0" if fault == "activation" else "8"
        )
        with torch.no_grad():
            layer.bias[0] += 0.05
        activation, others = quick.activation(given)
        assert not quick.is_cut
        with classifier.borrowed():
            assert torch.equal(activation, read(classifier, "3", given))
            expected = replaced(classifier, "3", activation / 2, given)
        assert torch.equal(quick.output(activation / 2, given, others), expected)

    def test_memory_that_runs_out_is_no_reason_to_run_the_whole_network(self, monkeypatch):
        quick = behind_layer(Classifier(small(), size=(32, 32)), "3").net

        def fails(*_):
            raise torch.OutOfMemoryError

        monkeypatch.setattr(module, "_same", fails)
        with pytest.raises(torch.OutOfMemoryError):
            quick.activation(images(Classifier(small(), size=(32, 32))))
        assert quick.is_cut

    @pytest.mark.filterwarnings("ignore:The .grad attribute")  # by torch.compile
    def test_a_compiled_network_is_opened(self):
        net = small()
        classifier = Classifier(torch.compile(net, backend="eager"), size=(32, 32))
        quick, own, whole = both_ways(classifier, "3")
        assert quick.is_cut
        assert torch.allclose(own, whole, atol=1e-5)


class TestGivenBack:
    def state(self, net: nn.Module) -> list[object]:
        return [
            (
                part.training,
                len(part._forward_hooks),
                len(part._forward_pre_hooks),
                sorted(vars(part)),
                [weight.requires_grad for weight in part.parameters(False)],
            )
            for part in net.modules()
        ]

    @pytest.mark.parametrize("net", [Residual, Branching])
    def test_the_network_comes_back_as_it_was(self, net):
        own = net().train()
        before = self.state(own)
        quick = behind_layer(Classifier(own, size=(16, 16)), "layer").net
        given = images(Classifier(own, size=(16, 16)))
        activation, others = quick.activation(given)
        quick.output(activation, given, others)
        assert self.state(own) == before

    @pytest.mark.parametrize("net", [Residual, Branching])
    def test_also_after_an_exception_in_the_middle(self, net, monkeypatch):
        own = net().train()
        classifier = Classifier(own, size=(16, 16))
        before, quick = self.state(own), behind_layer(classifier, "layer").net
        given = images(classifier)
        activation, others = quick.activation(given)

        def stops(*_):
            raise KeyboardInterrupt

        own.head.forward = stops
        quick.cuts = ()
        with pytest.raises(KeyboardInterrupt):
            quick.output(activation, given, others)
        with pytest.raises(KeyboardInterrupt):
            quick.activation(given)
        del own.head.forward
        assert self.state(own) == before

    def test_tracing_leaves_other_threads_alone(self):
        """torch.fx replaces what calls modules for all threads while it traces."""
        classifier = Classifier(small(), size=(32, 32))
        given, stop, faults = images(classifier), threading.Event(), []
        with classifier.borrowed():
            expected = classifier.answer(given)

        def evaluate() -> None:
            with classifier.borrowed(), torch.no_grad():
                while not stop.is_set():
                    if not torch.allclose(classifier.answer(given), expected, atol=1e-5):
                        faults.append("other logits")

        other = threading.Thread(target=evaluate)
        other.start()
        for _ in range(20):
            assert behind_layer(classifier, "3").net.is_cut
        stop.set()
        other.join()
        assert faults == []


class TestRefused:
    def test_a_layer_that_runs_twice(self):
        layer = nn.Conv2d(3, 3, 1)
        classifier = Classifier(
            nn.Sequential(layer, layer, nn.AdaptiveAvgPool2d(1), nn.Flatten()), size=(8, 8)
        )
        with pytest.raises(UnseeError, match="0 of custom does not run once"):
            behind_layer(classifier, "0").net.activation(images(classifier))

    def test_a_layer_that_never_runs(self):
        net = small()
        net.register_module("spare", nn.ReLU())
        net.forward = nn.Sequential(*list(net)[:9]).forward
        classifier = Classifier(net, size=(32, 32))
        with pytest.raises(UnseeError, match="spare of custom does not run"):
            behind_layer(classifier, "spare").net.activation(images(classifier))

    @pytest.mark.filterwarnings("ignore:.*torch.jit")
    def test_a_network_without_open_layers(self):
        closed = Classifier(torch.jit.trace(small(), torch.rand(1, 3, 32, 32)), size=(32, 32))
        with pytest.raises(UnseeError, match="the layers of custom are closed"):
            behind_layer(closed, "3")


@pytest.mark.assets
def test_bvlc_googlenet_is_cut_with_its_own_weights(assets):
    """In a process without type checks, since these see what tracing passes instead of tensors."""
    script = """
import sys, torch, unsee
from unsee.behind_layer import behind_layer, read, replaced
model = unsee.load("unsee:googlenet-bvlc", sys.argv[1] + "/weights/googlenet_bvlc.safetensors")
photo = unsee.read_photo(sys.argv[1] + "/photos/flute.jpg")
given = model.normalised(unsee.Squash().apply(photo.pixels, model.size)[None])
for layer in ("pool2", "inception4c", "inception4e.b3.2", "inception5b"):
    quick = behind_layer(model, layer).net
    activation, others = quick.activation(given)
    with model.borrowed(), torch.no_grad():
        whole = replaced(model, layer, activation / 2, given)
        own = quick.output(activation / 2, given, others)
    assert quick.is_cut, layer
    assert torch.allclose(own, whole, rtol=1e-3, atol=1e-3), layer
    print(layer, tuple(activation.shape), [tuple(other.shape) for other in others])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(assets)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "pool2 (1, 192, 28, 28) []"
    assert done.stdout.splitlines()[2] == (
        "inception4e.b3.2 (1, 320, 14, 14) [(1, 256, 14, 14), (1, 128, 14, 14), (1, 128, 14, 14)]"
    )
