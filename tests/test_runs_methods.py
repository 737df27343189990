"""Stored maps are those of the method, the network is unchanged, and memory does not grow."""

import gc
import tracemalloc

import numpy as np
import pytest
import torch

from pictures import Pictures, network
from small_runs import (
    quick,
)
from unsee.methods import METHODS
from unsee.runs.engines.local import PartWritten
from unsee.runs.learn import learn


class TestMemory:
    def test_what_is_held_does_not_grow_with_the_pictures(self, tmp_path):
        """Python's and NumPy's memory, where rows and maps are; the maps alone of a part are 12 KiB.

        The median growth over a part, since a module that is loaded late adds its own memory once.
        """
        held = []

        def note(event):
            if isinstance(event, PartWritten):
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])

        tracemalloc.start()
        try:
            learn(network(), Pictures(120), tmp_path / "s", method="gradient", part_size=6, progress=note)
        finally:
            tracemalloc.stop()
        assert len(held) == 20
        assert np.median(np.diff(held[4:])) < 10_000


class TestMethods:
    @pytest.mark.parametrize("method", ["gradient", "grad-cam", "rise", "center"])
    def test_a_stored_map_is_the_method_s_own(self, method, tmp_path, monkeypatch):
        from unsee.datasets.picture import photo_of

        data, classifier = Pictures(3), network()
        options = {"layer": "1"} if method == "grad-cam" else {}
        store = learn(classifier, data, tmp_path / "s", method=method, seed=5, **options)
        images = torch.stack([photo_of(data[k]).pixels for k in range(3)])
        targets = [row["target"] for row in store.rows()]
        if method == "rise":
            options = {"seed": 5}
        maps = METHODS[method.replace("-", "_")](classifier, images, targets, **options)
        for row, saliency in zip(store.rows(), maps, strict=True):
            wanted = saliency.detach().numpy()
            assert row["mask_shape"] == list(wanted.shape)
            np.testing.assert_allclose(store.saliency(row), wanted, atol=1e-3 * np.abs(wanted).max())
        assert store.manifest["settings"]["method"] == method.replace("-", "_")

    def test_the_network_comes_back_as_it_was(self, tmp_path):
        classifier = network()
        classifier.net.train()
        before = {name: weight.clone() for name, weight in classifier.net.state_dict().items()}
        quick(tmp_path / "s")
        learn(classifier, Pictures(3), tmp_path / "t", method="gradient")
        assert classifier.net.training
        assert all(weight.requires_grad for weight in classifier.net.parameters())
        for name, weight in classifier.net.state_dict().items():
            assert torch.equal(weight, before[name])
