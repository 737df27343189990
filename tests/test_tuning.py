"""The private copy of a network gives the same outputs, and the original does not change."""

import copy
import gc
import threading
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18, squeezenet1_1

import unsee
from unsee import memory, tuning
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks import PRESETS, explain
from unsee.models.bvlc_googlenet import BVLCGoogLeNet
from unsee.models.response_norm import ResponseNorm
from unsee.tuning import Borrowed, Tuned, memory_of_one_pass, tuned, uses_bfloat16


class Net(nn.Module):
    """Convolution, BatchNorm with statistics of its own, ReLU, and a head."""

    def __init__(self, viewed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.viewed = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), viewed
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)
        self.head = nn.Linear(8 * 16 if viewed else 8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)))
        if self.viewed:
            return self.head(F.adaptive_avg_pool2d(x, 4).view(len(x), -1))
        return self.head(x.mean(dim=(2, 3)))


def classifier(net: nn.Module) -> Classifier:
    return Classifier(net, size=(32, 32))


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def kinds(net: nn.Module) -> set[str]:
    return {type(module).__name__ for module in net.modules()}


@pytest.mark.parametrize(
    "build", [Net, lambda: resnet18(num_classes=5), lambda: squeezenet1_1(num_classes=5)]
)
def test_the_copy_gives_the_networks_outputs_and_shares_no_memory_with_it(build):
    net = build().eval()
    before = copy.deepcopy(net.state_dict())
    own = classifier(net)
    quick = tuned(own)
    assert torch.allclose(quick.logits(images()), own.logits(images()), atol=1e-4)
    assert kinds(net) == kinds(build())
    theirs = {weight.data_ptr() for weight in quick.net.parameters()}
    assert theirs.isdisjoint(weight.data_ptr() for weight in net.parameters())
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    assert all(weight.requires_grad for weight in net.parameters())
    assert not any(weight.requires_grad for weight in quick.net.parameters())


def test_batchnorm_is_folded_unless_the_network_has_hooks():
    own = classifier(Net().eval())
    assert "BatchNorm2d" not in kinds(tuned(own).net)
    hooked = Net().eval()
    hooked.conv.register_forward_hook(lambda *_: None)
    assert "BatchNorm2d" in kinds(tuned(classifier(hooked)).net)


def test_a_copy_with_other_outputs_is_not_used(monkeypatch):
    def wrong(net):
        spoilt = copy.deepcopy(net)
        spoilt.head.bias.data += 1
        return spoilt

    own = classifier(Net().eval())
    monkeypatch.setattr(tuning, "folded", wrong)
    quick = tuned(own)
    assert torch.allclose(quick.logits(images()), own.logits(images()), atol=1e-4)
    assert "BatchNorm2d" in kinds(quick.net)


class Strided(nn.Module):
    """Flattens with view, which fails for images with channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8 * 900, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).view(len(x), -1))


def test_a_network_that_fails_with_channels_last_keeps_channels_first():
    own = classifier(Strided().eval())
    quick = tuned(own)
    assert isinstance(quick.net, Tuned)
    assert quick.net.layout == torch.contiguous_format
    assert torch.equal(quick.logits(images()), own.logits(images()))
    explanation = unsee.explain(own, images()[0], 1, iterations=3)
    assert explanation.mask.shape == (32, 32)


def test_a_network_that_cannot_be_copied_is_borrowed_and_restored():
    net = Net().train()
    net.lock = threading.Lock()
    net.conv.weight.requires_grad_(False)
    own = classifier(net)
    with own.borrowed():
        quick = tuned(own)
    assert isinstance(quick.net, Borrowed)
    view = images().requires_grad_()
    (gradient,) = torch.autograd.grad(quick.logits(view).sum(), view)
    assert bool(gradient.any())
    assert unsee.explain(own, images()[0], 1, iterations=3).mask.shape == (32, 32)
    assert all(module.training for module in net.modules())
    wanted = [weight.requires_grad for weight in net.parameters()]
    assert wanted == [False, *[True] * (len(wanted) - 1)]


def test_bfloat16_is_close_and_scores_are_those_of_the_classifier():
    own = classifier(Net().eval())
    assert torch.allclose(tuned(own, bfloat16=True).logits(images()), own.logits(images()), atol=0.05)
    exact, half = (
        unsee.explain(own, images()[0], 1, preset="fast", precision=name) for name in ("float32", "bfloat16")
    )
    assert (exact.provenance.precision, half.provenance.precision) == ("float32", "bfloat16")
    assert half.scores.original == exact.scores.original
    assert half.objective == pytest.approx(exact.objective, rel=0.1)


def test_auto_depends_on_the_device_and_not_for_published_presets(monkeypatch):
    own = classifier(Net().eval())
    for able in (True, False):
        monkeypatch.setattr(tuning, "computes_in_bfloat16", lambda device, able=able: able)
        assert uses_bfloat16(own, "auto") is able
        fast, paper = (unsee.explain(own, images()[0], 1, preset=p, iterations=2) for p in ("fast", "paper"))
        assert fast.provenance.precision == ("bfloat16" if able else "float32")
        assert paper.provenance.precision == "float32"
    assert not uses_bfloat16(classifier(Net().double().eval()), "bfloat16")
    with pytest.raises(UnseeError, match="no precision is called 'half'"):
        uses_bfloat16(own, "half")


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setattr(tuning.shutil, "which", lambda name: None)
    with pytest.raises(UnseeError, match="needs a C\\+\\+ compiler"):
        tuned(classifier(Net().eval()), compiled=True)


def test_memory_of_a_forward_pass():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sigmoid(), nn.Flatten(), nn.Linear(8 * 32 * 32, 4))
    found = memory_of_one_pass(classifier(net.eval().requires_grad_(False)))
    picture, kept = 4 * 3 * 32 * 32, 4 * 8 * 32 * 32
    assert 8 * picture + kept <= found <= 9 * picture + 2 * kept + 1024


@pytest.mark.parametrize(
    ("free", "each", "fit"), [(1000, 100, 5), (10**9, 1, 16), (10, 100, 1), (1000, 0, 16)]
)
def test_a_batch_is_as_large_as_half_of_the_memory_allows(free, each, fit, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    assert memory.images_that_fit(torch.device("cpu"), each) == fit


def test_free_memory_is_known():
    assert memory.free_memory(torch.device("cpu")) > 1 << 20


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_errors_are_recognised(error, is_it):
    assert memory.is_out_of_memory(error) is is_it


class Bound(Net):
    """Calls its modules through a function that a copy shares with the original."""

    def __init__(self) -> None:
        super().__init__()
        self.run = lambda x: self.norm(self.conv(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.run(x)).mean(dim=(2, 3)))


def test_a_network_whose_copy_calls_the_original_is_borrowed_and_restored():
    net = Bound().train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    own = classifier(net)
    with own.borrowed():
        assert isinstance(tuned(own).net, Borrowed)
    unsee.explain(own, images()[0], 1, iterations=3)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert all(weight.requires_grad for weight in net.parameters())
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_measuring_the_memory_of_a_pass_frees_it():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    alive = weakref.WeakSet()
    net[1].register_forward_hook(lambda module, given, answer: alive.add(answer))
    memory_of_one_pass(classifier(net.eval().requires_grad_(False)))
    gc.collect()
    assert not alive


class Small(Net):
    """Has memory for two images only."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def test_explanations_are_the_same_when_memory_runs_out():
    photos = list(images(5))
    roomy, small = (
        unsee.explain(classifier(net.double().eval()), photos, 1, iterations=6, batch_size=5)
        for net in (Net(), Small())
    )
    for one, other in zip(roomy, small, strict=True):
        assert torch.allclose(one.mask_grid, other.mask_grid, atol=1e-6)


def test_photos_are_read_only_when_the_batch_has_room():
    drawn = []

    def source():
        for place in range(7):
            drawn.append(place)
            yield unsee.images.read_photo(images(1)[0]), 1

    plan = unsee.masks.Plan(PRESETS["fast"], batch_size=2)
    most = []
    for done, _ in enumerate(unsee.masks.explain_each(classifier(Net().eval()), source(), plan)):
        most.append(len(drawn) - done)
    assert len(drawn) == 7
    assert max(most) <= 5


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_response_norm_equals_torchs(layout):
    x = torch.randn(2, 9, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = (30 * x).contiguous(memory_format=layout).requires_grad_()
    slow = F.local_response_norm(x, 5, alpha=1e-2, beta=0.75, k=1.0)
    quick = ResponseNorm(alpha=1e-2)(x)
    assert torch.allclose(quick, slow, rtol=1e-12)
    weights = torch.randn(slow.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (slow, quick)]
    assert torch.allclose(*gradients, rtol=1e-10, atol=1e-12)


def test_response_norm_has_no_weights_and_works_in_bfloat16():
    net = BVLCGoogLeNet(num_classes=3)
    assert not [key for key in net.state_dict() if "norm" in key]
    x = torch.randn(1, 64, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        half = net.norm1(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), net.norm1(x), atol=0.05)


@pytest.mark.parametrize(
    "make", [torch.jit.script, lambda net: torch.jit.trace(net, torch.rand(1, 3, 32, 32))]
)
@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_a_scripted_network_can_be_explained(make, make_net, make_pixels):
    plain = Classifier(make_net(), size=(32, 32))
    scripted = Classifier(make(make_net()), size=(32, 32))
    own, other = (explain(c, make_pixels(), iterations=4, precision="float32") for c in (plain, scripted))
    assert torch.allclose(own.mask_grid, other.mask_grid, atol=1e-3)
