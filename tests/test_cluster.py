"""The same job on Ray: two workers of one thread each, one of which is killed."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pictures import Pictures, content, network
from ray_runs import BROKEN, COUNT, SAMPLE, SETTINGS
from unsee.errors import UnseeError
from unsee.runs.engines.ray import OnRay, Worker, WorkerSetup, check_room
from unsee.runs.job import Portion
from unsee.runs.learn import learn
from unsee.runs.resume import RunState
from unsee.runs.storage import Storage
from unsee.runs.store import Store


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What one thread of this process makes of the pictures."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        folder = tmp_path_factory.mktemp("stores") / "local"
        return content(
            learn(network(), Pictures(COUNT, BROKEN), folder, part_size=4, batch_size=4, preset=SETTINGS)
        )
    finally:
        torch.set_num_threads(threads)


def on_ray(what, place):
    """A run of `ray_runs.py`: its exit code, and what it printed."""
    command = [sys.executable, str(Path(__file__).with_name("ray_runs.py")), what, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout + done.stderr


def setup(folder, run):
    """A worker's setup for the store in a folder, as sent by the run with this name."""
    return WorkerSetup(str(folder / "s"), ".", {"run": run}, 1, False)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """The folder of the stores that `ray_runs.refused` has made, and what it printed."""
    folder = tmp_path_factory.mktemp("refused")
    (folder / "elsewhere").mkdir()
    code, printed = on_ray("refused", folder)
    assert code == 0, printed
    return folder, printed


class TestTwoWorkers:
    def test_a_worker_is_killed_and_the_store_is_as_one_process_makes_it(self, whole, tmp_path):
        code, told = on_ray("killed", tmp_path / "s")
        assert code == 0, told
        store = Store.open(tmp_path / "s")
        assert content(store) == whole
        assert store.manifest["starts"][0]["engine"] == "ray"
        assert store.damaged == []
        self.the_other_engine_goes_on(store, whole)

    def the_other_engine_goes_on(self, store, whole):
        torch.set_num_threads(1)
        for name in store.parts[::3]:
            store.storage.remove(name)
        told = []
        pictures = Pictures(COUNT, BROKEN)
        again = learn(network(), pictures, store.storage.root, preset=SETTINGS, progress=told.append)
        assert content(again) == whole
        state = next(event for event in told if isinstance(event, RunState))
        assert state.total - state.there == 16

    @pytest.mark.parametrize(
        ("what", "says", "kept"),
        [
            ("wrong", "the network returned (5,) for one image", None),
            ("deadly", "a Ray worker died again and again", 4),
            ("crowded", "10000 workers with 1 threads each are too many for the", 0),
        ],
    )
    def test_what_cannot_be_done_is_one_line(self, what, says, kept, refused):
        folder, printed = refused
        assert f"SAID of {what}: {says}" in printed
        assert (len(Store.open(folder / what)) if (folder / what).exists() else None) == kept

    def test_an_address_that_is_no_folder_and_a_broken_first_portion(self, refused):
        folder, _ = refused
        address = f"simplecache::file://{folder / 'elsewhere'}"
        assert not Storage.at(address).local
        rows = list(Store.open(address).rows())
        assert [row["error"] is None for row in rows] == [False] * 4 + [True] * 4
        assert len(Store.open(folder / "elsewhere")) == 8

    def test_a_sample_is_as_one_process_makes_it_and_is_continued_by_it(self, refused, tmp_path):
        folder, _ = refused
        store = Store.open(folder / "sampled")
        local = learn(network(), Pictures(20), tmp_path / "s", **SAMPLE)
        assert len(store) == 6
        assert content(store) == content(local)
        assert store.manifest["sample"] == {"n": 6, "seed": 3}
        larger = SAMPLE | {"sample": 9}
        assert content(learn(network(), Pictures(20), folder / "sampled", **larger)) == content(
            learn(network(), Pictures(20), tmp_path / "s", **larger)
        )


class TestLimits:
    @pytest.mark.parametrize("numbers", [(0, 1, 0.0), (1, 0, 0.0), (1, 1, -1.0)])
    def test_invalid_numbers_of_workers(self, numbers):
        with pytest.raises(UnseeError, match="at least one worker, at least one thread"):
            OnRay(*numbers)

    def test_more_workers_than_ray_has_room_for(self):
        ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 3.0})
        check_room(ray, OnRay(3))
        for wish, says in (
            (OnRay(2, 2), "2 workers of 2 CPU each"),
            (OnRay(1, gpus=0.5), "1 workers of 0.5 GPU each"),
        ):
            with pytest.raises(UnseeError, match=f"{says} do not fit: Ray has [30]; ask for fewer"):
                check_room(ray, wish)

    def test_a_worker_ends_when_another_run_has_the_store(self, tmp_path):
        store = learn(network(), Pictures(2), tmp_path / "s", preset=SETTINGS, batch_size=2)
        worker = object.__new__(Worker)
        worker.setup = setup(tmp_path, "an earlier one")
        assert "another run has taken" in worker({"id": [0]})["failure"][0]
        worker.setup = setup(tmp_path, store.manifest["starts"][-1]["run"])
        assert worker.store().names == store.names

    def test_a_worker_adds_nothing_where_another_run_has_begun_meanwhile(self, tmp_path):
        store = learn(network(), Pictures(2), tmp_path / "s", preset=SETTINGS, batch_size=2)

        def slow(portion):
            store.write_manifest(
                store.manifest | {"starts": [*store.manifest["starts"], {"run": "a later one"}]}
            )
            return []

        worker = object.__new__(Worker)
        worker.job, worker.portions = SimpleNamespace(rows=slow), [Portion(7, 0, 2)]
        worker.setup = setup(tmp_path, store.manifest["starts"][-1]["run"])
        assert "another run has taken" in worker({"id": [0]})["failure"][0]
        assert Store(tmp_path / "s").names == store.names

    def test_a_store_in_the_memory_of_one_process_is_refused(self):
        with pytest.raises(UnseeError, match=r"memory://m is in the memory of one process: give Ray's"):
            learn(network(), Pictures(2), "memory://m", batch_size=2, engine=OnRay(1))

    def test_ray_that_is_not_installed(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "ray", None)
        with pytest.raises(UnseeError, match=r"needs ray, .*pip install 'unsee\[ray\]'"):
            learn(network(), Pictures(2), tmp_path / "s", batch_size=4, engine=OnRay(1))
