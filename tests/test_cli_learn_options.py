"""What the options of `unsee learn` and `unsee export` mean, and the progress of a run."""

import json
import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from data_sets import imagenet_val
from unsee.cli.parsing import dataset_from, names_from
from unsee.cli.run_progress import run_progress
from unsee.cli.signals import stoppable
from unsee.errors import UnseeError
from unsee.runs.class_map_file import read_class_map
from unsee.runs.engines.choice import engine_named
from unsee.runs.engines.local import Local, PartWritten
from unsee.runs.engines.ray import OnRay
from unsee.runs.export import safe_path
from unsee.runs.resume import RunState


class TestPieces:
    def test_a_signal_whose_exception_was_swallowed_still_stops_the_run(self):
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

    def test_file_names_made_from_ids_stay_below_the_folder(self):
        for id in ("../../x", "/etc/x", "a/../../x", "..", "a\\..\\x", "a//b", "nul\0"):
            path = Path("out") / safe_path(id)
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert "\0" not in str(path)
        assert safe_path("more/2.png") == "more/2.png"
        assert len({safe_path(id) for id in ("a/b", "a%2Fb", "a//b", "a/ b", "..", "%2E%2E")}) == 6

    def test_engines(self):
        assert engine_named("local", None, None, None, "cpu") == Local()
        assert engine_named("ray", 3, 2, None, "cpu") == OnRay(3, 2, 0.0)
        assert engine_named("ray", 2, 1, None, "cuda") == OnRay(2, 1, 1.0)
        assert engine_named("ray", 2, 1, 0.5, "cpu") == OnRay(2, 1, 0.5)
        both = engine_named("ray", None, None, None, "cpu")
        assert both.workers * both.threads <= (os.cpu_count() or 1)

    def test_lists_of_names(self):
        assert names_from(None) == ()
        assert names_from(" a, b c ,,") == ("a", "b c")

    @pytest.mark.parametrize(
        "text",
        [
            *("[]", "{", '{"a": "b"}', '{"a": []}', '{"a": [true]}', '{"a": {}}'),
            *("[" * 100_000, '{"a": %s}' % ("9" * 5000)),
        ],
    )
    def test_invalid_class_maps(self, tmp_path, text):
        file = tmp_path / "map.json"
        file.write_text(text)
        with pytest.raises(UnseeError, match="is not a class map"):
            read_class_map(file)

    def test_lines_instead_of_a_bar_without_a_terminal(self, capsys):
        with run_progress("maps:", seconds_between_lines=-1.0) as tell:
            tell(RunState(100, 20, 1, (), 0))
            time.sleep(0.2)
            tell(PartWritten("part", 8, 1))
            time.sleep(0.2)
            tell(PartWritten("part", 8, 0))
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert re.fullmatch(r"maps: 36 of 100 rows, \d+(\.\d\d)?/s, 0:00:\d\d left, 2 without a map", last), (
            last
        )

    def test_a_blacklist_is_reported_once(self, monkeypatch, tmp_path, capsys):
        name, _ = imagenet_val(tmp_path)
        (tmp_path / "ILSVRC2014_clsloc_validation_blacklist.txt").write_text("2\n6\n")
        assert len(dataset_from(name, None, None)) == 4
        assert "2 images of imagenet:" in " ".join(capsys.readouterr().err.split())

    def test_datasets_are_listed(self, run):
        assert "imagenet:DIR" in run("datasets").out
        assert set(json.loads(run("datasets", "--json").out)) >= {"menagerie", "folder:DIR", "coco:DIR"}
