"""Names of photos and classes on the command line: none is markup, a path or a number by chance."""

import os
import sys
from pathlib import Path

import pytest

from command_line import FILES, strict
from unsee.classifier import Classifier


class TestNames:
    def test_folders_of_the_same_stem_are_numbered(self, explain, make_photo, tmp_path):
        photos = [make_photo("a/x.png"), make_photo("b/x.png", seed=1), make_photo("c/x.tif.png", seed=2)]
        records = strict(explain(*photos, "--json").out)
        folders = sorted(path.name for path in (tmp_path / "explanations").iterdir())
        assert folders == ["x", "x-2", "x.tif"]
        second = strict((tmp_path / "explanations" / "x-2" / "explanation.json").read_text())
        assert second["photo"] == str(photos[1])
        assert second == records[1]

    @pytest.mark.parametrize(
        "name",
        [
            "[red]x.png",
            "[/red]x.png",
            "[bold]ñ 日本 🐱[b].png",
            "a b'c\"d.png",
            "-x.png",
            "%s{0}$x$.png",
            "x\\.png",
        ],
    )
    def test_any_name_of_a_photo(self, explain, interrogate, make_photo, tmp_path, name):
        photo = make_photo(f"in/{name}")
        result = explain("--json", "--", f"in/{name}")
        assert result.code == 0
        (record,) = strict(result.out)
        assert record["photo"] == f"in/{name}"
        assert {path.name for path in (tmp_path / "explanations" / photo.stem).iterdir()} == FILES
        table = explain("--", f"in/{name}")
        assert table.code == 0
        assert photo.name in table.err
        result = interrogate("--box", "0,0,9,9", "--", f"in/{name}")
        assert (result.code, result.out) == (0, "")
        assert photo.stem in result.err

    @pytest.mark.parametrize("name", ["[red]gone.png", "[/red]gone.png", "[/]gone.png", "日本[x.png"])
    def test_any_name_of_a_missing_photo(self, explain, interrogate, name):
        for result in (explain(name), interrogate(name, "--box", "0,0,1,1")):
            assert result.code == 2
            assert f"unsee: {name} does not exist" in result.err

    @pytest.mark.skipif(sys.platform != "linux", reason="names are bytes only on Linux")
    def test_a_name_that_is_not_unicode(self, explain, make_photo, tmp_path):
        (tmp_path / "in").mkdir()
        photo = os.fsencode(tmp_path / "in") + b"/caf\xe9.png"
        Path(os.fsdecode(photo)).write_bytes(make_photo().read_bytes())
        result = explain(os.fsdecode(photo))
        assert result.code == 0
        assert len(list(tmp_path.rglob("explanation.json"))) == 1

    def test_class_names_are_shown_as_they_are(self, run, use, make_net, make_photo):
        odd = Classifier(make_net(2), size=(32, 32), class_names=("[red]fish[/]", "[/] & <b>"), name="odd[/]")
        use(lambda name, weights, device: odd)
        result = run("explain", make_photo(), "--target", "0", "--iterations", "1")
        assert result.code == 0
        assert "[red]fish[/]" in result.err
        result = run("interrogate", make_photo(), "--target", "1", "--box", "0,0,9,9")
        assert result.code == 0
        assert "[/] & <b>" in result.err
