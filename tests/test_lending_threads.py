"""Several threads that use one network get what one thread gets, and the network comes back as it was."""

import contextlib
import copy
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import unsee
from lent_nets import Adapted, check_unchanged, images, maps, small, state_of, values_of, wrapped
from unsee import tuning
from unsee.hooks import copied, hooked, watched
from unsee.tuning import Borrowed, folded, tuned

METHODS = (
    *("mask", "gradient", "guided_backprop", "excitation_backprop", "contrastive_excitation_backprop"),
    *("grad_cam", "cam", "lrp", "smooth_grad", "lime", "feedback"),
)
THREADS = 4


@pytest.fixture(autouse=True)
def _often_switched():
    """Threads take turns a thousand times as often as by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def in_training():
    """A network in the middle of training: an adapter, a frozen BatchNorm, a frozen layer."""
    net = small().train()
    torch.manual_seed(0)
    net[8] = Adapted(8, 5)
    net.train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    return net


def result(name, classifier):
    if name == "mask":
        return unsee.explain(classifier, images()[0], 1, iterations=2, precision="float32").mask
    return maps(name, classifier, images())


def together(calls):
    """The results of functions that start at once, a thread each; no thread may take more than a minute."""
    ready = threading.Barrier(len(calls))

    def start(call):
        ready.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(start, call) for call in calls]
        return [one.result(timeout=60) for one in running]


@pytest.mark.parametrize(("shared", "calls"), [("classifier", 25), ("network", 10), ("part", 10)])
def test_threads_get_the_maps_that_one_gets(shared, calls):
    net = in_training()
    state, values = state_of(net), values_of(net)
    own = wrapped(net)
    expected = {name: result(name, own) for name in METHODS}
    check_unchanged(net, state, values)

    def classifier_for(thread):
        if shared == "part" and thread % 2:
            return wrapped(nn.Sequential(net, nn.Identity()))
        return own if shared == "classifier" else wrapped(net)

    def calls_of(thread):
        classifier = classifier_for(thread)
        wrong = []
        for number in range(calls):
            name = METHODS[(3 * thread + number) % len(METHODS)]
            if not torch.equal(result(name, classifier), expected[name]):
                wrong.append((thread, number, name))
        return wrong

    assert together([lambda thread=thread: calls_of(thread) for thread in range(THREADS)]) == [[]] * THREADS
    check_unchanged(net, state, values)


def test_the_last_to_leave_puts_the_network_back():
    net = in_training()
    state, values = state_of(net), values_of(net)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with wrapped(net).borrowed():
            inside.set()
            assert leave.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(30)
    with wrapped(net).borrowed():
        pass
    assert not any(module.training for module in net.modules())
    assert not any(weight.requires_grad for weight in net.parameters())
    leave.set()
    thread.join(30)
    check_unchanged(net, state, values)


def test_threads_that_wait_for_each_other_end():
    """One that has borrowed a network waits for one that borrows it; two borrow two in opposite orders."""
    first, second = wrapped(small()), wrapped(small())
    with first.borrowed():
        (answer,) = together([lambda: first.probabilities(images())])
    assert torch.equal(answer, first.probabilities(images()))
    both = threading.Barrier(2)

    def nested(outer, inner):
        with outer.borrowed():
            both.wait(30)
            with inner.borrowed():
                return outer.probabilities(images())

    found = together([lambda: nested(first, second), lambda: nested(second, first)])
    assert torch.equal(*found)


def test_a_hook_sees_the_passes_of_its_own_thread_alone():
    net = small()
    with watched(net[4]) as seen:
        net(images())
        together([lambda: net(images())])
    assert len(seen) == 1


def test_a_copy_has_the_callers_hooks_and_none_of_ours():
    net = small()
    net[2].register_forward_hook(print)
    with hooked(list(net), lambda *_: None), hooked(list(net), lambda *_: None, before=True):
        twin = copied(net)
        assert len(net[2]._forward_hooks) == 2
    assert [len(module._forward_hooks) for module in twin] == [0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert not any(module._forward_pre_hooks for module in twin)


def test_copies_are_made_of_whole_networks_while_others_borrow():
    net = in_training()
    own = wrapped(net)
    expected = wrapped(copy.deepcopy(net).eval()).logits(images())
    stop = threading.Event()

    def borrow():
        count = 0
        while not stop.is_set():
            with own.borrowed(), watched(net[4]):
                count += 1
        return count

    def copies():
        try:
            return [tuned(own) for _ in range(12)]
        finally:
            stop.set()

    *counts, made = together([borrow, borrow, copies])
    assert all(counts)
    for quick in made:
        assert not isinstance(quick.net, Borrowed)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.net.modules())
        assert not any(module._forward_hooks for module in quick.net.modules())
        assert torch.allclose(quick.logits(images()), expected, atol=1e-4)


def test_tracing_a_network_leaves_the_passes_of_other_threads_alone():
    tracing, passed = threading.Event(), threading.Event()
    outcome = []

    class Slow(nn.Sequential):
        def forward(self, x):
            if isinstance(x, torch.fx.Proxy):
                tracing.set()
                assert passed.wait(30)
            return super().forward(x)

    other = small()
    expected = other(images())

    def run():
        assert tracing.wait(30)
        try:
            outcome.append(other(images()))
        finally:
            passed.set()

    thread = threading.Thread(target=run)
    thread.start()
    traced = folded(Slow(*small()))
    thread.join(30)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in traced.modules())
    assert torch.equal(outcome[0], expected)
    assert nn.Module.__call__ is tuning.nn.Module.__call__
    assert torch.allclose(traced(images()), expected, atol=1e-5)


def test_random_methods_draw_what_they_draw_alone_and_leave_the_generator_alone():
    own = wrapped(small())
    expected = maps("smooth_grad", own, images())
    state = torch.get_rng_state()
    found = together([lambda: [maps("smooth_grad", own, images()) for _ in range(6)]] * 3)
    assert all(torch.equal(one, expected) for several in found for one in several)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_default_dtype_comes_back_when_the_last_thread_leaves():
    own, given = wrapped(small()), images()
    expected = maps("rise", own, given)
    torch.set_default_dtype(torch.float64)
    try:

        def calls(wait):
            time.sleep(wait)
            return [maps("rise", own, given) for _ in range(6)]

        found = together([lambda wait=wait: calls(wait) for wait in (0, 0.01, 0.02)])
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(one, expected) for several in found for one in several)


def test_an_error_in_one_thread_leaves_the_others_and_the_network_alone():
    net = in_training()
    state, values = state_of(net), values_of(net)
    own = wrapped(net)
    expected = maps("gradient", own, images())

    def fails():
        for _ in range(20):
            with contextlib.suppress(unsee.UnseeError):
                maps("gradient", own, images() * 300)
            with contextlib.suppress(ZeroDivisionError), own.borrowed():
                raise ZeroDivisionError

    def works():
        return all(torch.equal(maps("gradient", own, images()), expected) for _ in range(20))

    assert together([fails, works, works]) == [None, True, True]
    check_unchanged(net, state, values)
