import copy

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from checks import one_line
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.fits import resize
from unsee.input_values import IMAGENET_MEAN, IMAGENET_STD
from unsee.masks import explain

NAMES = ("ant", "bee", "cat", "tiger cat", "dog")


def state_of(net: nn.Module) -> dict:
    """Everything that `borrowed` promises to restore."""
    return {
        "modes": [(name, module.training) for name, module in net.named_modules()],
        "wanted": [(name, weight.requires_grad) for name, weight in net.named_parameters()],
        "kinds": [(name, value.dtype, value.device) for name, value in net.state_dict().items()],
        "hooks": [
            (name, *(tuple(getattr(module, table)) for table in ("_forward_hooks", "_forward_pre_hooks")))
            for name, module in net.named_modules()
        ],
        "backward": [(name, tuple(module._backward_hooks)) for name, module in net.named_modules()],
        "identity": [(name, id(weight)) for name, weight in net.named_parameters()],
    }


def tensors_of(net: nn.Module) -> dict[str, torch.Tensor]:
    values = {f"state {name}": value.clone() for name, value in net.state_dict().items()}
    grads = {f"grad {name}": w.grad.clone() for name, w in net.named_parameters() if w.grad is not None}
    return values | grads


@pytest.fixture
def used_net(make_net):
    """A network in the middle of training: modes, gradients and hooks differ between modules."""
    net = make_net(batch_norm=True)
    net.train()
    net(torch.rand(4, 3, 32, 32)).sum().backward()
    net[1].eval()
    net[0].bias.requires_grad_(False)
    net[1].weight.requires_grad_(False)
    net[0].weight.grad = None
    net.counted = []
    net[2].register_forward_hook(lambda module, inputs, output: net.counted.append(1))
    net[0].register_forward_pre_hook(lambda module, inputs: None)
    net[-1].register_full_backward_hook(lambda module, inputs, outputs: None)
    return net


@pytest.fixture
def checked(used_net):
    """A classifier of the used network; after the test the network must be unchanged."""
    before, tensors = copy.deepcopy(state_of(used_net)), tensors_of(used_net)
    assert {training for _, training in before["modes"]} == {True, False}
    assert {wanted for _, wanted in before["wanted"]} == {True, False}
    yield Classifier(used_net, size=(32, 32), class_names=NAMES, name="tiny")
    assert state_of(used_net) == before
    after = tensors_of(used_net)
    assert after.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(after[name], value), name


class TestRestored:
    def test_after_an_explanation(self, checked, make_pixels):
        explain(checked, make_pixels(), iterations=2)
        assert checked.net.counted

    def test_after_probabilities(self, checked):
        assert checked.reading.kind == "softmax"
        before = len(checked.net.counted)
        checked.probabilities(torch.rand(2, 3, 32, 32))
        assert len(checked.net.counted) == before + 1

    def test_after_an_exception_in_the_network(self, checked, make_pixels):
        def fail(module, inputs, output):
            if output.requires_grad:
                raise ZeroDivisionError("in the middle")

        assert checked.reading.differentiable
        handle = checked.net[3].register_forward_hook(fail)
        with pytest.raises(ZeroDivisionError, match="in the middle"):
            explain(checked, make_pixels(), iterations=2)
        handle.remove()

    def test_after_ctrl_c_in_a_progress_callback(self, checked, make_pixels):
        steps = []

        def progress(step):
            steps.append(step.iteration)
            if len(steps) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            explain(checked, make_pixels(), iterations=9, progress=progress)
        assert steps == [1, 2]

    def test_after_a_bad_target(self, checked, make_pixels):
        with pytest.raises(UnseeError, match="no class called"):
            explain(checked, make_pixels(), "walrus", iterations=2)

    def test_a_borrowed_network_is_in_evaluation_mode_without_gradients(self, checked):
        with checked.borrowed():
            assert not any(module.training for module in checked.net.modules())
            assert not any(weight.requires_grad for weight in checked.net.parameters())

    def test_the_random_state_of_torch_and_numpy_does_not_change(self, classifier, make_pixels):
        before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        explain(classifier, make_pixels(), iterations=2, perturbation="joint")
        assert torch.equal(torch.random.get_rng_state(), before[0])
        assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


class TestTargets:
    @pytest.mark.parametrize(
        ("target", "index"),
        [
            (0, 0),
            (4, 4),
            ("3", 3),
            (" 2 ", 2),
            (np.int64(2), 2),
            (np.uint8(1), 1),
            ("dog", 4),
            ("DOG", 4),
            ("tiger", 3),
            ("cat", 2),
            ("tiger cat", 3),
            ("be", 1),
        ],
    )
    def test_found(self, classifier, target, index):
        assert classifier.class_index(str(target), 5) == index

    @pytest.mark.parametrize("target", [np.int64(2), np.int32(2), np.uint8(2), 2, "2", "cat"])
    def test_explained(self, classifier, make_pixels, target):
        done = explain(classifier, make_pixels(), target, iterations=1)
        assert (done.target.indices, done.target.names) == ((2,), ("cat",))

    @pytest.mark.parametrize("target", ["-1", "5", "99", "-0999", "1" * 30])
    def test_out_of_range_says_the_range(self, classifier, target):
        with pytest.raises(UnseeError, match="0 to 4") as error:
            classifier.class_index(target, 5)
        one_line(error)

    @pytest.mark.parametrize("target", ["walrus", "", "  ", "--5", "-", "²", "٣٣", "1.5", "1e0", "[0-9]"])
    def test_unknown(self, classifier, target):
        with pytest.raises(UnseeError) as error:
            classifier.class_index(target, 5)
        one_line(error)

    def test_ambiguous_names_the_candidates(self, classifier):
        with pytest.raises(UnseeError) as error:
            classifier.class_index("a", 5)
        line = one_line(error)
        assert "ant (0)" in line
        assert "cat (2)" in line
        assert "tiger cat (3)" in line
        assert "bee" not in line

    def test_very_ambiguous_names_eight_and_counts_the_rest(self, make_net):
        names = tuple(f"kind {i} of bird" for i in range(10))
        with pytest.raises(UnseeError, match="and 2 more") as error:
            Classifier(make_net(10), class_names=names).class_index("bird", 10)
        assert one_line(error).count("of bird (") == 8

    def test_the_same_name_twice_is_ambiguous(self, make_net):
        with pytest.raises(UnseeError, match=r"crane \(0\), crane \(1\)"):
            Classifier(make_net(2), class_names=("crane", "crane")).class_index("crane", 2)

    def test_without_names_an_index_is_needed(self, make_net):
        plain = Classifier(make_net())
        assert plain.class_index("3", 5) == 3
        assert plain.class_name(3) == "3"
        with pytest.raises(UnseeError, match="as an index") as error:
            plain.class_index("dog", 5)
        one_line(error)

    def test_names_go_with_indices(self, classifier):
        assert [classifier.class_name(i) for i in range(5)] == list(NAMES)
        assert classifier.class_name(7) == "7"


class Answers(nn.Module):
    """Passes a network's logits through a function."""

    def __init__(self, net, change):
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x):
        return self.change(self.net(x))


class WithLogits:
    def __init__(self, logits):
        self.logits = logits


class TestOutputs:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda y: None, "NoneType"),
            (lambda y: (), "tuple"),
            (lambda y: {"logits": None, "hidden": "?"}, "dict"),
            (lambda y: y[0], r"\(5,\)"),
            (lambda y: y.repeat(3, 1), r"\(3, 5\)"),
            (lambda y: y[..., None].expand(-1, -1, 4), r"\(1, 5, 4\)"),
            (lambda y: y.sum(), r"\(\)"),
            (lambda y: WithLogits((y,)), "WithLogits"),
        ],
    )
    def test_outputs_that_are_not_logits_are_refused(self, make_net, change, expected):
        wrapped = Classifier(Answers(make_net(), change), size=(32, 32))
        with pytest.raises(UnseeError, match=expected) as error:
            wrapped.probabilities(torch.rand(2, 3, 32, 32))
        assert "(1, classes)" in one_line(error)

    def test_objects_with_logits(self, make_net):
        net = make_net()
        images = torch.rand(2, 3, 32, 32)
        wrapped = Classifier(Answers(net, WithLogits), size=(32, 32))
        assert torch.equal(wrapped.logits(images), Classifier(net, size=(32, 32)).logits(images))

    def test_probabilities_add_up_and_need_no_gradient(self, classifier):
        scores = classifier.probabilities(torch.rand(3, 3, 32, 32, requires_grad=True))
        assert not scores.requires_grad
        assert torch.allclose(scores.sum(dim=1), torch.ones(3))

    def test_logits_are_differentiable_with_respect_to_the_images(self, classifier):
        images = torch.rand(2, 3, 32, 32, requires_grad=True)
        classifier.logits(images)[:, 1].sum().backward()
        assert images.grad.abs().amax() > 0


class TestNetworks:
    @pytest.mark.parametrize(
        ("dtype", "computed"),
        [
            (torch.float64, torch.float64),
            (torch.float32, torch.float32),
            (torch.float16, torch.float32),
            (torch.bfloat16, torch.float32),
        ],
    )
    def test_each_network_runs_in_its_own_dtype(self, make_net, make_pixels, dtype, computed):
        net = make_net().to(dtype)
        seen = []
        net[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].dtype))
        model = Classifier(net, size=(32, 32))
        assert model.dtype == computed
        done = explain(model, make_pixels(), iterations=2)
        assert set(seen) == {dtype}
        assert {weight.dtype for weight in net.parameters()} == {dtype}
        assert done.mask.dtype == done.mask_grid.dtype == done.perturbed.dtype == torch.float32
        assert model.logits(torch.rand(1, 3, 32, 32, dtype=computed)).dtype == computed
        single = explain(Classifier(make_net(), size=(32, 32)), make_pixels(), iterations=2)
        assert done.scores.original == pytest.approx(single.scores.original, abs=0.05)

    def test_without_parameters(self, make_pixels):
        net = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        model = Classifier(net, size=(24, 20))
        assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
        done = explain(model, make_pixels(), iterations=2)
        brightest = resize(done.photo.pixels, (24, 20)).amax(dim=(1, 2))
        normalised = (brightest - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
        assert done.target.indices == (int(normalised.argmax()),)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_an_in_place_first_layer_does_not_change_the_images(self, make_net, make_pixels, dtype):
        plain, inner = nn.Sequential(nn.ReLU(), make_net()), make_net()
        in_place = nn.Sequential(nn.ReLU(inplace=True), inner)
        results = []
        for net in (plain, in_place):
            model = Classifier(net.to(dtype), size=(32, 32), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
            images = torch.rand(2, 3, 32, 32, dtype=dtype) - 0.5
            kept = images.clone()
            model.logits(images)
            assert torch.equal(images, kept)
            results.append(explain(model, make_pixels(), iterations=3))
        assert torch.equal(results[0].mask, results[1].mask)
        assert results[0].scores == results[1].scores

    def test_the_predicted_class_is_the_argmax(self, classifier, make_pixels):
        for seed in range(6):
            done = explain(classifier, make_pixels(32, 32, seed), iterations=1)
            scores = classifier.probabilities(done.photo.pixels[None])[0]
            assert done.target.indices == (int(scores.argmax()),)
            assert done.scores.original == pytest.approx(float(scores.max()), abs=1e-6)


class TestNormalisation:
    @pytest.mark.parametrize(
        ("mean", "std"), [(IMAGENET_MEAN, IMAGENET_STD), ((0.5, 0.1, 0.9), (0.2, 1.0, 3.0))]
    )
    def test_is_torchvisions(self, mean, std):
        images = torch.rand(2, 3, 7, 5)
        model = Classifier(nn.Flatten(), size=(7, 5), mean=mean, std=std)
        expected = v2.functional.normalize(images, list(mean), list(std)).flatten(1)
        assert torch.allclose(model.logits(images), expected, rtol=1e-6, atol=1e-6)

    def test_the_average_colour_defaults_to_the_mean(self):
        assert Classifier(nn.Flatten()).color == IMAGENET_MEAN
        assert Classifier(nn.Flatten(), mean_color=(0.1, 0.2, 0.3)).color == (0.1, 0.2, 0.3)


class TestRefused:
    @pytest.mark.parametrize(
        "options",
        [
            {"size": (0, 32)},
            {"size": (32, -1)},
            {"std": (0.2, 0.0, 0.2)},
            {"std": (0.2, -0.1, 0.2)},
            {"std": (float("nan"),) * 3},
            {"mean": (float("nan"), 0.5, 0.5)},
            {"mean": (float("inf"), 0.5, 0.5)},
        ],
    )
    def test_invalid_sizes_means_and_deviations(self, options):
        with pytest.raises(UnseeError) as error:
            Classifier(nn.Flatten(), **options)
        one_line(error)

    def test_it_is_frozen(self, classifier):
        with pytest.raises(AttributeError):
            classifier.size = (1, 1)

    def test_a_function_is_not_a_module(self):
        with pytest.raises(Exception, match=r"Module|torch\.nn"):
            Classifier(print)
