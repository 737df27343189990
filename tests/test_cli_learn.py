"""`unsee learn` as it is typed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import unsee
from pictures import network
from unsee.errors import UnseeError
from unsee.runs.store import Store


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    """The command line loads a small network."""
    monkeypatch.setattr("unsee.cli.parsing.load", lambda name, weights=None, device="auto": network())


@pytest.fixture
def photos(make_photo, tmp_path):
    """A folder with three photos, one of them in a subfolder, and a broken file."""
    for number in range(2):
        make_photo(f"photos/{number}.png", seed=number)
    make_photo("photos/more/2.png", seed=2)
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG nothing more")
    return "folder:photos"


class TestLearn:
    def test_the_same_command_again_does_nothing_anew(self, run, photos, tmp_path):
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

    def test_other_settings_and_invalid_options_are_refused(self, run, photos):
        run("learn", photos, "--out", "masks", "--limit", "2")
        Path("map.json").write_text('{"dog": 1}')
        for options, says in (
            (["--seed", "4"], "seed: 0 → 4"),
            (["--preset", "paper"], "preset: fast → paper"),
            (["--method", "gradient"], "method: mask → gradient"),
            (["--out", ""], "a store's name must not be empty: give a folder"),
            (["--engine", "cloud"], "no engine is called 'cloud'"),
            (["--workers", "3"], "the local engine is one process"),
            (["--split", "val"], "has no splits"),
            (["--classes", "dog"], "no class names"),
            (["--class-map", "missing.json"], "missing.json is not a class map"),
            (["--target", "label"], "has no labels"),
            (["--target", "ant+"], "has no class on one side of a '+'"),
            (["--target", "unicorn"], "no class called 'unicorn'"),
            (["--method", "grad-kam"], "did you mean grad-cam?"),
            (["--method", "gradient", "--preset", "paper"], "preset is for the learned mask"),
            (["--method", "gradient", "--iterations", "3"], "iterations is for the learned mask"),
            (["--method", "gradient", "--precision", "float32"], "precision is for the learned mask"),
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

    def test_a_folder_with_other_files_is_refused(self, run, photos, tmp_path):
        (tmp_path / "mine" / "thesis").mkdir(parents=True)
        found = run("learn", photos, "--out", "mine")
        assert found.code == 2
        assert "mine has other files (thesis)" in found.err
        assert not list((tmp_path / "mine").glob("part-*"))

    def test_python_and_the_command_line_share_a_store(self, run, tmp_path):
        assert run("learn", "menagerie", "--method", "gradient", "--limit", "3", "--out", "maps").code == 0
        events = []
        pictures = unsee.open_dataset("menagerie")
        unsee.learn(network(), pictures, "maps", method="gradient", limit=3, progress=events.append)
        assert [(event.there, event.total) for event in events if hasattr(event, "there")] == [(3, 3)]
        unsee.learn(network(), pictures, "own", method="gradient", limit=3)
        assert run("show", "own", "--id", "test-000001").code == 0
        other = unsee.open_dataset("menagerie-shortcut")
        with pytest.raises(UnseeError, match=r"data\.name: menagerie → menagerie-shortcut"):
            unsee.learn(network(), other, "maps", method="gradient", limit=3)

    def test_images_without_a_class_to_explain_are_counted(self, run, tmp_path):
        (tmp_path / "map.json").write_text('{"zebra": 1}')
        options = ("--target", "label", "--class-map", "map.json", "--method", "gradient", "--limit", "12")
        found = run("learn", "menagerie", *options, "--out", "maps")
        assert found.code == 0
        assert "11 images without a class to explain: left out" in found.err
        assert "11 images without a class to explain" in found.err
        assert "zebra → 1" in found.err

    def test_sigterm_while_libraries_load_and_during_the_run(self, tmp_path):
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
