"""A store that an earlier version has written is read, summarised and exported, but not continued.

`data/store-format-1` was written before format 2: two photos and a broken file, with masks by the preset
`fast`.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from pictures import network
from unsee.datasets.opening import open_dataset
from unsee.errors import UnseeError
from unsee.masks import PRESETS, selection
from unsee.records import described
from unsee.runs.export import export
from unsee.runs.learn import learn
from unsee.runs.render import render
from unsee.runs.resume import RunState
from unsee.runs.rows import PLAIN, SCHEMA_OF_FORMAT_1
from unsee.runs.store import Store

DATA = Path(__file__).parent / "data" / "store-format-1"
PRECISION = "bfloat16"


@pytest.fixture
def folder(tmp_path):
    """A copy of the store and its photos, which the manifest names."""
    shutil.copytree(DATA, tmp_path / "old")
    manifest = tmp_path / "old" / "masks" / "_manifest.json"
    kept = json.loads(manifest.read_text())
    assert kept["format"] == 1
    kept["settings"]["data"]["name"] = f"folder:{tmp_path / 'old' / 'photos'}"
    manifest.write_text(json.dumps(kept))
    return tmp_path / "old"


@pytest.fixture
def earlier(folder, monkeypatch):
    """A preset `fast` that the store could be of: without retries, and its slack is in the store."""
    monkeypatch.setitem(PRESETS, "fast", replace(PRESETS["fast"], retries=()))
    manifest = folder / "masks" / "_manifest.json"
    kept = json.loads(manifest.read_text())
    kept["settings"]["mask"]["algorithm"]["slack"] = PRESETS["fast"].optimiser.slack
    manifest.write_text(json.dumps(kept))


def again(folder, **options):
    photos = open_dataset(f"folder:{folder / 'photos'}")
    return learn(network(), photos, folder / "masks", **({"precision": PRECISION} | options))


class TestReading:
    def test_the_terms_of_the_objective_are_a_mapping(self, folder):
        store = Store.open(folder / "masks")
        stored = {
            row["id"]: row for row in pq.read_table(next(iter(DATA.glob("masks/part-00000000*")))).to_pylist()
        }
        for id in ("0.png", "1.png"):
            (row,) = store.find(id)
            assert row["objective_terms"] == {
                "score": stored[id]["objective_score"],
                "l1": stored[id]["objective_l1"],
                "tv": stored[id]["objective_tv"],
            }
            assert sum(row["objective_terms"].values()) == pytest.approx(row["objective"], abs=1e-6)
            np.testing.assert_array_equal(store.map_of(row).ravel(), np.float32(stored[id]["mask"]))
        assert store.find("broken.png")[0]["objective_terms"] is None

    def test_columns_and_rows_are_those_of_format_2(self, folder):
        store = Store.open(folder / "masks")
        assert store.table().column_names == PLAIN
        assert store.table(["objective_terms", "id"]).column_names == ["objective_terms", "id"]
        assert {name for row in store.rows() for name in row} == {*PLAIN, "mask"}
        assert [damage for damage in store.checked() if damage] == []

    def test_the_data_set_of_arrow_has_the_columns_of_its_format(self, folder):
        found = Store.open(folder / "masks").dataset().to_table(["id", "objective_l1"])
        assert found.num_rows == 3
        assert "objective_l1" in SCHEMA_OF_FORMAT_1.names

    def test_summary(self, folder):
        summary = Store.open(folder / "masks").summary(check=True)
        assert (summary["rows"], summary["rows_wanted"], summary["errors"]) == (3, 3, 1)
        assert summary["damaged"] == []
        fast = PRESETS["fast"]
        expected = json.loads(json.dumps(described(replace(fast.on("softmax"), retries=()))))
        del expected["optimiser"]["slack"]
        assert summary["settings"]["mask"] == expected

    def test_rows_are_rendered(self, folder):
        rows = render(Store.open(folder / "masks"))
        assert [row.row["id"] for row in rows] == ["0.png", "1.png"]
        assert all(row.edited is not None and row.edited.shape == row.image.shape for row in rows)

    @pytest.mark.parametrize("form", ["png", "overlay", "npy"])
    def test_export_of_maps(self, form, folder, tmp_path):
        done = export(Store.open(folder / "masks"), tmp_path / "out", form)
        assert (done.written, done.without_map, done.problems) == (2, 1, ())
        suffix = "npy" if form == "npy" else "png"
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"0.{suffix}", f"1.{suffix}"]
        if suffix == "png":
            with Image.open(tmp_path / "out" / "0.png") as image:
                assert image.size == (32, 32)

    def test_export_of_a_table(self, folder, tmp_path):
        assert export(Store.open(folder / "masks"), tmp_path / "rows.csv", "csv").written == 3
        header, first, *_ = (tmp_path / "rows.csv").read_text().splitlines()
        assert "objective_terms" in header.split(",")
        assert "score=0.195" in first

    def test_the_command_line(self, folder, run):
        assert run("status", folder / "masks").code == 0
        assert run("show", folder / "masks").code == 0
        assert run("export", folder / "masks", "--format", "csv").code == 0


def test_the_preset_has_retries_since_and_does_not_continue_it(folder):
    with pytest.raises(UnseeError, match=r"has other settings \(.*; mask\.retries: \[\] → "):
        again(folder)


@pytest.mark.usefixtures("earlier")
class TestContinuing:
    def test_where_nothing_is_missing_it_is_reported_and_nothing_is_written(self, folder):
        before = {path.name: path.read_bytes() for path in (folder / "masks").glob("*[!k]")}
        events = []
        assert len(again(folder, progress=events.append)) == 3
        assert [event for event in events if isinstance(event, RunState)] == [RunState(3, 3, 1, (), 0)]
        assert {path.name: path.read_bytes() for path in (folder / "masks").glob("*[!k]")} == before

    def test_where_rows_are_missing_it_is_refused(self, folder, make_photo):
        refused = r"was written by an earlier version \(format 1\): it can be read, but not continued; name"
        before = sorted(path.name for path in (folder / "masks").glob("part-*"))
        with pytest.raises(UnseeError, match=refused):
            again(folder, retry=True)
        with pytest.raises(UnseeError, match="preset: fast → paper"):
            again(folder, preset="paper", precision="float32")
        (folder / "masks" / before[1]).unlink()
        with pytest.raises(UnseeError, match=refused):
            again(folder)
        assert sorted(path.name for path in (folder / "masks").glob("part-*")) == before[:1]

    def test_other_settings_are_refused_with_the_difference(self, folder):
        with pytest.raises(UnseeError, match="seed: 0 → 3"):
            again(folder, seed=3)

    def test_changed_settings_are_compared_one_by_one(self, folder):
        manifest = folder / "masks" / "_manifest.json"
        kept = json.loads(manifest.read_text())
        kept["settings"]["mask"]["algorithm"]["looks"] = 5
        kept["settings"]["mask"]["objective"]["l1"]["weight"] = 0.5
        manifest.write_text(json.dumps(kept))
        with pytest.raises(UnseeError, match=r"mask\.optimiser\.remembered: 5 → 8") as refused:
            again(folder)
        assert "mask.objective.penalties" in str(refused.value)

    def test_a_new_store_is_of_format_2_and_has_the_same_last_masks(self, folder, tmp_path, monkeypatch):
        """Format 1 kept the optimiser's last mask, whatever other mask was better.

        In bfloat16, as the store was written, rounding decides between masks that are equally good.
        """
        monkeypatch.setattr(selection, "_can_win", lambda _, __, masks, *___: torch.zeros(len(masks)).bool())
        torch.set_num_threads(1)
        photos = open_dataset(f"folder:{folder / 'photos'}")
        new = learn(network(), photos, tmp_path / "new", precision="float32", part_size=2, batch_size=2)
        old = Store.open(folder / "masks")
        assert (old.format, new.format) == (1, 2)
        for row in old.rows():
            (other,) = new.find(row["id"])
            if row["error"] is None:
                np.testing.assert_allclose(other["mask"], row["mask"], atol=0.01)
                assert other["objective_terms"].keys() == row["objective_terms"].keys()

    def test_masks_of_a_new_store_are_at_least_as_good(self, folder, tmp_path):
        photos = open_dataset(f"folder:{folder / 'photos'}")
        new = learn(network(), photos, tmp_path / "new", precision=PRECISION, part_size=2, batch_size=2)
        for row in Store.open(folder / "masks").rows():
            (other,) = new.find(row["id"])
            if row["error"] is None:
                assert other["objective"] <= row["objective"] + 0.01
