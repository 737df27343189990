"""A network that unsee has borrowed comes back as it was, and the caller's settings change no result."""

import copy
import dataclasses
import pickle
from contextlib import contextmanager

import pytest
import torch
from torch import nn

import unsee
from checks import one_line
from lent_nets import (
    WITH_LAYERS,
    WITHOUT_LAYERS,
    Adapted,
    Frozen,
    check_unchanged,
    images,
    maps,
    small,
    state_of,
    values_of,
    wrapped,
)
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import opened, watched
from unsee.layers import last_spatial_layer, layer_named
from unsee.lending import original
from unsee.methods import METHODS
from unsee.metrics import deletion
from unsee.tuning import Borrowed, tuned
from unsee.words import spelled

EVERY = (*(name for name in WITHOUT_LAYERS if name != "mask"), *WITH_LAYERS, "smooth_grad")
"""All but the mask, which has tests of its own, with fewer iterations."""


def mask(classifier, given):
    """The mask that a few iterations learn."""
    return unsee.explain(classifier, given[0], 1, iterations=3, precision="float32").mask


@pytest.fixture(scope="module")
def expected():
    """Each method's maps for the small network."""
    own = wrapped(small())
    return {name: maps(name, own, images()) for name in EVERY} | {"mask": mask(own, images())}


def adapted(train=True):
    """A network in training whose head has an adapter."""
    net = small()
    torch.manual_seed(0)
    net[8] = nn.Sequential(Adapted(8, 8), nn.ReLU(), Adapted(8, 5))
    return net.train(train)


class TestModes:
    def test_an_adapter_is_folded_inside_and_unfolded_afterwards_bit_by_bit(self):
        net = adapted()
        state, values = state_of(net), values_of(net)
        with wrapped(net).borrowed():
            assert net[8][0].merged
            assert net[8][2].merged
            assert not torch.equal(net[8][0].weight, values["8.0.weight"])
        assert not net[8][0].merged
        check_unchanged(net, state, values)
        unsee.explain(wrapped(net), images()[0], 1, iterations=3)
        maps("grad_cam", wrapped(net), images())
        check_unchanged(net, state, values)
        net(images()).sum().backward()
        assert all(bool(part.grad.any()) for part in (net[8][2].down, net[8][2].up))
        assert net[8][0].weight.grad is None

    def test_the_maps_are_those_of_evaluation_mode(self):
        nets = small(), small()
        for net in nets:
            torch.manual_seed(0)
            net[8] = Adapted(8, 5)
        nets[0].eval()
        nets[1].train()
        for name in EVERY:
            found, folded = (maps(name, wrapped(net), images()) for net in reversed(nets))
            assert torch.equal(found, folded), name

    def test_an_adapter_that_is_folded_already_stays_so(self):
        net = adapted()
        net[8][0].eval()
        state, values = state_of(net), values_of(net)
        with wrapped(net).borrowed():
            pass
        assert net[8][0].merged
        assert not net[8][2].merged
        assert net[8][0].turns == 1
        check_unchanged(net, state, values)

    def test_a_parent_with_a_train_of_its_own_leaves_children_of_another_mode(self):
        net = Frozen(*adapted())
        net.train()
        net[8].eval()
        net[8][2].train()
        state, values = state_of(net), values_of(net)
        assert [net[1].training, net[8].training, net[8][0].training, net[8][2].training] == [0, 0, 0, 1]
        with wrapped(net).borrowed():
            assert not any(module.training for module in net.modules())
        check_unchanged(net, state, values)

    def test_a_module_that_two_parents_share_keeps_its_own_mode(self):
        shared = nn.BatchNorm2d(8)
        net = small()
        net[1] = Frozen(shared, nn.BatchNorm2d(8))
        net[3] = Frozen(nn.MaxPool2d(2), nn.BatchNorm2d(8), shared)
        net.train()
        shared.eval()
        state, values = state_of(net), values_of(net)
        with wrapped(net).borrowed():
            assert not any(module.training for module in net.modules())
        assert not shared.training
        check_unchanged(net, state, values)

    def test_a_train_that_always_says_evaluation_does_not_change_what_was_set(self):
        class Stubborn(nn.BatchNorm2d):
            def train(self, mode=True):
                return super().train(False)

        net = small().train()
        net[1] = Stubborn(8)
        assert net[1].training
        with wrapped(net).borrowed():
            assert not net[1].training
        assert net[1].training

    def test_a_train_that_fails_is_reported_once_all_else_is_restored(self):
        class Failing(nn.ReLU):
            def train(self, mode=True):
                if mode:
                    raise ZeroDivisionError("in train")
                return super().train(mode)

        net = small().train()
        net[2] = Failing()
        state, values = state_of(net), values_of(net)
        with pytest.raises(ZeroDivisionError, match="in train"):
            wrapped(net).probabilities(images())
        check_unchanged(net, state, values)

    def test_loans_of_overlapping_networks_end_in_any_order(self):
        net = adapted()
        outer = nn.Sequential(net, nn.Dropout())
        state, values = state_of(outer), values_of(outer)
        first, second = wrapped(net).borrowed(), wrapped(outer).borrowed()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert not any(module.training for module in outer.modules())
        assert not any(weight.requires_grad for weight in outer.parameters())
        second.__exit__(None, None, None)
        check_unchanged(outer, state, values)


class TestStopped:
    @pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("name", ["mask", "gradient", "grad_cam", "excitation_backprop", "lrp"])
    def test_in_a_forward_pass(self, stop, name):
        class Stopping(nn.Identity):
            passes = 0

            def forward(self, x):
                Stopping.passes -= 1
                if Stopping.passes == 0:
                    raise stop
                return x

        net = adapted()
        net[3].add_module("stop", Stopping())
        net[6] = nn.Sequential(Stopping(), net[6])
        net[1].eval()
        state, values = state_of(net), values_of(net)
        Stopping.passes = {"mask": 5}.get(name, 1)
        with pytest.raises(stop):
            maps(name, wrapped(net), images())
        check_unchanged(net, state, values)

    def test_one_module_that_takes_no_hooks_leaves_none_on_the_others(self, monkeypatch):
        net = small()

        def refuse(hook):
            raise RuntimeError("no hooks")

        monkeypatch.setattr(net[4], "register_forward_hook", refuse)
        with pytest.raises(RuntimeError, match="no hooks"):
            last_spatial_layer(wrapped(net))
        assert not any(module._forward_hooks for module in net.modules())


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
        assert torch.get_default_device() == torch.device("meta")
    finally:
        torch.set_default_device(None)


@contextmanager
def autocast():
    with torch.autocast("cpu", torch.bfloat16):
        yield
        assert torch.is_autocast_enabled("cpu")


@contextmanager
def no_grad():
    with torch.no_grad():
        yield
        assert not torch.is_grad_enabled()


@contextmanager
def inference_mode():
    with torch.inference_mode():
        yield
        assert torch.is_inference_mode_enabled()


SETTINGS = (default_dtype, default_device, autocast, no_grad, inference_mode)


class TestSettings:
    @pytest.mark.parametrize("setting", SETTINGS)
    def test_of_the_caller_change_no_map(self, setting, expected):
        given, own = images(), wrapped(small())
        with setting():
            found = {name: maps(name, own, given) for name in EVERY}
        assert [name for name in EVERY if not torch.equal(found[name], expected[name])] == []
        assert not any(one.is_inference() or one.requires_grad for one in found.values())

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_of_the_caller_change_no_explanation_and_no_score(self, setting):
        given, own = images(), wrapped(small())
        saliency = torch.rand(2, 32, 32)

        def results():
            done = unsee.explain(own, given[0], 1, preset="paper", iterations=3)
            box = unsee.interrogate(own, given[0], (4, 4, 20, 20), 1)
            curve = deletion(own, given, saliency, [(0,), (1,)], steps=4)
            return [
                *(done.mask, done.perturbed, torch.tensor(dataclasses.astuple(done.scores), device="cpu")),
                *(box.perturbed, torch.tensor(dataclasses.astuple(box.scores), device="cpu")),
                *(curve.scores, own.probabilities(given)),
            ]

        before = results()
        with setting():
            inside = results()
        assert [one.dtype for one in inside[:2]] == [torch.float32] * 2
        assert [k for k, one in enumerate(inside) if not torch.equal(one.float(), before[k].float())] == []

    def test_photos_of_inference_mode(self, expected):
        with torch.inference_mode():
            given = images()
            photo = unsee.read_photo(given[0])
        assert given.is_inference()
        for name in EVERY:
            assert torch.equal(maps(name, wrapped(small()), given), expected[name]), name
        assert torch.equal(mask(wrapped(small()), [photo]), expected["mask"])

    @pytest.mark.parametrize("inside", [False, True])
    def test_networks_of_inference_mode(self, inside, expected):
        with torch.inference_mode():
            net = copy.deepcopy(small())
        net[4].bias.data, tied = net[4].bias.data, net[4].bias
        net[4].register_parameter("tied", tied)
        state = state_of(net)
        assert net[0].weight.is_inference()
        assert net[1].running_mean.is_inference()
        with torch.inference_mode(inside):
            for name in EVERY:
                assert torch.equal(maps(name, wrapped(net), images()), expected[name]), name
            assert torch.equal(mask(wrapped(net), images()), expected["mask"])
        assert state_of(net) == state
        assert net[4].tied is net[4].bias

    def test_gradients_stay_switched_off_where_a_network_is_borrowed_without_them(self):
        own = wrapped(small())
        with torch.no_grad(), own.borrowed():
            assert not torch.is_grad_enabled()
        with torch.inference_mode(), own.borrowed():
            assert not torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # by torch.compile
class TestCompiled:
    @pytest.fixture(params=["whole", "in place", "a part"])
    def compiled(self, request):
        torch.compiler.reset()  # after too many networks they would run as they are
        net = small()
        if request.param == "whole":
            whole = torch.compile(net, backend="eager")
        else:
            whole = net
            if request.param == "in place":
                net.compile(backend="eager")
            else:
                net[4] = torch.compile(net[4], backend="eager")
        whole(images())
        return whole

    def test_maps_are_those_of_the_original(self, compiled, expected):
        state = state_of(compiled)
        for name in EVERY:
            found = maps(name, wrapped(compiled), images())
            assert torch.allclose(found, expected[name], rtol=1e-4, atol=1e-6), name
        assert torch.allclose(mask(wrapped(compiled), images()), expected["mask"], atol=1e-4)
        assert state_of(compiled) == state

    def test_hooks_see_passes_that_are_compiled_already(self, compiled):
        for _ in range(2):
            wrapped(compiled).probabilities(images())
        own = opened(wrapped(compiled))
        assert own.reading.differentiable
        with own.borrowed(), torch.no_grad(), watched(layer_named(own, "4")) as seen:
            own.logits(images())
        assert len(seen) == 1

    def test_layers_have_the_names_that_they_have_without_it(self, compiled):
        own = wrapped(compiled)
        assert last_spatial_layer(own) == "5"
        assert isinstance(layer_named(own, "4"), nn.Conv2d)
        written = next(name for name, module in compiled.named_modules() if isinstance(module, nn.ReLU))
        assert isinstance(layer_named(own, written), nn.ReLU)
        assert own.network is original(compiled)


def scripted(net):
    return torch.jit.script(net)


def traced(net):
    return torch.jit.trace(net, images())


def frozen(net):
    return torch.jit.freeze(torch.jit.script(net))


def exported(net):
    batch = torch.export.Dim("batch", min=1, max=4096)
    return torch.export.export(net, (images(),), dynamic_shapes=({0: batch},)).module()


@pytest.mark.filterwarnings("ignore:.torch.jit:")
class TestClosed:
    @pytest.fixture(params=[scripted, traced, frozen, exported])
    def net(self, request):
        return request.param(small())

    def test_methods_without_layers_give_the_maps_of_the_network(self, net, expected):
        for name in set(WITHOUT_LAYERS) & set(EVERY):
            found = maps(name, wrapped(net), images())
            assert torch.allclose(found, expected[name], rtol=1e-4, atol=1e-5), name
        assert torch.allclose(mask(wrapped(net), images()), expected["mask"], atol=1e-4)

    def test_methods_with_layers_say_which_need_none(self, net):
        for name in WITH_LAYERS:
            with pytest.raises(UnseeError) as error:
                maps(name, wrapped(net), images())
            line = one_line(error)
            assert [name for name in WITHOUT_LAYERS if spelled(name) not in line] == []
            assert [name for name in WITH_LAYERS if spelled(name) in line.partition("made from;")[2]] == []
            assert "are closed" in line
        with pytest.raises(UnseeError, match="are closed"):
            last_spatial_layer(wrapped(net))

    def test_a_network_with_a_closed_part(self, net):
        whole = nn.Sequential(net, nn.Linear(5, 4))
        modes = [getattr(module, "training", None) for module in whole.modules()]
        assert unsee.explain(wrapped(whole), images()[0], 1, iterations=2).mask.shape == (32, 32)
        assert [getattr(module, "training", None) for module in whole.modules()] == modes
        assert maps("gradient", wrapped(whole), images()).isfinite().all()
        with pytest.raises(UnseeError) as error:
            METHODS["grad_cam"](wrapped(whole), images(), [0, 1], layer="0")
        one_line(error)

    def test_scripted_networks_keep_their_modes_and_gradients(self):
        net = scripted(small().train())
        next(iter(net.children())).eval()
        modes = [module.training for module in net.modules()]
        assert set(modes) == {True, False}
        values = values_of(net)
        with wrapped(net).borrowed():
            assert not any(module.training for module in net.modules())
            assert not any(weight.requires_grad for weight in net.parameters())
        unsee.explain(wrapped(net), images()[0], 1, iterations=2)
        assert [module.training for module in net.modules()] == modes
        assert all(weight.requires_grad for weight in net.parameters())
        assert all(torch.equal(value, net.state_dict()[name]) for name, value in values.items())

    def test_a_scripted_network_of_inference_mode(self, expected):
        with torch.inference_mode():
            net = scripted(copy.deepcopy(small()))
        assert all(weight.is_inference() for weight in net.parameters())
        assert torch.allclose(maps("gradient", wrapped(net), images()), expected["gradient"], atol=1e-6)
        assert all(weight.is_inference() for weight in net.parameters())


class TestCopies:
    def test_a_classifier_is_pickled_copied_and_replaced_also_while_it_is_lent(self):
        own = wrapped(small())
        expected = own.probabilities(images())
        with own.borrowed():
            others = [pickle.loads(pickle.dumps(own)), copy.deepcopy(own), dataclasses.replace(own, name="b")]
        for other in others:
            assert torch.equal(other.probabilities(images()), expected)

    def test_a_tuned_copy_of_a_network_in_training_is_its_evaluation_mode(self):
        net = adapted()
        state, values = state_of(net), values_of(net)
        quick = tuned(wrapped(net))
        assert not isinstance(quick.net, Borrowed)
        check_unchanged(net, state, values)
        assert torch.allclose(
            quick.logits(images()), wrapped(adapted(train=False)).logits(images()), atol=1e-4
        )

    def test_only_what_a_method_needs_is_opened(self):
        own = wrapped(small())
        assert opened(own) is own
        quick = tuned(own)
        assert opened(quick) is quick
        compiled = Classifier(torch.compile(small(), backend="eager"), size=(32, 32))
        assert isinstance(opened(compiled).net, nn.Sequential)
