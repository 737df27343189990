"""Runs over a data set: what is done, what is not done again, and what no stop may break."""

import gc
import multiprocessing
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pictures import BRIEF, NAMES, Pictures, content, network, work
from unsee.classifier import Classifier
from unsee.datasets.selection import Selection
from unsee.errors import UnseeError
from unsee.masks import adjusted
from unsee.methods import METHODS
from unsee.runs.engines.local import Written
from unsee.runs.learn import learn
from unsee.runs.resume import Outset, Terms
from unsee.runs.rows import SCHEMA
from unsee.runs.storage import Storage
from unsee.runs.store import Store

COUNT = 22
BROKEN = (5, 11)


@pytest.fixture(scope="module")
def server():
    """Starts processes that have torch already, so that they can be killed soon."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "pictures", "unsee.runs.learn"])
    return context


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """The content of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("stores") / "whole"
    finished(server, folder)
    return content(Store.open(folder))


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """The folder of such a run, to be copied."""
    folder = tmp_path_factory.mktemp("stores") / "undisturbed"
    finished(server, folder)
    return folder


def flipped(folder, column):
    """Flip the last bit of a column in the second part, whose name is returned."""
    path = sorted(folder.glob("part-*"))[1]
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunks = (group.column(k) for k in range(group.num_columns))
    chunk = next(c for c in chunks if c.path_in_schema.split(".")[0] == column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[start + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    return path.name


def started(server, folder, preset=BRIEF):
    process = server.Process(target=work, args=(str(folder), COUNT, BROKEN, preset))
    process.start()
    return process


def finished(server, folder, preset=BRIEF):
    process = started(server, folder, preset)
    process.join()
    assert process.exitcode == 0


def quick(folder, pictures=None, preset=BRIEF, **options):
    pictures = pictures or Pictures(COUNT, BROKEN)
    return learn(network(), pictures, folder, part_size=4, batch_size=4, preset=preset, **options)


class TestKilled:
    def test_twenty_kills_leave_no_trace(self, server, tmp_path):
        """SIGKILL at random moments; every run that gets through is compared, and a new one begun."""
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

    def test_an_interrupted_run_is_taken_up(self, whole, tmp_path):
        torch.set_num_threads(1)

        def stop(event):
            if isinstance(event, Written) and "part-00000002" in event.part:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            quick(tmp_path / "s", progress=stop)
        assert len(Store.open(tmp_path / "s")) == 12
        data = Pictures(COUNT, BROKEN)
        assert content(quick(tmp_path / "s", data)) == whole
        assert min(data.read) == 12

    def test_a_run_that_is_through_reads_no_picture(self, tmp_path):
        quick(tmp_path / "s")
        data, told = Pictures(COUNT, BROKEN), []
        quick(tmp_path / "s", data, progress=told.append)
        assert data.read == []
        assert [event for event in told if isinstance(event, Outset)] == [Outset(COUNT, COUNT, 2, (), 0)]


class TestDamage:
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
    def test_a_truncated_part_is_found_named_and_done_again(self, whole, tmp_path, share):
        torch.set_num_threads(1)
        store = quick(tmp_path / "s")
        part = Path(store.place.path(store.parts[2]))
        data = part.read_bytes()
        part.write_bytes(data[: int(share * len(data))])
        broken = Store.open(tmp_path / "s")
        assert [damage.part for damage in broken.damaged] == [part.name]
        assert len(broken) == COUNT - 4
        told, read = [], Pictures(COUNT, BROKEN)
        assert content(quick(tmp_path / "s", read, progress=told.append)) == whole
        assert set(read.read) == {8, 9, 10, 11}
        outset = next(event for event in told if isinstance(event, Outset))
        assert [damage.part for damage in outset.damaged] == [part.name]
        assert part.name in str(outset.damaged[0])

    @pytest.mark.parametrize("column", SCHEMA.names)
    def test_a_flipped_bit_in_any_column_is_found_and_mended(self, whole, undisturbed, column, tmp_path):
        torch.set_num_threads(1)
        shutil.copytree(undisturbed, tmp_path / "s")
        part = flipped(tmp_path / "s", column)
        assert Store.open(tmp_path / "s").damaged == []
        assert [d.part for d in Store.open(tmp_path / "s").checked() if d is not None] == [part]
        with pytest.raises(UnseeError, match=f"{part} is damaged"):
            Store.open(tmp_path / "s").table([column])
        told, data = [], Pictures(COUNT, BROKEN)
        assert content(quick(tmp_path / "s", data, progress=told.append)) == whole
        assert set(data.read) == {4, 5, 6, 7}
        outset = next(event for event in told if isinstance(event, Outset))
        assert [damage.part for damage in outset.damaged] == [part]

    def test_a_part_that_cannot_be_read_just_now_is_not_taken_for_damaged(self, tmp_path, monkeypatch):
        store = quick(tmp_path / "s")
        opened = store.place.fs.__class__.open

        def stumble(fs, path, *more, **named):
            if "part-00000001" in path:
                raise OSError(5, "Input/output error")
            return opened(fs, path, *more, **named)

        monkeypatch.setattr(store.place.fs.__class__, "open", stumble)
        with pytest.raises(UnseeError, match=r"part-00000001.*try again"):
            quick(tmp_path / "s")
        monkeypatch.undo()
        assert len(Store.open(tmp_path / "s")) == COUNT

    def test_of_two_parts_of_one_portion_the_larger_stays(self, whole, tmp_path):
        torch.set_num_threads(1)
        small = quick(tmp_path / "s", limit=2)
        left = (tmp_path / "s" / small.parts[0]).read_bytes()
        quick(tmp_path / "s")
        (tmp_path / "s" / small.parts[0]).write_bytes(left)
        both = Store.open(tmp_path / "s")
        assert both.twins == small.parts
        assert len(both) == COUNT
        assert content(both) == whole
        again = quick(tmp_path / "s")
        assert content(again) == whole
        assert not (tmp_path / "s" / small.parts[0]).exists()
        assert Store.open(tmp_path / "s").twins == []

    def test_a_damaged_part_beside_a_whole_one_of_its_portion_goes(self, whole, tmp_path):
        torch.set_num_threads(1)
        (small,) = quick(tmp_path / "s", limit=2).parts
        quick(tmp_path / "s")
        (tmp_path / "s" / small).write_bytes(b"PAR1 half")
        told = []
        again = quick(tmp_path / "s", progress=told.append)
        assert again.damaged == []
        assert content(again) == whole
        outset = next(event for event in told if isinstance(event, Outset))
        assert (outset.damaged, outset.beyond) == ((), ())

    def test_damage_beyond_the_limit_stays_as_it_is(self, tmp_path):
        store = quick(tmp_path / "s")
        first, last = store.parts[0], store.parts[-1]
        for name in (first, last):
            (tmp_path / "s" / name).write_bytes(b"PAR1 half")
        told = []
        again = quick(tmp_path / "s", limit=8, progress=told.append)
        outset = next(event for event in told if isinstance(event, Outset))
        assert [damage.part for damage in outset.damaged] == [first]
        assert [damage.part for damage in outset.beyond] == [last]
        assert [damage.part for damage in again.damaged] == [last]

    def test_a_part_of_other_settings_is_damage(self, whole, tmp_path):
        torch.set_num_threads(1)
        store = quick(tmp_path / "s")
        other = quick(tmp_path / "t", seed=7)
        name = store.parts[1]
        (tmp_path / "s" / name).write_bytes((tmp_path / "t" / name).read_bytes())
        assert "made with other settings" in Store.open(tmp_path / "s").damaged[0].reason
        assert [d.part for d in Store.open(tmp_path / "s").checked() if d is not None] == [name]
        assert content(quick(tmp_path / "s")) == whole
        assert len(other) == COUNT

    def test_a_stray_file_is_no_part(self, tmp_path):
        quick(tmp_path / "s", limit=4)
        (tmp_path / "s" / "part-copy.parquet").write_bytes(b"PAR1")
        assert len(quick(tmp_path / "s", limit=8)) == 8

    def test_parts_without_a_manifest_are_not_taken_for_a_new_store(self, tmp_path):
        store = quick(tmp_path / "s")
        Path(store.place.path("_manifest.json")).unlink()
        with pytest.raises(UnseeError, match="parts without a manifest"):
            quick(tmp_path / "s")


class TestNoRoom:
    def test_a_full_disk_stops_the_run_and_costs_nothing(self, whole, tmp_path):
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

    def test_a_file_that_may_grow_no_further(self, server, tmp_path):
        """The same where nothing can be mounted: the system refuses to write past 2 KiB."""
        process = server.Process(target=within, args=(str(tmp_path / "s"), 2048))
        process.start()
        process.join()
        assert process.exitcode == 7
        assert [name for name in Storage.at(tmp_path / "s").names() if name.startswith(".aside")] == []

    def test_a_folder_that_may_not_be_written_to(self, tmp_path):
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


class mounted:  # noqa: N801
    """A small file system in memory, where this process may mount one."""

    def __init__(self, place, options):
        self.place, self.options = place, options

    def __enter__(self):
        command = ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.place)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")

    def __exit__(self, *failure):
        subprocess.run(["umount", str(self.place)], check=True)


def within(address, size):
    """A run in which no file may grow past a size; leaves with 7 if that is said."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        work(address, COUNT)
    except UnseeError as error:
        os._exit(7 if "cannot be written to (File too large)" in str(error) else 8)


def await_start(folder, process):
    while not (folder / "_manifest.json").exists():
        assert process.is_alive()
        time.sleep(0.005)


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
            assert "give the same again, or name another store" in str(caught.value)
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
        with pytest.raises(UnseeError, match=r"\(mask.algorithm.iterations: 4 → 3\)"):
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

    def test_pictures_of_one_name_are_refused(self, tmp_path):
        class Twins(Pictures):
            def id(self, index):
                return "twin"

        with pytest.raises(UnseeError, match="two pictures of the data set are called 'twin'"):
            quick(tmp_path / "s", Twins(2))

    def test_names_that_are_no_text_are_escaped(self, tmp_path):
        class Odd(Pictures):
            def id(self, index):
                return f"{index}-\udcff.png"

        store = quick(tmp_path / "s", Odd(2))
        assert store.table(["id"])["id"].to_pylist() == ["0-\\udcff.png", "1-\\udcff.png"]

    def test_a_start_that_came_to_nothing_binds_nobody(self, tmp_path):
        with pytest.raises(UnseeError, match="none of the 2 pictures can be read: picture-0000 is truncated"):
            quick(tmp_path / "s", Pictures(2, broken=[0, 1]))
        assert len(quick(tmp_path / "s", Pictures(2), seed=4)) == 2

    def test_the_batch_size_of_a_store_is_kept(self, tmp_path):
        quick(tmp_path / "s")
        again = learn(network(), Pictures(COUNT, BROKEN), tmp_path / "s", preset=BRIEF)
        assert again.manifest["settings"]["batch_size"] == 4

    def test_a_larger_limit_goes_on_where_a_smaller_one_ended(self, tmp_path):
        data = Pictures(COUNT, BROKEN)
        assert len(quick(tmp_path / "s", data, limit=10)) == 10
        assert set(data.read) == set(range(10))
        data.read.clear()
        store = quick(tmp_path / "s", data)
        assert set(data.read) == set(range(8, COUNT))
        assert content(store) == content(quick(tmp_path / "at once"))
        assert len(quick(tmp_path / "s", data, limit=3)) == COUNT

    @pytest.mark.parametrize("options", [{"limit": 0}, {"part_size": -1}])
    def test_numbers_that_make_no_run(self, options, tmp_path):
        with pytest.raises(UnseeError, match="give a whole number, at least 1"):
            learn(network(), Pictures(3), tmp_path / "s", **options)
        with pytest.raises(UnseeError):
            Terms(limit=0)
        assert not (tmp_path / "s").exists()


class TestFailures:
    def test_a_broken_picture_is_recorded_and_the_run_goes_on(self, tmp_path):
        store = quick(tmp_path / "s")
        failed = {row["id"]: row["error"] for row in store.rows() if row["error"] is not None}
        assert failed == {f"picture-{k:04d}": f"picture-{k:04d} is truncated: fetch it anew" for k in BROKEN}

    @pytest.mark.parametrize("broken", [range(4), range(21), range(4, COUNT)])
    def test_portions_of_broken_pictures_alone_are_recorded(self, broken, tmp_path):
        store = quick(tmp_path / "s", Pictures(COUNT, broken))
        assert [row["error"] is not None for row in store.rows()] == [k in broken for k in range(COUNT)]

    def test_the_last_pictures_may_be_broken_where_others_are_there(self, tmp_path):
        data = Pictures(COUNT, range(20, COUNT))
        assert len(quick(tmp_path / "s", data, limit=20)) == 20
        assert quick(tmp_path / "s", data).count_errors() == 2

    def test_nothing_is_begun_where_no_picture_can_be_read(self, tmp_path):
        with pytest.raises(UnseeError, match="none of the 22 pictures can be read: picture-0000 is trunc"):
            quick(tmp_path / "s", Pictures(COUNT, range(COUNT)))
        assert Store(tmp_path / "s").manifest == {}

    def test_a_reader_that_fails_otherwise_is_recorded_with_its_traceback(self, tmp_path):
        store = quick(tmp_path / "s", Pictures(6, faulty=[2]))
        error = store.find("picture-0002")[0]["error"]
        assert error.startswith("Traceback")
        assert error.endswith("RuntimeError: the reader stumbled")

    def test_what_is_mended_is_done_again_when_asked(self, whole, tmp_path):
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
            if isinstance(event, Outset):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            quick(tmp_path / "s", Pictures(COUNT), retry=True, progress=stop)
        assert content(Store.open(tmp_path / "s")) == before
        limited = content(quick(tmp_path / "s", Pictures(COUNT), retry=True, limit=6))
        assert limited.keys() == before.keys()
        assert [key for key in before if limited[key] != before[key]] == [("picture-0005", "predicted")]

    def test_a_picture_that_the_network_fails_at_costs_no_other(self, tmp_path):
        classifier = network()
        data = Pictures(8)
        bad = torch.from_numpy(data[3].image).permute(2, 0, 1).float() / 255
        classifier.net.register_forward_pre_hook(Stumble((bad - mean(classifier)) / std(classifier)))
        store = learn(classifier, data, tmp_path / "s", method="gradient", part_size=4)
        errors = {row["id"]: row["error"] for row in store.rows()}
        assert [name for name, error in errors.items() if error] == ["picture-0003"]
        assert errors["picture-0003"].endswith("RuntimeError: not this one")

    def test_what_ails_every_picture_is_raised(self, tmp_path):
        classifier = network()
        classifier.net.register_forward_pre_hook(Always())
        for number, broken in enumerate([(), range(3), range(7)]):
            with pytest.raises(RuntimeError, match="never"):
                learn(classifier, Pictures(8, broken), tmp_path / "s", method="gradient", part_size=4)
            assert len(Store.open(tmp_path / "s")) == (4 if number == 2 else 0)
        with pytest.raises(RuntimeError, match="never"):
            learn(classifier, Pictures(8), tmp_path / "single", method="gradient", part_size=1)

    def test_a_network_that_breaks_on_the_way_stops_the_run(self, tmp_path):
        classifier = network()
        learn(classifier, Pictures(8), tmp_path / "s", method="gradient", part_size=4, limit=4)
        classifier.net.register_forward_pre_hook(Always())
        with pytest.raises(RuntimeError, match="never"):
            learn(classifier, Pictures(8), tmp_path / "s", method="gradient", part_size=4)
        assert len(Store.open(tmp_path / "s")) == 4

    def test_maps_that_are_never_finite_stop_the_run(self, tmp_path, monkeypatch):
        def holes(classifier, images, targets):
            return torch.full((len(images), 4, 4), torch.nan)

        monkeypatch.setitem(METHODS, "gradient", replace(METHODS["gradient"], call=holes))
        with pytest.raises(UnseeError, match="none of the 4 pictures can be used: gradient gave a map that"):
            learn(network(), Pictures(8), tmp_path / "s", method="gradient", part_size=4)

    def test_a_portion_that_the_network_fails_at_is_recorded_where_it_can_do_others(self, tmp_path):
        classifier, data = network(), Pictures(8)
        for number in range(4):
            bad = torch.from_numpy(data[number].image).permute(2, 0, 1).float() / 255
            classifier.net.register_forward_pre_hook(Stumble((bad - mean(classifier)) / std(classifier)))
        store = learn(classifier, data, tmp_path / "s", method="gradient", part_size=4)
        assert [row["error"] is not None for row in store.rows()] == [True] * 4 + [False] * 4
        assert store.find("picture-0000")[0]["file_hash"]

    def test_a_single_picture_at_the_end_that_fails_is_recorded(self, tmp_path):
        classifier, data = network(), Pictures(5)
        bad = torch.from_numpy(data[4].image).permute(2, 0, 1).float() / 255
        classifier.net.register_forward_pre_hook(Stumble((bad - mean(classifier)) / std(classifier)))
        store = learn(classifier, data, tmp_path / "s", method="gradient", part_size=4)
        assert [row["id"] for row in store.rows() if row["error"]] == ["picture-0004"]

    def test_what_a_method_cannot_do_for_one_picture_is_recorded_in_a_line(self, tmp_path, monkeypatch):
        def picky(classifier, images, targets):
            if bool((images[:, :, 0, 0] == images.new_tensor(first)).all(dim=1).any()):
                raise UnseeError("this picture has no segments")
            return torch.ones(len(images), 4, 4)

        first = (torch.from_numpy(Pictures(5)[2].image)[0, 0].float() / 255).tolist()
        monkeypatch.setitem(METHODS, "gradient", replace(METHODS["gradient"], call=picky))
        store = learn(network(), Pictures(5), tmp_path / "s", method="gradient", part_size=4)
        assert store.find("picture-0002")[0]["error"] == "this picture has no segments"
        assert store.count_errors() == 1

    def test_a_map_that_is_not_finite_is_no_map(self, tmp_path, monkeypatch):
        def holes(classifier, images, targets):
            maps = torch.ones(len(images), 4, 4)
            maps[0, 1, 1] = torch.nan
            return maps

        monkeypatch.setitem(METHODS, "gradient", replace(METHODS["gradient"], call=holes))
        store = learn(network(), Pictures(2), tmp_path / "s", method="gradient")
        row = store.find("picture-0000")[0]
        assert row["mask"] is None
        assert row["error"] == "gradient gave a map that holds NaN or infinite values"
        assert row["score"] > 0


def mean(classifier):
    return torch.tensor(classifier.mean)[:, None, None]


def std(classifier):
    return torch.tensor(classifier.std)[:, None, None]


class Stumble:
    def __init__(self, picture):
        self.picture = picture

    def __call__(self, net, inputs):
        if any(torch.allclose(each, self.picture, atol=1e-4) for each in inputs[0]):
            raise RuntimeError("not this one")


class Always:
    def __call__(self, net, inputs):
        raise RuntimeError("never")


class TestTargets:
    LABELS = ((0,), (3, 1), (), (4,))

    def test_the_picture_s_own_class(self, tmp_path):
        store = quick(tmp_path / "s", Pictures(4, labels=self.LABELS), target="label")
        found = {row["id"]: (row["asked"], row["label"], row["target"]) for row in store.rows()}
        assert found == {
            "picture-0000": ("label", 0, [0]),
            "picture-0001": ("label", 3, [3]),
            "picture-0003": ("label", 4, [4]),
        }

    def test_every_class_in_the_picture(self, tmp_path):
        data = Pictures(4, labels=self.LABELS)
        store = quick(tmp_path / "s", data, target="each")
        found = [(row["id"], row["asked"], row["target_name"]) for row in store.rows()]
        assert found == [
            ("picture-0000", "ant", ["ant"]),
            ("picture-0001", "tiger cat", ["tiger cat"]),
            ("picture-0001", "bee", ["bee"]),
            ("picture-0003", "dog", ["dog"]),
        ]
        proof, *read = data.read
        assert (proof, read) == (0, [0, 1, 3])

    def test_classes_of_one_name_are_told_apart(self, tmp_path):
        data = Pictures(1, labels=((0, 1),), classes=("crane", "crane"))
        store = quick(tmp_path / "s", data, target="each", class_map={"crane (0)": [2], "crane (1)": [3]})
        assert [(row["asked"], row["target"]) for row in store.rows()] == [
            ("crane (0)", [2]),
            ("crane (1)", [3]),
        ]

    def test_a_picture_whose_classes_cannot_be_read_is_recorded(self, tmp_path):
        class Torn(Pictures):
            def labels(self, index):
                if index == 1:
                    raise UnseeError("1.xml is torn")
                return (index,)

        for target in ("label", "each"):
            rows = list(quick(tmp_path / target, Torn(3), target=target).rows())
            assert [row["error"] for row in rows] == [None, "1.xml is torn", None]
        assert quick(tmp_path / "top1", Torn(3, own=False), target="top1").count_errors() == 0

    def test_pictures_that_have_no_class_of_their_own(self, tmp_path):
        data = Pictures(4, broken=[0], labels=self.LABELS, own=False)
        with pytest.raises(UnseeError, match="with --target each"):
            quick(tmp_path / "s", data, target="label")
        assert len(quick(tmp_path / "s", data, target="each")) == 4

    @pytest.mark.parametrize(("target", "count"), [("predicted", 1), ("top1", 1), ("top5", 5)])
    @pytest.mark.parametrize("method", ["mask", "gradient"])
    def test_predicted_classes(self, target, count, method, tmp_path):
        store = quick(tmp_path / "s", Pictures(2), target=target, method=method)
        for row in store.rows():
            assert len(row["target"]) == count
            assert row["asked"] == target

    def test_names_are_matched_where_the_classes_stand_otherwise(self, tmp_path):
        data = Pictures(2, labels=((1,), (0,)), classes=("Dog", "ant"))
        store = quick(tmp_path / "s", data, target="label")
        assert [row["target_name"] for row in store.rows()] == [["ant"], ["dog"]]

    def test_a_class_map_brings_classes_together(self, tmp_path):
        data = Pictures(3, labels=((1,), (0,), (2,)), classes=("feline", "insect", "plant"))
        mapping = {"feline": [2, 3], "insect": [0, 1]}
        store = quick(tmp_path / "s", data, target="label", class_map=mapping)
        assert {row["id"]: row["target"] for row in store.rows()} == {
            "picture-0000": [0, 1],
            "picture-0001": [2, 3],
        }
        with pytest.raises(UnseeError, match="class_map"):
            quick(tmp_path / "s", data, target="label", class_map={"feline": [2]})

    def test_what_cannot_be_asked(self, tmp_path):
        named = Pictures(2, labels=((0,), (1,)), classes=("plant", "stone"))
        for data, options, says in (
            (Pictures(2), {"target": "label"}, "has no labels"),
            (
                Pictures(2),
                {"target": "best"},
                "a run asks about a class, or predicted, top1, top5, label, each",
            ),
            (named, {"target": "label"}, "class 'plant' is none of tiny's: give a --class-map"),
            (named, {"target": "each", "class_map": {"plant": [9]}}, "has no class 9, only 5"),
            (
                named,
                {"target": "each", "class_map": {"tree": [1]}},
                r"none of the classes .* \(plant, stone\)",
            ),
            (Pictures(1), {"batch_size": 0}, "at least 1, not 0"),
            (Pictures(1, labels=((7,),), classes=()), {"target": "label"}, "label 7 is no class of tiny"),
            (Pictures(1), {"method": "magic"}, "no method is called 'magic'"),
            (Pictures(1), {"preset": "magic"}, "no preset is called 'magic'"),
            (Pictures(1), {"method": "gradient", "layer": "0"}, "reads no layer"),
            (Pictures(1), {"method": "grad-cam", "layer": "nowhere"}, "nowhere"),
        ):
            with pytest.raises(UnseeError, match=says):
                learn(network(), data, tmp_path / "s", **options)
            assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"method": None}, "a method has a name, 'mask' or one of"),
            ({"class_map": [1], "target": "each"}, r"a class map is a mapping such as .*, not \[1\]"),
            ({"limit": "3"}, "a limit of '3' makes no run"),
            ({"limit": 2.5}, "a limit of 2.5 makes no run"),
        ],
    )
    def test_what_is_of_another_type(self, options, says, tmp_path):
        """In a process without the type checks that only tests have."""
        code = (
            f"import pictures as p; p.learn(p.network(), p.Pictures(2), {str(tmp_path / 's')!r}, **{options})"
        )
        told = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert re.search(f"UnseeError: .*{says}", told.stderr), told.stderr

    @pytest.mark.parametrize(
        ("described", "says"),
        [
            ({}, "of the data set Pictures has no name: give a mapping with 'name'"),
            ({"name": 3}, "has no name: give a mapping with 'name'"),
            ("mine", "has no name: give a mapping with 'name'"),
            (
                {"name": "mine", "path": Path("x")},
                "is not JSON .*Path is not JSON serializable.*: use strings",
            ),
            ({"name": "mine", "share": float("nan")}, "is not JSON"),
        ],
    )
    def test_a_data_set_that_describes_itself_oddly(self, described, says, tmp_path):
        data = Pictures(2)
        data.described = described
        with pytest.raises(UnseeError, match=says):
            quick(tmp_path / "s", data)
        assert not (tmp_path / "s").exists()

    def test_one_index_in_a_class_map_is_a_list_of_one(self, tmp_path):
        data = Pictures(2, labels=((0,), (1,)), classes=("plant", "stone"))
        store = quick(tmp_path / "s", data, target="label", class_map={"plant": 3})
        assert [row["target"] for row in store.rows()] == [[3]]
        assert store.manifest["left_out"] == 1
        assert store.manifest["settings"]["class_map"] == {"plant": [3]}


class TestMemory:
    def test_what_is_held_does_not_grow_with_the_pictures(self, tmp_path):
        """Python's and NumPy's memory, where rows and maps are; 400 maps alone would be 800 KiB."""
        held = []

        def note(event):
            if isinstance(event, Written):
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])

        tracemalloc.start()
        try:
            learn(network(), Pictures(400), tmp_path / "s", method="gradient", part_size=20, progress=note)
        finally:
            tracemalloc.stop()
        assert len(held) == 20
        assert held[-1] - held[4] < 500_000


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
