"""Settings decide whether a run may continue a store; failures of single images are recorded."""

import re
from dataclasses import replace

import pytest
import torch

from pictures import BRIEF, NAMES, Pictures, content, network
from small_runs import BROKEN, COUNT, Always, Stumble, mean, quick, std
from unsee.classifier import Classifier
from unsee.datasets.selection import Selection
from unsee.errors import UnseeError
from unsee.masks import adjusted
from unsee.methods import METHODS
from unsee.runs.learn import learn
from unsee.runs.resume import Extent, RunState
from unsee.runs.store import Store


class TestSettings:
    def test_other_settings_are_refused_with_the_difference(self, tmp_path):
        quick(tmp_path / "s", preset="fast", limit=4)
        for options, says in (
            ({"seed": 3}, "seed: 0 → 3"),
            ({"preset": "paper"}, "preset: fast → paper"),
            ({"target": "top5"}, "target: predicted → top5"),
            ({"method": "gradient"}, "method: mask → gradient"),
        ):
            with pytest.raises(UnseeError, match=says) as caught:
                quick(tmp_path / "s", **({"preset": "fast"} | options))
            assert "give the same settings, or name another store" in str(caught.value)
        elsewhere = Selection(Pictures(COUNT), range(COUNT), {"name": "other"})
        with pytest.raises(UnseeError, match=r"data\.name: Pictures → other"):
            learn(network(), elsewhere, tmp_path / "s")
        with pytest.raises(UnseeError, match="part_size: 4 → 5"):
            learn(network(), Pictures(COUNT), tmp_path / "s", part_size=5)
        with pytest.raises(UnseeError, match="batch_size: 4 → 8"):
            learn(network(), Pictures(COUNT), tmp_path / "s", batch_size=8)
        other = Classifier(network().net, size=(24, 24), class_names=NAMES, name="tiny")
        with pytest.raises(UnseeError, match=r"input_size: \[32, 32\] → \[24, 24\]"):
            learn(other, Pictures(COUNT), tmp_path / "s")
        with pytest.raises(UnseeError, match="preset: fast → fast, changed"):
            quick(tmp_path / "s")
        other = adjusted(BRIEF, iterations=3)
        quick(tmp_path / "t", limit=4)
        changed = "iterations: 4 → 3"
        places = [f"mask.{part}optimiser.{changed}" for part in ("", "retries.0.", "retries.1.")]
        with pytest.raises(UnseeError, match=re.escape(f"({'; '.join(places)})")):
            quick(tmp_path / "t", preset=other)

    def test_another_network_or_data_set_of_the_same_name_is_refused(self, tmp_path):
        quick(tmp_path / "s", limit=4)
        other = network()
        with torch.no_grad():
            other.net[-1].bias.add_(1)
        with pytest.raises(UnseeError, match="weights_sha256"):
            learn(other, Pictures(COUNT, BROKEN), tmp_path / "s", preset=BRIEF)
        with pytest.raises(UnseeError, match=r"data.pictures: 22 → 23"):
            quick(tmp_path / "s", Pictures(23))
        learn(network(), Pictures(3), tmp_path / "t", method="gradient")
        with pytest.raises(UnseeError, match="targets: 1 → 5"):
            learn(network(), Pictures(3), tmp_path / "t", method="gradient", target="top5")

    def test_images_with_the_same_id_are_refused(self, tmp_path):
        class Twins(Pictures):
            def id(self, index):
                return "twin"

        with pytest.raises(UnseeError, match="two images of the data set have the id 'twin'"):
            quick(tmp_path / "s", Twins(2))

    def test_ids_that_are_not_utf_8_are_escaped(self, tmp_path):
        class Odd(Pictures):
            def id(self, index):
                return f"{index}-\udcff.png"

        store = quick(tmp_path / "s", Odd(2))
        assert store.table(["id"])["id"].to_pylist() == ["0-\\udcff.png", "1-\\udcff.png"]

    def test_a_run_that_wrote_nothing_does_not_fix_the_settings(self, tmp_path):
        with pytest.raises(UnseeError, match="none of the 2 images can be read: picture-0000 is truncated"):
            quick(tmp_path / "s", Pictures(2, broken=[0, 1]))
        assert len(quick(tmp_path / "s", Pictures(2), seed=4)) == 2

    def test_the_batch_size_of_a_store_is_kept(self, tmp_path):
        quick(tmp_path / "s")
        again = learn(network(), Pictures(COUNT, BROKEN), tmp_path / "s", preset=BRIEF)
        assert again.manifest["settings"]["batch_size"] == 4

    def test_a_larger_limit_continues_after_a_smaller_one(self, tmp_path):
        data = Pictures(COUNT, BROKEN)
        assert len(quick(tmp_path / "s", data, limit=10)) == 10
        assert set(data.read) == set(range(10))
        data.read.clear()
        store = quick(tmp_path / "s", data)
        assert set(data.read) == set(range(8, COUNT))
        assert content(store) == content(quick(tmp_path / "at once"))
        assert len(quick(tmp_path / "s", data, limit=3)) == COUNT

    @pytest.mark.parametrize("options", [{"limit": 0}, {"part_size": -1}])
    def test_invalid_limits_and_part_sizes(self, options, tmp_path):
        with pytest.raises(UnseeError, match="must be a whole number, at least 1"):
            learn(network(), Pictures(3), tmp_path / "s", **options)
        with pytest.raises(UnseeError):
            Extent(limit=0)
        assert not (tmp_path / "s").exists()


class TestFailures:
    def test_a_broken_image_is_recorded_and_the_run_continues(self, tmp_path):
        store = quick(tmp_path / "s")
        failed = {row["id"]: row["error"] for row in store.rows() if row["error"] is not None}
        assert failed == {f"picture-{k:04d}": f"picture-{k:04d} is truncated: fetch it anew" for k in BROKEN}

    @pytest.mark.parametrize("broken", [range(4), range(21), range(4, COUNT)])
    def test_portions_with_only_broken_images_are_recorded(self, broken, tmp_path):
        store = quick(tmp_path / "s", Pictures(COUNT, broken))
        assert [row["error"] is not None for row in store.rows()] == [k in broken for k in range(COUNT)]

    def test_the_last_images_may_all_be_broken(self, tmp_path):
        data = Pictures(COUNT, range(20, COUNT))
        assert len(quick(tmp_path / "s", data, limit=20)) == 20
        assert quick(tmp_path / "s", data).count_errors() == 2

    def test_nothing_is_written_if_no_image_can_be_read(self, tmp_path):
        with pytest.raises(UnseeError, match="none of the 22 images can be read: picture-0000 is trunc"):
            quick(tmp_path / "s", Pictures(COUNT, range(COUNT)))
        assert Store(tmp_path / "s").manifest == {}

    def test_any_other_error_of_a_reader_is_recorded_with_its_traceback(self, tmp_path):
        store = quick(tmp_path / "s", Pictures(6, faulty=[2]))
        error = store.find("picture-0002")[0]["error"]
        assert error.startswith("Traceback")
        assert error.endswith("RuntimeError: the reader stumbled")

    def test_corrected_images_are_done_again_with_retry(self, whole, tmp_path):
        torch.set_num_threads(1)
        quick(tmp_path / "s")
        mended = Pictures(COUNT)
        assert quick(tmp_path / "s", mended).count_errors() == 2
        assert mended.read == []
        assert quick(tmp_path / "s", mended, retry=True).count_errors() == 0
        assert set(mended.read) == {4, 5, 6, 7, 8, 9, 10, 11}

    def test_retrying_loses_nothing_when_it_is_stopped_or_limited(self, tmp_path):
        before = content(quick(tmp_path / "s"))

        def stop(event):
            if isinstance(event, RunState):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            quick(tmp_path / "s", Pictures(COUNT), retry=True, progress=stop)
        assert content(Store.open(tmp_path / "s")) == before
        limited = content(quick(tmp_path / "s", Pictures(COUNT), retry=True, limit=6))
        assert limited.keys() == before.keys()
        assert [key for key in before if limited[key] != before[key]] == [("picture-0005", "predicted")]

    def test_a_network_error_at_one_image_does_not_affect_others(self, tmp_path):
        classifier = network()
        data = Pictures(8)
        bad = torch.from_numpy(data[3].image).permute(2, 0, 1).float() / 255
        classifier.net.register_forward_pre_hook(Stumble((bad - mean(classifier)) / std(classifier)))
        store = learn(classifier, data, tmp_path / "s", method="gradient", part_size=4)
        errors = {row["id"]: row["error"] for row in store.rows()}
        assert [name for name, error in errors.items() if error] == ["picture-0003"]
        assert errors["picture-0003"].endswith("RuntimeError: not this one")

    def test_an_error_that_affects_every_image_is_raised(self, tmp_path):
        classifier = network()
        assert classifier.reading.kind == "softmax"
        classifier.net.register_forward_pre_hook(Always())
        for number, broken in enumerate([(), range(3), range(7)]):
            with pytest.raises(RuntimeError, match="never"):
                learn(classifier, Pictures(8, broken), tmp_path / "s", method="gradient", part_size=4)
            assert len(Store.open(tmp_path / "s")) == (4 if number == 2 else 0)
        with pytest.raises(RuntimeError, match="never"):
            learn(classifier, Pictures(8), tmp_path / "single", method="gradient", part_size=1)

    def test_a_network_that_breaks_during_the_run_stops_it(self, tmp_path):
        classifier = network()
        learn(classifier, Pictures(8), tmp_path / "s", method="gradient", part_size=4, limit=4)
        classifier.net.register_forward_pre_hook(Always())
        with pytest.raises(RuntimeError, match="never"):
            learn(classifier, Pictures(8), tmp_path / "s", method="gradient", part_size=4)
        assert len(Store.open(tmp_path / "s")) == 4

    def test_maps_that_are_never_finite_stop_the_run(self, tmp_path, monkeypatch):
        def holes(classifier, images, targets):
            return torch.full((len(images), 4, 4), torch.nan)

        monkeypatch.setitem(METHODS, "gradient", replace(METHODS["gradient"], function=holes))
        with pytest.raises(UnseeError, match="none of the 4 images can be used: gradient gave a map with"):
            learn(network(), Pictures(8), tmp_path / "s", method="gradient", part_size=4)

    def test_a_portion_of_failures_is_recorded_if_other_images_succeed(self, tmp_path):
        classifier, data = network(), Pictures(8)
        for number in range(4):
            bad = torch.from_numpy(data[number].image).permute(2, 0, 1).float() / 255
            classifier.net.register_forward_pre_hook(Stumble((bad - mean(classifier)) / std(classifier)))
        store = learn(classifier, data, tmp_path / "s", method="gradient", part_size=4)
        assert [row["error"] is not None for row in store.rows()] == [True] * 4 + [False] * 4
        assert store.find("picture-0000")[0]["file_hash"]

    def test_a_failure_of_the_last_image_is_recorded(self, tmp_path):
        classifier, data = network(), Pictures(5)
        bad = torch.from_numpy(data[4].image).permute(2, 0, 1).float() / 255
        classifier.net.register_forward_pre_hook(Stumble((bad - mean(classifier)) / std(classifier)))
        store = learn(classifier, data, tmp_path / "s", method="gradient", part_size=4)
        assert [row["id"] for row in store.rows() if row["error"]] == ["picture-0004"]

    def test_an_unsee_error_for_one_image_is_recorded_in_a_line(self, tmp_path, monkeypatch):
        def picky(classifier, images, targets):
            if bool((images[:, :, 0, 0] == images.new_tensor(first)).all(dim=1).any()):
                raise UnseeError("this picture has no segments")
            return torch.ones(len(images), 4, 4)

        first = (torch.from_numpy(Pictures(5)[2].image)[0, 0].float() / 255).tolist()
        monkeypatch.setitem(METHODS, "gradient", replace(METHODS["gradient"], function=picky))
        store = learn(network(), Pictures(5), tmp_path / "s", method="gradient", part_size=4)
        assert store.find("picture-0002")[0]["error"] == "this picture has no segments"
        assert store.count_errors() == 1

    def test_a_map_with_nan_is_recorded_as_an_error(self, tmp_path, monkeypatch):
        def holes(classifier, images, targets):
            maps = torch.ones(len(images), 4, 4)
            maps[0, 1, 1] = torch.nan
            return maps

        monkeypatch.setitem(METHODS, "gradient", replace(METHODS["gradient"], function=holes))
        store = learn(network(), Pictures(2), tmp_path / "s", method="gradient")
        row = store.find("picture-0000")[0]
        assert row["mask"] is None
        assert row["error"] == "gradient gave a map with NaN or infinite values"
        assert row["score"] > 0
