"""Damaged parts of a store are detected, named and done again."""

import shutil
from pathlib import Path

import pytest
import torch

from pictures import Pictures, content
from small_runs import BROKEN, COUNT, flipped, quick
from unsee.errors import UnseeError
from unsee.runs.resume import RunState
from unsee.runs.rows import SCHEMA
from unsee.runs.store import Store


class TestDamage:
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
    def test_a_truncated_part_is_found_named_and_done_again(self, whole, tmp_path, share):
        torch.set_num_threads(1)
        store = quick(tmp_path / "s")
        part = Path(store.storage.path(store.parts[2]))
        data = part.read_bytes()
        part.write_bytes(data[: int(share * len(data))])
        broken = Store.open(tmp_path / "s")
        assert [damage.part for damage in broken.damaged] == [part.name]
        assert len(broken) == COUNT - 4
        events, read = [], Pictures(COUNT, BROKEN)
        assert content(quick(tmp_path / "s", read, progress=events.append)) == whole
        assert set(read.read) == {8, 9, 10, 11}
        state = next(event for event in events if isinstance(event, RunState))
        assert [damage.part for damage in state.damaged] == [part.name]
        assert part.name in str(state.damaged[0])

    @pytest.mark.parametrize("column", SCHEMA.names)
    def test_a_flipped_bit_in_any_column_is_found_and_corrected(self, whole, undisturbed, column, tmp_path):
        torch.set_num_threads(1)
        shutil.copytree(undisturbed, tmp_path / "s")
        part = flipped(tmp_path / "s", column)
        assert Store.open(tmp_path / "s").damaged == []
        assert [d.part for d in Store.open(tmp_path / "s").checked() if d is not None] == [part]
        with pytest.raises(UnseeError, match=f"{part} is damaged"):
            Store.open(tmp_path / "s").table([column])
        events, data = [], Pictures(COUNT, BROKEN)
        assert content(quick(tmp_path / "s", data, progress=events.append)) == whole
        assert set(data.read) == {4, 5, 6, 7}
        state = next(event for event in events if isinstance(event, RunState))
        assert [damage.part for damage in state.damaged] == [part]

    def test_a_temporary_read_error_is_not_damage(self, tmp_path, monkeypatch):
        store = quick(tmp_path / "s")
        opened = store.storage.fs.__class__.open

        def stumble(fs, path, *more, **named):
            if "part-00000001" in path:
                raise OSError(5, "Input/output error")
            return opened(fs, path, *more, **named)

        monkeypatch.setattr(store.storage.fs.__class__, "open", stumble)
        with pytest.raises(UnseeError, match=r"part-00000001.*try again"):
            quick(tmp_path / "s")
        monkeypatch.undo()
        assert len(Store.open(tmp_path / "s")) == COUNT

    def test_the_larger_of_two_parts_of_a_portion_is_kept(self, whole, tmp_path):
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

    def test_a_damaged_part_is_removed_if_its_portion_has_a_whole_one(self, whole, tmp_path):
        torch.set_num_threads(1)
        (small,) = quick(tmp_path / "s", limit=2).parts
        quick(tmp_path / "s")
        (tmp_path / "s" / small).write_bytes(b"PAR1 half")
        events = []
        again = quick(tmp_path / "s", progress=events.append)
        assert again.damaged == []
        assert content(again) == whole
        state = next(event for event in events if isinstance(event, RunState))
        assert (state.damaged, state.beyond) == ((), ())

    def test_damage_beyond_the_limit_stays_as_it_is(self, tmp_path):
        store = quick(tmp_path / "s")
        first, last = store.parts[0], store.parts[-1]
        for name in (first, last):
            (tmp_path / "s" / name).write_bytes(b"PAR1 half")
        events = []
        again = quick(tmp_path / "s", limit=8, progress=events.append)
        state = next(event for event in events if isinstance(event, RunState))
        assert [damage.part for damage in state.damaged] == [first]
        assert [damage.part for damage in state.beyond] == [last]
        assert [damage.part for damage in again.damaged] == [last]

    def test_a_part_with_other_settings_counts_as_damaged(self, whole, tmp_path):
        torch.set_num_threads(1)
        store = quick(tmp_path / "s")
        other = quick(tmp_path / "t", seed=7)
        name = store.parts[1]
        (tmp_path / "s" / name).write_bytes((tmp_path / "t" / name).read_bytes())
        assert "made with other settings" in Store.open(tmp_path / "s").damaged[0].reason
        assert [d.part for d in Store.open(tmp_path / "s").checked() if d is not None] == [name]
        assert content(quick(tmp_path / "s")) == whole
        assert len(other) == COUNT

    def test_other_parquet_files_are_ignored(self, tmp_path):
        quick(tmp_path / "s", limit=4)
        (tmp_path / "s" / "part-copy.parquet").write_bytes(b"PAR1")
        assert len(quick(tmp_path / "s", limit=8)) == 8

    def test_parts_without_a_manifest_are_refused(self, tmp_path):
        store = quick(tmp_path / "s")
        Path(store.storage.path("_manifest.json")).unlink()
        with pytest.raises(UnseeError, match="parts without a manifest"):
            quick(tmp_path / "s")
