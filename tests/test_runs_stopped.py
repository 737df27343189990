"""Runs that are killed, interrupted or out of disk space, and two runs at once."""

import os
import random
import subprocess
import time

import pytest
import torch

from pictures import Pictures, content
from small_runs import BROKEN, COUNT, await_start, finished, mounted, quick, started, within
from unsee.errors import UnseeError
from unsee.runs.engines.local import PartWritten
from unsee.runs.resume import RunState
from unsee.runs.storage import Storage
from unsee.runs.store import Store


class TestKilled:
    def test_twenty_kills_leave_no_trace(self, server, tmp_path):
        """SIGKILL at random moments. Every run that finishes is compared, and a new one started."""
        rng = random.Random(0)
        finished(server, tmp_path / "whole", "fast")
        whole = content(Store.open(tmp_path / "whole"))
        began = time.perf_counter()
        finished(server, tmp_path / "timed", "fast")
        span = time.perf_counter() - began
        kills, number, halfway = 0, 0, 0
        for _ in range(200):
            if kills == 20:
                break
            folder = tmp_path / str(number)
            process = started(server, folder, "fast")
            process.join(rng.uniform(0.05, 0.7) * span)
            if process.is_alive():
                process.kill()
                process.join()
                kills += 1
                halfway += 0 < self.whole_rows(folder) < COUNT
                continue
            assert process.exitcode == 0
            assert content(Store.open(folder)) == whole
            number += 1
        finished(server, folder, "fast")
        assert content(Store.open(folder)) == whole
        assert kills == 20
        assert halfway > 5

    def whole_rows(self, folder):
        """The rows that a killed run has left, none of them damaged."""
        if not folder.exists():
            return 0
        store = Store(folder)
        assert store.damaged == []
        assert [damage for damage in store.checked() if damage is not None] == []
        return len(store)

    def test_an_interrupted_run_is_resumed(self, whole, tmp_path):
        torch.set_num_threads(1)

        def stop(event):
            if isinstance(event, PartWritten) and "part-00000002" in event.part:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            quick(tmp_path / "s", progress=stop)
        assert len(Store.open(tmp_path / "s")) == 12
        data = Pictures(COUNT, BROKEN)
        assert content(quick(tmp_path / "s", data)) == whole
        assert min(data.read) == 12

    def test_a_finished_run_reads_no_image(self, tmp_path):
        quick(tmp_path / "s")
        data, events = Pictures(COUNT, BROKEN), []
        quick(tmp_path / "s", data, progress=events.append)
        assert data.read == []
        assert [event for event in events if isinstance(event, RunState)] == [
            RunState(COUNT, COUNT, 2, (), 0)
        ]


class TestNoRoom:
    def test_a_full_disk_stops_the_run_and_loses_nothing(self, whole, tmp_path):
        """A file system of 24 KiB; in it the run goes on when there is room again."""
        torch.set_num_threads(1)
        place = tmp_path / "small"
        place.mkdir()
        with mounted(place, "size=24k"):
            with pytest.raises(UnseeError, match=r"cannot be written to \(No space left on device\)"):
                quick(place / "s")
            there = Store.open(place / "s")
            assert 0 < len(there) < COUNT
            assert there.damaged == []
            subprocess.run(["mount", "-o", "remount,size=4m", place], check=True)
            assert content(quick(place / "s")) == whole

    def test_a_limit_on_the_size_of_files(self, server, tmp_path):
        """The same without a mount: the system refuses to write past 2 KiB."""
        process = server.Process(target=within, args=(str(tmp_path / "s"), 2048))
        process.start()
        process.join()
        assert process.exitcode == 7
        assert [name for name in Storage.at(tmp_path / "s").names() if name.startswith(".aside")] == []

    def test_a_read_only_folder(self, tmp_path):
        place = tmp_path / "locked"
        place.mkdir()
        if os.geteuid() != 0:
            place.chmod(0o555)
            with pytest.raises(UnseeError, match=r"cannot be written to \(Permission denied\)"):
                quick(place / "s")
            return
        with mounted(place, "ro"), pytest.raises(UnseeError, match=r"cannot be written to \(Read-only"):
            quick(place / "s")

    def test_a_store_that_has_become_read_only_can_still_be_read(self, tmp_path):
        place = tmp_path / "locked"
        place.mkdir()
        with mounted(place, "size=4m"):
            store = quick(place / "s")
            subprocess.run(["mount", "-o", "remount,ro", place], check=True)
            with pytest.raises(UnseeError, match="cannot be written to"):
                quick(place / "s")
            assert len(list(Store.open(place / "s").rows())) == len(store)


class TestTwoAtOnce:
    def test_the_second_is_refused_and_the_first_goes_on(self, server, whole, tmp_path):
        folder = tmp_path / "s"
        process = started(server, folder)
        await_start(folder, process)
        with pytest.raises(UnseeError, match="another run is writing to"):
            quick(folder)
        process.join()
        assert process.exitcode == 0
        assert content(Store.open(folder)) == whole

    def test_a_killed_run_leaves_no_lock(self, server, tmp_path):
        folder = tmp_path / "s"
        process = started(server, folder)
        await_start(folder, process)
        process.kill()
        process.join()
        with Storage.at(folder).claimed():
            assert "_lock" in Storage.at(folder).names()
