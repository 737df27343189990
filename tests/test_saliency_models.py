"""Saliency methods on networks of every family, and the networks afterwards."""

import copy
import warnings
from functools import partial

import pytest
import torch
import torchvision.models as zoo
from numpy.testing import assert_allclose
from timm.models.mlp_mixer import MlpMixer
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.layers import eighth_layer, last_spatial_layer
from unsee.methods import METHODS, method_named
from unsee.models.bvlc_googlenet import BVLCGoogLeNet
from unsee.models.efficientnet_lite0 import EfficientNetLite0

SHORT = {
    "occlusion": {"stride": 80.0},
    "blur_occlusion": {"stride": 80.0},
    "variable_occlusion": {"draws": 12},
    "lime": {"samples": 12, "segments": 6},
    "feedback": {"passes": 4},
    "integrated_gradients": {"steps": 4},
    "smooth_grad": {"samples": 3},
    "rise": {"masks": 20},
}
"""Fewer passes than a method takes by itself."""
NEEDS_RELU = {"guided_backprop", "deconvnet", "feedback"}
NETWORKS = {
    "resnet": (zoo.resnet18, "layer4", "layer2.0", set()),
    "vgg": (zoo.vgg11, "features.19", "features.10", {"cam"}),
    "vgg with batch norm": (zoo.vgg11_bn, "features.27", "features.14", {"cam"}),
    "googlenet": (partial(zoo.googlenet, init_weights=False), "inception5b", "maxpool2", set()),
    "bvlc googlenet": (BVLCGoogLeNet, "inception5b", "pool2", set()),
    "squeezenet": (zoo.squeezenet1_1, "features", "features.5", set()),
    "mobilenet v2": (zoo.mobilenet_v2, "features", "features.4", set()),
    "efficientnet-lite0": (EfficientNetLite0, "head", "blocks.3", set()),
    "mobilenet v3": (zoo.mobilenet_v3_small, "features", "features.2", {"cam"}),
    "densenet": (zoo.densenet121, "features", "features.transition1", set()),
    "alexnet": (zoo.alexnet, "features.11", "features.2", {"cam"}),
    "convnext": (zoo.convnext_tiny, "features", "features.2", {"cam", "lrp", *NEEDS_RELU}),
    "vit": (
        partial(zoo.VisionTransformer, 224, 32, 2, 2, 32, 64),
        "encoder.layers.encoder_layer_1.ln_1",
        None,
        {"cam", "lrp", "excitation_backprop", "contrastive_excitation_backprop", *NEEDS_RELU},
    ),
}
"""How it is made, where Grad-CAM and excitation read it, and the methods that cannot serve it."""


def short(name):
    return partial(METHODS[name].call, **SHORT.get(name, {}))


def test_maps_before_tokens_are_not_read():
    with torch.random.fork_rng(devices=[]):
        mixer = MlpMixer(num_classes=5, img_size=64, patch_size=8, num_blocks=2, embed_dim=16).eval()
        vit = zoo.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=5).eval()
    for net in (mixer, vit):
        classifier = Classifier(net, size=(64, 64), name="net")
        with pytest.raises(UnseeError, match="goes on with tokens after its maps: name the layer"):
            eighth_layer(classifier)
    with pytest.raises(UnseeError, match="goes on with tokens"):
        METHODS["excitation_backprop"](Classifier(mixer, size=(64, 64)), torch.rand(1, 3, 64, 64), [3])


@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_serves_a_network_or_says_what_does(name):
    make, last, eighth, unserved = NETWORKS[name]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        side = 224 if name == "vit" else 128  # only the transformer is tied to its size
        classifier = Classifier(make().eval(), size=(side, side), name=name)
    images = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    assert last_spatial_layer(classifier) == last
    assert eighth is None or eighth_layer(classifier) == eighth
    for method in unserved:
        with pytest.raises(UnseeError) as caught:
            short(method)(classifier, images, [3])
        assert any(other in str(caught.value) for other in METHODS if other != method)
    for method in METHODS.keys() - unserved - {"mask"}:
        saliency = short(method)(classifier, images, [3])
        assert saliency.ndim == 3
        assert saliency.isfinite().all()
        assert not saliency.requires_grad
    assert not any(m._forward_hooks or m._backward_hooks for m in classifier.net.modules())


class Repeated(nn.Module):
    """Calls one ReLU and one pooling again and again."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.relu, self.pool, self.last = nn.ReLU(), nn.MaxPool2d(4), nn.Linear(5, 6)

    def forward(self, x):
        x = self.pool(self.relu(self.first(x)))
        x = self.pool(self.relu(self.second(x)))
        return self.last(self.relu(x.mean((2, 3))))


def test_a_module_that_is_called_again_and_again_is_no_layer_to_read():
    classifier = Classifier(Repeated().eval(), size=(64, 64))
    assert last_spatial_layer(classifier) == "second"
    for method in (method for method in METHODS.values() if method.reads_layer):
        assert method(classifier, torch.rand(1, 3, 64, 64), [2]).shape == (1, 16, 16)


def test_a_wrapper_round_a_network_changes_no_layer():
    plain = zoo.vgg11().eval()
    for net, prefix in ((plain, ""), (nn.Sequential(plain), "0.")):
        classifier = Classifier(net)
        assert last_spatial_layer(classifier) == prefix + "features.19"
        assert eighth_layer(classifier) == prefix + "features.10"


class Written(nn.Module):
    """Attention written out, with tokens of patches."""

    def __init__(self):
        super().__init__()
        self.patches, self.last = nn.Conv2d(3, 8, 8, stride=8), nn.Linear(8, 4)
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        x = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        x = (x @ x.transpose(1, 2)).softmax(2) @ x
        return self.last(x.mean(1))


def test_attention_that_is_written_out_is_refused_and_its_tokens_can_be_named():
    classifier = Classifier(Written().eval(), size=(32, 32))
    images = torch.rand(1, 3, 32, 32)
    with pytest.raises(UnseeError, match="no rule for"):
        METHODS["lrp"](classifier, images, [1])
    for name in ("excitation_backprop", "contrastive_excitation_backprop"):
        with pytest.raises(UnseeError, match="no rule for"):
            METHODS[name](classifier, images, [1], layer="norm")
        with pytest.raises(UnseeError, match="goes on with tokens"):
            METHODS[name](classifier, images, [1])
    with pytest.raises(UnseeError, match="name the layer to read"):
        METHODS["grad_cam"](classifier, images, [1])
    assert METHODS["grad_cam"](classifier, images, [1], layer="norm").shape == (1, 4, 4)


def test_grad_cam_reads_the_patch_tokens_of_a_transformer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = zoo.VisionTransformer(64, 16, 2, 2, 16, 32, num_classes=5).eval()
        nn.init.normal_(net.heads[0].weight)
    classifier = Classifier(net, size=(64, 64))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert classifier.reading.differentiable
    given = []
    handle = net.encoder.layers[-1].ln_1.register_forward_hook(lambda _m, _i, out: given.append(out))
    logits = classifier.logits(images.requires_grad_())
    handle.remove()
    (gradients,) = torch.autograd.grad(logits[0, 1] + logits[1, 4], given[0])
    tokens, gradients = given[0][:, 1:].detach(), gradients[:, 1:]
    expected = (gradients.mean(1, keepdim=True) * tokens).sum(2).clamp(min=0).reshape(2, 4, 4)
    found = METHODS["grad_cam"](classifier, images, [1, 4])
    assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert (found > 0).any()


class Stopped(BaseException):
    """Stands for Ctrl-C."""


class Breaking(nn.Module):
    """Lets images through, until it is told to break on the way there or back."""

    def __init__(self):
        super().__init__()
        self.way, self.left = "", 0

    def forward(self, x):
        if self.way == "forward" and self.counted():
            raise Stopped
        if self.way == "backward" and x.requires_grad:
            x = x * 1
            x.register_hook(self.stop)
        return x

    def counted(self):
        self.left -= 1
        return self.left < 0

    def stop(self, _gradient):
        raise Stopped


@pytest.fixture
def lived_in():
    """A network in use: training mode in part, a frozen layer, a hook of its user's, gradients."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            Breaking(),
            nn.Conv2d(4, 6, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 5),
        )
    net.train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[4].weight.grad = torch.ones_like(net[4].weight)
    net[5].register_forward_hook(lambda _m, _i, out: out)
    return net


def state_of(net):
    return {
        "modes": [module.training for module in net.modules()],
        "wanted": [weight.requires_grad for weight in net.parameters()],
        "weights": {name: tensor.clone() for name, tensor in net.state_dict().items()},
        "gradients": [None if w.grad is None else w.grad.clone() for w in net.parameters()],
        "hooks": [
            [list(getattr(module, kind)) for kind in vars(module) if "hooks" in kind]
            for module in net.modules()
        ],
        "attributes": [sorted(vars(module)) for module in net.modules()],
        "forward": [vars(module).get("forward") for module in net.modules()],
        "biases": [getattr(module, "bias", None) is None for module in net.modules()],
    }


def same(before, after):
    for key, value in before.items():
        if key == "weights":
            assert value.keys() == after[key].keys()
            assert all(torch.equal(value[name], after[key][name]) for name in value)
        elif key == "gradients":
            assert all(
                (a is None and b is None) or torch.equal(a, b) for a, b in zip(value, after[key], strict=True)
            )
        else:
            assert value == after[key], key


def test_the_learned_mask_is_that_of_explain():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    classifier = Classifier(net.eval(), size=(28, 28))
    images = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    found = METHODS["mask"](classifier, images, [1, {0, 4}], seed=3)
    explained = unsee.explain(classifier, images, [1, (0, 4)], seed=3)
    assert 0 < found.mean() < 1
    assert torch.equal(found, torch.stack([one.saliency for one in explained]))


def test_a_layer_is_refused_by_methods_that_read_none():
    with pytest.raises(UnseeError, match=r"gradient reads no layer: leave it out; .*grad-cam"):
        METHODS["gradient"](Classifier(nn.Identity()), torch.rand(1, 3, 4, 4), [0], layer="layer4")


@pytest.mark.parametrize("name", ["grad_cam", "grad-cam", "Grad-CAM"])
def test_a_method_is_found_however_its_name_is_written(name):
    assert method_named(name) is METHODS["grad_cam"]


@pytest.mark.parametrize("name", ["grad_kam", None])
def test_a_name_that_is_not_a_method_s_is_refused(name):
    with pytest.raises(UnseeError, match="no method is called" + (".*grad-cam" if name else "")):
        method_named(name)


@pytest.mark.parametrize("way", ["finished", "forward", "backward"])
@pytest.mark.parametrize("name", METHODS)
def test_the_network_comes_back_as_it_was(name, way, lived_in):
    classifier = Classifier(lived_in, size=(24, 24), name="lived in")
    images = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    _ = classifier.reading  # found by a forward and a backward pass of its own
    before, drawn = state_of(lived_in), torch.get_rng_state()
    lived_in[3].way = way
    lived_in[3].left = 0
    below = {"layer": "2"} if METHODS[name].reads_layer else {}
    try:
        short(name)(classifier, images, [1, 2], **below)
        stopped = False
    except Stopped:
        stopped = True
    lived_in[3].way = ""
    asks_for_gradients = name not in {"cam", "lime", "rise", "center"} and "occlusion" not in name
    expected = {
        "finished": False,
        "forward": name != "center",
        "backward": asks_for_gradients,
    }
    assert stopped == expected[way]
    same(before, state_of(lived_in))
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_gives_what_single_images_give(name, lived_in):
    classifier = Classifier(copy.deepcopy(lived_in).double(), size=(24, 24))
    images = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    targets = [1, {0, 4}, 2]
    together = short(name)(classifier, images, targets)
    for row in range(3):
        alone = short(name)(classifier, images[row : row + 1], targets[row : row + 1])
        assert_allclose(together[row], alone[0], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", [m.name for m in METHODS.values() if m.seeded and not m.learned])
def test_the_same_seed_gives_the_same_map_and_another_another(name, lived_in):
    classifier = Classifier(lived_in, size=(24, 24))
    images = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    maps = [short(name)(classifier, images, [1], seed=seed) for seed in (7, 7, 8)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])
