"""`unsee learn`, `status`, `show`, `export` and `datasets`, as they are typed."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image

import unsee
from data_sets import imagenet_val
from pictures import network
from unsee.cli.exporting import safe
from unsee.cli.learning import engine_from, map_from, names_in, opened, watched
from unsee.cli.stopping import stoppable
from unsee.errors import UnseeError
from unsee.runs.engines.local import Local, Written
from unsee.runs.engines.ray import OnRay
from unsee.runs.resume import Outset
from unsee.runs.store import Store


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    """The command line asks a small network."""
    monkeypatch.setattr("unsee.cli.names.load", lambda name, weights=None, device="auto": network())


@pytest.fixture
def photos(make_photo, tmp_path):
    """A folder with three photos, one in a folder of its own, and one that is broken."""
    for number in range(2):
        make_photo(f"photos/{number}.png", seed=number)
    make_photo("photos/more/2.png", seed=2)
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG nothing more")
    return "folder:photos"


def flipped(data, part, column):
    """The bytes of a part with the last bit of a column turned over."""
    group = pq.ParquetFile(part).metadata.row_group(0)
    chunks = (group.column(k) for k in range(group.num_columns))
    chunk = next(c for c in chunks if c.path_in_schema.split(".")[0] == column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    changed = bytearray(data)
    changed[start + chunk.total_compressed_size - 1] ^= 1
    return changed


class TestLearn:
    def test_a_folder_and_again(self, run, photos, tmp_path):
        first = run("learn", photos, "--out", "masks")
        assert first.code == 0
        assert "4 of 4, 1 without a map" in first.err
        assert "broken.png" in first.err
        kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "masks").glob("part-*")}
        again = run("learn", photos, "--out", "masks", "--json")
        assert again.code == 0
        found = json.loads(again.out)
        assert (found["rows"], found["rows_wanted"], found["errors"]) == (4, 4, 1)
        assert found["failed"][0]["id"] == "broken.png"
        assert len(found["starts"]) == 2
        assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "masks").glob("part-*")} == kept

    def test_other_settings_and_what_is_none(self, run, photos):
        run("learn", photos, "--out", "masks", "--limit", "2")
        Path("map.json").write_text('{"dog": 1}')
        for options, says in (
            (["--seed", "4"], "seed: 0 → 4"),
            (["--preset", "paper"], "preset: fast → paper"),
            (["--method", "gradient"], "method: mask → gradient"),
            (["--out", ""], "a store has no empty name: give a folder"),
            (["--engine", "cloud"], "no engine is called 'cloud'"),
            (["--workers", "3"], "the local engine is one process"),
            (["--split", "val"], "has no splits"),
            (["--classes", "dog"], "no class names"),
            (["--class-map", "missing.json"], "missing.json is no class map"),
            (["--target", "label"], "has no labels"),
            (["--target", "ant+"], "lacks a class beside"),
            (["--target", "unicorn"], "no class called 'unicorn'"),
            (["--method", "grad-kam"], "did you mean grad_cam?"),
            (["--method", "gradient", "--preset", "paper"], "--preset is for the learned mask"),
            (["--method", "gradient", "--iterations", "3"], "--iterations is for the learned mask"),
            (["--method", "gradient", "--precision", "float32"], "--precision is for the learned mask"),
            (["--class-map", "map.json"], "a class map is for the targets label and each"),
            (["--iterations", "3"], "preset: fast → fast, changed"),
        ):
            found = run("learn", photos, "--out", "masks", *options)
            assert found.code == 2, options
            assert says in " ".join(found.err.split())
            assert "Traceback" not in found.err
        assert run("learn", "photos", "--out", "masks").code == 2
        assert run("learn", "folder:nowhere", "--out", "masks").code == 2

    def test_a_method_over_the_menagerie_with_a_class_map(self, run, tmp_path):
        (tmp_path / "map.json").write_text('{"zebra": [0, 1], "owl": {"imagenet_index": [2]}, "cat": 3}')
        found = run(
            *("learn", "menagerie", "--limit", "12", "--method", "gradient", "--target", "each"),
            *("--class-map", "map.json", "--out", "maps"),
        )
        assert found.code == 0, found.err
        rows = list(Store.open(tmp_path / "maps").rows())
        assert {row["asked"] for row in rows} == {"zebra", "owl", "cat"}
        assert {tuple(row["target"]) for row in rows} == {(0, 1), (2,), (3,)}

    def test_one_class_for_all_and_a_changed_preset(self, run, photos, tmp_path):
        found = run(
            *("learn", photos, "--out", "masks", "--target", "ant+4", "--game", "preservation"),
            *("--perturbation", "noise", "--iterations", "3", "--json"),
        )
        assert found.code == 0, found.err
        settings = json.loads(found.out)["settings"]
        assert (settings["preset"], settings["game"]) == ("fast, changed", "preservation")
        rows = [row for row in Store.open(tmp_path / "masks").rows(maps=False) if row["error"] is None]
        assert {(row["asked"], tuple(row["target"])) for row in rows} == {("ant+4", (0, 4))}
        assert {row["evaluations"] < 30 for row in rows} == {True}
        assert run("show", "masks").code == 0

    def test_a_folder_of_other_things_is_no_store(self, run, photos, tmp_path):
        (tmp_path / "mine" / "thesis").mkdir(parents=True)
        found = run("learn", photos, "--out", "mine")
        assert found.code == 2
        assert "mine holds other things (thesis)" in found.err
        assert not list((tmp_path / "mine").glob("part-*"))

    def test_python_and_the_command_line_share_a_store(self, run, tmp_path):
        assert run("learn", "menagerie", "--method", "gradient", "--limit", "3", "--out", "maps").code == 0
        told = []
        pictures = unsee.open_dataset("menagerie")
        unsee.learn(network(), pictures, "maps", method="gradient", limit=3, progress=told.append)
        assert [(event.there, event.total) for event in told if hasattr(event, "there")] == [(3, 3)]
        unsee.learn(network(), pictures, "own", method="gradient", limit=3)
        assert run("show", "own", "--id", "test-000001").code == 0
        other = unsee.open_dataset("menagerie-shortcut")
        with pytest.raises(UnseeError, match=r"data\.name: menagerie → menagerie-shortcut"):
            unsee.learn(network(), other, "maps", method="gradient", limit=3)

    def test_pictures_without_a_class_that_is_asked_about_are_counted(self, run, tmp_path):
        (tmp_path / "map.json").write_text('{"zebra": 1}')
        options = ("--target", "label", "--class-map", "map.json", "--method", "gradient", "--limit", "12")
        found = run("learn", "menagerie", *options, "--out", "maps")
        assert found.code == 0
        assert "11 pictures show no class which is asked about" in found.err
        assert "11 pictures that show no class which is asked about" in found.err
        assert "zebra → 1" in found.err

    def test_sigterm_while_libraries_load_or_at_work(self, tmp_path):
        command = [sys.executable, "-c", "from unsee.cli import main; main()", "learn", "menagerie"]
        options = ["--model", "unsee:menagerie", "--out", "masks", "--part-size", "1", "--batch-size", "1"]
        for early in (True, False):
            process = subprocess.Popen([*command, *options], cwd=tmp_path, stderr=subprocess.PIPE)
            time.sleep(1.0)
            while not early and not list(tmp_path.glob("masks/part-*")) and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
            assert process.returncode == 143
            assert b"stopped" in err
            assert (b"goes on from here" in err) != early
            assert b"Traceback" not in err
        assert len(Store.open(tmp_path / "masks")) > 0

    def test_ctrl_c_stops_at_once_and_keeps_whole_parts(self, tmp_path):
        """A process of its own gets the signal that Ctrl-C sends."""
        command = [sys.executable, "-c", "from unsee.cli import main; main()", "learn", "menagerie"]
        options = ["--model", "unsee:menagerie", "--out", "masks", "--part-size", "2", "--limit", "200"]
        process = subprocess.Popen(
            [*command, *options], cwd=tmp_path, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "200"}
        )
        while not list(tmp_path.glob("masks/part-*")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert b"the same command again goes on from here" in err
        assert b"Traceback" not in err
        store = Store.open(tmp_path / "masks")
        assert 0 < len(store) < 200
        assert store.damaged == []


class TestStatusShowExport:
    @pytest.fixture
    def masks(self, run, photos):
        assert run("learn", photos, "--out", "masks").code == 0
        return "masks"

    def test_status(self, run, masks, tmp_path):
        found = run("status", masks)
        assert found.code == 0
        assert "4 of 4, 1 without a map" in found.err
        as_json = json.loads(run("status", masks, "--json").out)
        assert as_json["means"]["suppression"] > 0
        assert as_json["damaged"] == []
        part = next((tmp_path / masks).glob("part-*"))
        data = bytearray(part.read_bytes())
        for column in ("mask", "score", "error"):
            part.write_bytes(flipped(data, part, column))
            told = run("status", masks, "--check", "--json")
            assert told.code == 2
            assert json.loads(told.out)["damaged"][0].startswith(part.name)
            told = run("status", masks)
            assert told.code == (0 if column == "mask" else 2)
            assert (f"{part.name} is damaged" in told.err) == (column != "mask")
            part.write_bytes(data)
        part.write_bytes(data[:100])
        assert f"{part.name} is damaged" in run("status", masks).err

    def test_show(self, run, masks, tmp_path):
        found = run("show", masks, "--id", "0.png", "--id", "more/2.png")
        assert found.code == 0, found.err
        with Image.open(tmp_path / "shown.png") as picture:
            assert picture.size[0] > 1000
        assert run("show", masks, "--id", "0.png").code == 2
        assert run("show", masks, "--id", "0.png", "--force").code == 0
        for name, says in (("nobody", "no picture 'nobody'"), ("broken.png", "broken.png has no map")):
            found = run("show", masks, "--id", name, "--out", "other.png")
            assert found.code == 2
            assert says in found.err
        assert run("show", masks, "--id", "0.png", "--out", "nowhere/x.png").code == 2
        assert "is no .png" in run("show", masks, "--out", "x.jpg").err
        assert "such as '0.png'" in run("show", masks, "--id", "0.jpg", "--out", "x.png").err
        assert run("show", masks, "--out", "all.png").code == 0

    def test_a_picture_that_has_changed_or_gone_is_not_shown(self, run, masks, make_photo, tmp_path):
        make_photo("photos/0.png", seed=9)
        found = run("show", masks, "--id", "0.png")
        assert found.code == 2
        assert "its file has changed" in found.err
        (tmp_path / "photos" / "0.png").unlink()
        assert "photos: bring it back" in run("show", masks, "--id", "0.png").err

    @pytest.mark.parametrize("data", [{"name": "folder:gone"}, {"name": 3}, {}])
    def test_a_file_of_another_size_is_not_shown_where_the_data_set_is_gone(
        self, data, run, masks, make_photo, tmp_path
    ):
        make_photo("photos/0.png", height=30, seed=9)
        manifest = json.loads((tmp_path / masks / "_manifest.json").read_text())
        manifest["settings"]["data"] = data
        (tmp_path / masks / "_manifest.json").write_text(json.dumps(manifest))
        assert run("show", masks, "--id", "1.png").code == 0
        found = run("show", masks, "--id", "0.png", "--out", "other.png")
        assert found.code == 2
        assert "0.png is not the picture that was looked at: its file has changed" in found.err

    def test_a_photo_that_has_gone_costs_no_other_overlay(self, run, masks, make_photo, tmp_path):
        (tmp_path / "photos" / "0.png").unlink()
        make_photo("photos/1.png", seed=9)
        found = run("export", masks, "--format", "overlay", "--out", "over")
        assert found.code == 2
        assert "picture of 0.png cannot be found" in found.err
        assert "1.png is not the picture that was looked at" in found.err
        assert "1 rows in over; 1 without a map left out; 2 whose photos are gone or have ch" in found.err
        assert [path.name for path in tmp_path.glob("over/**/*.png")] == ["2.png"]

    def test_a_run_that_is_taken_up_elsewhere_looks_at_the_same_files(
        self, run, masks, make_photo, tmp_path, monkeypatch
    ):
        photo = Store.open(tmp_path / masks).find("0.png")[0]["photo"]
        assert photo == str(tmp_path / "photos" / "0.png")
        make_photo("photos/0.png", seed=9)
        make_photo("elsewhere/photos/1.png", seed=8)
        monkeypatch.chdir(tmp_path / "elsewhere")
        told = run("learn", "folder:../photos", "--out", f"../{masks}")
        assert told.code == 0
        assert "is out of date (0.png has changed since)" in told.err

    def test_damage_beyond_the_limit_is_told(self, run, make_photo, tmp_path):
        for number in range(3):
            make_photo(f"photos/{number}.png", seed=number)
        settings = ("learn", "folder:photos", "--out", "m", "--part-size", "1", "--batch-size", "1")
        assert run(*settings).code == 0
        for part in (tmp_path / "m").glob("part-*"):
            part.write_bytes(b"PAR1 half")
        told = run(*settings, "--limit", "1")
        assert told.err.count("its pictures are done again") == 1
        assert told.err.count("left as it is, beyond --limit") == 2

    def test_a_picture_that_has_changed_is_done_again(self, run, masks, make_photo, tmp_path):
        before = {row["id"]: row["file_hash"] for row in Store.open(tmp_path / masks).rows(maps=False)}
        (tmp_path / "photos" / "1.png").touch()
        assert "out of date" not in run("learn", "folder:photos", "--out", masks).err
        make_photo("photos/0.png", seed=9)
        told = run("learn", "folder:photos", "--out", masks)
        assert told.code == 0
        assert "is out of date (0.png has changed since): its pictures are done again" in told.err
        after = {row["id"]: row["file_hash"] for row in Store.open(tmp_path / masks).rows(maps=False)}
        assert {name for name in before if before[name] != after[name]} == {"0.png"}
        assert run("show", masks, "--id", "0.png").code == 0

    def test_export(self, run, masks, tmp_path):
        assert run("export", masks, "--format", "npy", "--out", "maps").code == 0
        store = Store.open(tmp_path / masks)
        written = sorted(p.relative_to(tmp_path / "maps").as_posix() for p in tmp_path.glob("maps/**/*.npy"))
        assert written == ["0.npy", "1.npy", "more/2.npy"]
        kept = np.load(tmp_path / "maps" / "more" / "2.npy", allow_pickle=False)
        np.testing.assert_array_equal(kept, store.map_of(store.find("more/2.png")[0]))
        assert run("export", masks, "--format", "png", "--out", "maps").code == 2
        assert run("export", masks, "--format", "png", "--out", "maps", "--force").code == 0
        with Image.open(tmp_path / "maps" / "0.png") as picture:
            assert picture.size == (32, 32)
        assert "1 without a map left out" in run("export", masks, "--format", "overlay", "--out", "over").err
        with Image.open(tmp_path / "photos" / "0.png") as photo, Image.open(tmp_path / "over/0.png") as over:
            assert over.size == photo.size
        assert run("export", masks, "--format", "csv", "--out", "table").code == 0
        with (tmp_path / "table" / "rows.csv").open(encoding="utf-8", newline="") as file:
            rows = {row["id"]: row for row in csv.DictReader(file)}
        assert len(rows) == 4
        assert rows["0.png"]["mask_shape"] == "32|32"
        assert "broken" in rows["broken.png"]["error"]
        assert run("export", masks, "--format", "csv", "--out", "rows/all.csv").code == 0
        assert (tmp_path / "rows" / "all.csv").read_bytes() == (tmp_path / "table" / "rows.csv").read_bytes()
        assert run("export", masks, "--format", "csv", "--out", "rows/all.csv").code == 2
        found = run("export", masks, "--format", "tiff", "--out", "x")
        assert found.code == 2
        assert "png, overlay, npy, csv" in found.err

    def test_two_pictures_of_one_name_keep_their_endings(self, run, make_photo, tmp_path):
        for name in ("a.png", "a.jpg", "b.png"):
            make_photo(f"photos/{name}")
        assert run("learn", "folder:photos", "--out", "m", "--method", "gradient").code == 0
        assert run("export", "m", "--format", "npy", "--out", "maps").code == 0
        assert {p.name for p in (tmp_path / "maps").iterdir()} == {"a.png.npy", "a.jpg.npy", "b.npy"}

    def test_a_flipped_bit_and_a_cut_part_are_told(self, run, make_photo, tmp_path):
        for number in range(4):
            make_photo(f"photos/{number}.png", seed=number)
        assert run("learn", "folder:photos", "--out", "m", "--part-size", "2", "--batch-size", "2").code == 0
        first, second = sorted((tmp_path / "m").glob("part-*"))
        whole = first.read_bytes()
        found = bytearray(whole)
        found[len(found) // 3] ^= 1
        first.write_bytes(found)
        for command in (["show", "m"], ["export", "m", "--format", "npy", "--out", "maps"]):
            told = run(*command)
            assert told.code == 2
            assert f"m: {first.name} is damaged" in told.err
        assert run("status", "m", "--check").code == 2
        first.write_bytes(whole)
        second.write_bytes(second.read_bytes()[:200])
        told = run("export", "m", "--format", "npy", "--out", "some")
        assert told.code == 2
        assert f"{second.name} is damaged" in told.err
        assert {p.name for p in (tmp_path / "some").iterdir()} == {"0.npy", "1.npy"}
        assert run("status", "m").code == 2
        assert run("learn", "folder:photos", "--out", "m").code == 0
        assert run("status", "m", "--check").code == 0

    def test_maps_of_other_methods(self, run, photos, tmp_path):
        assert run("learn", photos, "--method", "gradient", "--out", "maps").code == 0
        assert run("show", "maps", "--id", "0.png").code == 0
        assert run("export", "maps", "--out", "heat").code == 0
        with Image.open(tmp_path / "heat" / "0.png") as picture:
            assert picture.size == (32, 32)

    def test_no_store(self, run, tmp_path):
        for command in (["status"], ["export"], ["show", "--id", "x"]):
            found = run(*command, "nowhere")
            assert found.code == 2
            assert "holds no store" in found.err


class TestPieces:
    def test_a_signal_whose_exception_was_swallowed_stops_all_the_same(self):
        def work():
            with stoppable() as check:
                with suppress(BaseException):
                    signal.raise_signal(signal.SIGINT)
                check()
                pytest.fail("went on")

        with pytest.raises(typer.Exit) as stopped:
            work()
        assert stopped.value.exit_code == 130
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    def test_ids_that_lead_elsewhere_stay_below_the_folder(self):
        for id in ("../../x", "/etc/x", "a/../../x", "..", "a\\..\\x", "a//b", "nul\0"):
            path = Path("out") / safe(id)
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert "\0" not in str(path)
        assert safe("more/2.png") == "more/2.png"
        assert len({safe(id) for id in ("a/b", "a%2Fb", "a//b", "a/ b", "..", "%2E%2E")}) == 6

    def test_engines(self):
        assert engine_from("local", None, None, None, "cpu") == Local()
        assert engine_from("ray", 3, 2, None, "cpu") == OnRay(3, 2, 0.0)
        assert engine_from("ray", 2, 1, None, "cuda") == OnRay(2, 1, 1.0)
        assert engine_from("ray", 2, 1, 0.5, "cpu") == OnRay(2, 1, 0.5)
        both = engine_from("ray", None, None, None, "cpu")
        assert both.workers * both.threads <= (os.cpu_count() or 1)

    def test_lists_of_names(self):
        assert names_in(None) == ()
        assert names_in(" a, b c ,,") == ("a", "b c")

    @pytest.mark.parametrize(
        "text",
        [
            *("[]", "{", '{"a": "b"}', '{"a": []}', '{"a": [true]}', '{"a": {}}'),
            *("[" * 100_000, '{"a": %s}' % ("9" * 5000)),
        ],
    )
    def test_what_is_no_class_map(self, tmp_path, text):
        file = tmp_path / "map.json"
        file.write_text(text)
        with pytest.raises(UnseeError, match="is no class map"):
            map_from(file)

    def test_lines_where_there_is_no_bar(self, monkeypatch, capsys):
        monkeypatch.setattr("unsee.cli.learning._SECONDS_BETWEEN_LINES", -1.0)
        with watched("maps:") as tell:
            tell(Outset(100, 20, 1, (), 0))
            time.sleep(0.2)
            tell(Written("part", 8, 1))
            time.sleep(0.2)
            tell(Written("part", 8, 0))
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert re.fullmatch(r"maps: 36 of 100 rows, \d+(\.\d\d)?/s, 0:00:\d\d left, 2 without a map", last), (
            last
        )

    def test_a_blacklist_is_told_once(self, monkeypatch, tmp_path, capsys):
        name, _ = imagenet_val(tmp_path)
        (tmp_path / "ILSVRC2014_clsloc_validation_blacklist.txt").write_text("2\n6\n")
        assert len(opened(name, None, None)) == 4
        assert "2 pictures of imagenet:" in capsys.readouterr().err

    def test_datasets_are_listed(self, run):
        assert "imagenet:DIR" in run("datasets").out
        assert set(json.loads(run("datasets", "--json").out)) >= {"menagerie", "folder:DIR", "coco:DIR"}
