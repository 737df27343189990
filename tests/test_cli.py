import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1
from unsee.cli.explaining import folder_names

import unsee
from unsee.classifier import Classifier
from unsee.cli import app
from unsee.errors import UnseeError
from unsee.images import read_photo
from unsee.masks import PRESETS
from unsee.models import names
from unsee.tensors import fitted_box, smooth

PHOTOS = sys.modules["unsee.masks.photos"]
FILES = {
    "explanation.json",
    "mask.npy",
    "mask_grid.npy",
    "mask.png",
    "heatmap.png",
    "overlay.png",
    "perturbed.png",
    "figure.png",
}
CLASSES = ("ant", "bee", "cat", "tiger cat", "dog")


def strict(text):
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def use(monkeypatch):
    """Puts a function in the place of `unsee.load`, and keeps figures cheap."""

    def save(figure, path):
        Image.new("RGB", (3, 1)).save(path, format="PNG")

    def use(load):
        monkeypatch.setattr("unsee.cli.parsing.load", load)
        monkeypatch.setattr("unsee.drawing.panels.save", save)

    return use


@pytest.fixture
def tiny(make_net, use):
    """Lets `--model` name small networks; gives what was asked for."""
    asked = []
    sizes = {"tiny": 5, "tiny3": 3, "torchvision:googlenet": 5}

    def load(name, weights=None, device="auto"):
        asked.append(SimpleNamespace(name=name, weights=weights, device=device))
        if name not in sizes:
            raise UnseeError(f"no model is called {name!r}")
        classes = sizes[name]
        return Classifier(make_net(classes), size=(32, 32), class_names=CLASSES[:classes], name=name)

    use(load)
    return asked


@pytest.fixture
def explain(run, tiny):
    return lambda *arguments: run("explain", "--model", "tiny", "--iterations", 2, *arguments)


@pytest.fixture
def interrogate(run, tiny):
    return lambda *arguments: run("interrogate", "--model", "tiny", *arguments)


@pytest.fixture
def learned(monkeypatch):
    """Notes how many photos are taken up at a time."""
    calls, enter = [], PHOTOS._Cabin.enter

    def counting(self, places):
        batch = enter(self, places)
        calls.extend([len(batch)] if batch else [])
        return batch

    monkeypatch.setattr(PHOTOS._Cabin, "enter", counting)
    return calls


def refused(result, *told):
    """Exit code 2, nothing on standard output, one line that says what to mend."""
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err
    line = result.err.strip()
    assert line.startswith("unsee: ")
    assert "\n" not in line
    for text in told:
        assert text in line


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_a_process(*arguments, before="", **options):
    script = f"{before}\nimport sys\nsys.argv[0] = 'unsee'\nfrom unsee.cli import main\nmain()"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


class TestExplain:
    def test_writes_a_folder_for_each_photo(self, explain, make_photo, tmp_path):
        result = explain(make_photo("one.png"), make_photo("two.png", seed=1), "--out", "done")
        assert (result.code, result.out) == (0, "")
        assert {path.name for path in (tmp_path / "done").iterdir()} == {"one", "two"}
        for name in ("one", "two"):
            assert {path.name for path in (tmp_path / "done" / name).iterdir()} == FILES
            record = strict((tmp_path / "done" / name / "explanation.json").read_text())
            assert record["photo"] == str(tmp_path / f"{name}.png")
            assert record["model"] == "tiny"
            assert record["preset"] == "fast"
            assert record["iterations"] == 2
            assert record["seed"] == 0
            mask = np.load(tmp_path / "done" / name / "mask.npy")
            assert (mask.shape, mask.dtype) == ((40, 56), np.float32)

    def test_without_out_it_writes_to_explanations(self, explain, make_photo, tmp_path):
        assert explain(make_photo()).code == 0
        assert (tmp_path / "explanations" / "photo" / "explanation.json").exists()

    def test_people_read_a_table_on_standard_error(self, explain, make_photo):
        result = explain(make_photo("flute.png"), "--target", "dog")
        assert result.out == ""
        for text in ("flute.png", "dog", "explanations/flute", "%"):
            assert text in result.err

    def test_json_is_one_list_and_nothing_else(self, explain, make_photo, tmp_path):
        photos = [make_photo("b.png"), make_photo("a.png", seed=1)]
        result = explain(*photos, "--json")
        listed = strict(result.out)
        assert isinstance(listed, list)
        assert [Path(record["photo"]).name for record in listed] == ["b.png", "a.png"]
        for record in listed:
            place = tmp_path / "explanations" / Path(record["photo"]).stem
            assert record == strict((place / "explanation.json").read_text())
        again = explain(*photos, "--json")
        assert strict(again.out) == listed

    def test_options_reach_the_explanation(self, run, tiny, make_photo):
        result = run(
            *("explain", make_photo(), "--model", "tiny", "--target", "dog+1", "--preset", "alexnet"),
            *("--game", "preservation", "--perturbation", "joint", "--iterations", "3", "--seed", "7"),
            *("--score", "logit", "--fit", "crop", "--device", "cpu", "--weights", "w.pth", "--json"),
        )
        (record,) = strict(result.out)
        assert record["target"] == {"index": [4, 1], "name": ["dog", "bee"], "asked": "dog+1"}
        assert (record["preset"], record["game"], record["seed"], record["fit"]) == (
            *("alexnet", "preservation", 7, "crop"),
        )
        assert record["iterations"] == len(record["history"]["score"]) == 3
        assert record["settings"]["objective"]["score"] == "logit_score"
        assert [part["name"] for part in record["settings"]["perturbations"]] == ["constant", "noise", "blur"]
        assert (tiny[0].name, tiny[0].weights, tiny[0].device) == ("tiny", Path("w.pth"), "cpu")

    def test_top5(self, explain, make_photo):
        (record,) = strict(explain(make_photo(), "--target", "top5", "--json").out)
        assert sorted(record["target"]["index"]) == [0, 1, 2, 3, 4]
        assert record["target"]["asked"] == "top5"

    def test_batches(self, explain, learned, make_photo):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(5)]
        assert explain(*photos, "--batch-size", 2).code == 0
        assert learned == [2, 2, 1]

    def test_a_bad_photo_among_good_ones(self, explain, make_photo, tmp_path):
        (tmp_path / "text.png").write_text("no picture")
        good = [make_photo("a.png"), make_photo("b.png", seed=1)]
        result = explain(good[0], "missing.png", "text.png", good[1], "--json")
        assert result.code == 2
        assert [Path(record["photo"]).name for record in strict(result.out)] == ["a.png", "b.png"]
        assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"a", "b"}
        told = [line for line in result.err.splitlines() if line.startswith("unsee: ")]
        assert len(told) == 2
        assert "missing.png" in told[0]
        assert "text.png" in told[1]
        assert "Traceback" not in result.err

    def test_only_bad_photos(self, explain, learned, tmp_path):
        result = explain("missing.png", "--json")
        assert (result.code, strict(result.out)) == (2, [])
        assert not (tmp_path / "explanations").exists()
        assert learned == []

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (("--preset", "papr"), "paper"),
            (("--game", "delete"), "deletion"),
            (("--perturbation", "blurr"), "blur"),
            (("--score", "odds"), "softmax"),
            (("--fit", "stretch"), "squash"),
            (("--iterations", "0"), "0"),
            (("--batch-size", "0"), "0"),
            (("--target", "walrus"), "walrus"),
            (("--target", "99"), "0 to 4"),
            (("--target", "-1"), "0 to 4"),
            (("--target", "--5"), "--5"),
            (("--target", "1+"), "1+"),
            (("--target", "+"), "+"),
            (("--target", "a"), "could be"),
            (("--model", "huge"), "huge"),
            (("--model", "[/]"), "[/]"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_what_the_user_can_mend_is_one_line(self, explain, make_photo, tmp_path, options, told):
        refused(explain(make_photo(), *options), told)
        assert not list(tmp_path.rglob("explanation.json"))

    @pytest.mark.parametrize(
        "options",
        [
            (),
            ("x.png", "--no-such"),
            ("x.png", "--iterations", "many"),
            ("x.png", "--seed", "-1"),
            ("x.png", "--target"),
        ],
    )
    def test_what_is_no_command_line(self, run, tiny, options):
        result = run("explain", *options)
        assert (result.code, result.out) == (2, "")
        assert "Traceback" not in result.err
        assert tiny == []

    def test_an_out_that_cannot_be_written_to(self, explain, make_photo, tmp_path):
        (tmp_path / "taken").write_text("a file")
        refused(explain(make_photo(), "--out", "taken"), "taken")
        assert (tmp_path / "taken").read_text() == "a file"


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
        ("photos", "folders"),
        [
            (["x.png", "x.jpg", "x-2.png"], ["x", "x-2", "x-2-2"]),
            (["x-2.png", "x.png", "x.png"], ["x-2", "x", "x-3"]),
            (["noending", "a.b.c", ".hidden"], ["noending", "a.b", ".hidden"]),
        ],
    )
    def test_folder_names(self, photos, folders):
        assert folder_names(photos) == folders

    @pytest.mark.parametrize("photo", ["..png", "...png", "a/...jpg", ".png"])
    def test_a_folder_is_always_below_out(self, photo):
        (name,) = folder_names([photo])
        assert name not in ("", ".", "..")
        assert "/" not in name

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
        told = interrogate("--box", "0,0,9,9", "--", f"in/{name}")
        assert (told.code, told.out) == (0, "")
        assert photo.stem in told.err

    @pytest.mark.parametrize("name", ["[red]gone.png", "[/red]gone.png", "[/]gone.png", "日本[x.png"])
    def test_any_name_of_a_missing_photo(self, explain, interrogate, name):
        for result in (explain(name), interrogate(name, "--box", "0,0,1,1")):
            assert result.code == 2
            assert f"unsee: {name} does not exist" in result.err

    @pytest.mark.skipif(sys.platform != "linux", reason="names are bytes only on Linux")
    def test_a_name_that_is_no_unicode(self, explain, make_photo, tmp_path):
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
        told = run("interrogate", make_photo(), "--target", "1", "--box", "0,0,9,9")
        assert told.code == 0
        assert "[/] & <b>" in told.err


class TestFast:
    def test_it_is_the_default_and_settles_by_itself(self, run, tiny, make_photo, tmp_path):
        result = run("explain", "--model", "tiny", make_photo(), "--json")
        (record,) = strict(result.out)
        assert record["preset"] == "fast"
        assert record["precision"] in ("float32", "bfloat16")
        assert 20 < record["iterations"] == record["evaluations"] <= 40
        assert record["settings"]["algorithm"]["type"] == "Bundle"

    def test_a_precision_that_is_none_is_refused(self, explain, make_photo):
        refused(explain(make_photo(), "--precision", "half"), "half", "float32, bfloat16")

    def test_precision_is_on_the_record(self, explain, make_photo):
        for name in ("float32", "bfloat16"):
            (record,) = strict(explain(make_photo(), "--precision", name, "--out", name, "--json").out)
            assert record["precision"] == name
        assert (
            "different precision" in explain(make_photo(), "--precision", "float32", "--out", "bfloat16").err
        )

    def test_batches_of_any_size_give_the_same_masks(self, explain, make_photo, tmp_path):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(5)]
        for size in (1, 2, 5):
            assert explain(*photos, "--batch-size", size, "--out", f"by-{size}").code == 0
        for name in "01234":
            one, *others = (np.load(tmp_path / f"by-{size}" / name / "mask.npy") for size in (1, 2, 5))
            assert all(np.allclose(one, other, atol=1e-3) for other in others)


class TestAgain:
    def test_what_is_there_is_not_learned_again(self, explain, make_photo, tmp_path, monkeypatch):
        photos = [make_photo("a.png"), make_photo("b.png", seed=1)]
        first = explain(*photos, "--json")
        before = contents(tmp_path / "explanations")

        def learn(*rest):
            raise AssertionError("nothing is to be learned")

        monkeypatch.setattr(PHOTOS._Cabin, "enter", learn)
        again = explain(*photos, "--json")
        assert (again.code, again.out) == (0, first.out)
        assert contents(tmp_path / "explanations") == before

    def test_only_what_is_missing_is_learned(self, explain, learned, make_photo, tmp_path):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(3)]
        explain(photos[0], photos[2])
        shutil.rmtree(tmp_path / "explanations" / "2")
        learned.clear()
        records = strict(explain(*photos, "--json").out)
        assert learned == [2]
        assert [Path(record["photo"]).stem for record in records] == ["0", "1", "2"]

    @pytest.mark.parametrize(
        ("options", "difference"),
        [
            (("--seed", "1"), "seed"),
            (("--iterations", "3"), "settings"),
            (("--preset", "alexnet"), "settings"),
            (("--game", "preservation"), "settings"),
            (("--perturbation", "constant"), "settings"),
            (("--score", "logit"), "settings"),
            (("--target", "0"), "target"),
            (("--fit", "crop"), "fit"),
            (("--model", "tiny3"), "model"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_another_explanation_is_not_replaced(
        self, explain, learned, make_photo, tmp_path, options, difference
    ):
        photo = make_photo()
        explain(photo)
        before = contents(tmp_path / "explanations")
        learned.clear()
        result = explain(photo, *options, "--json")
        assert (result.code, strict(result.out)) == (2, [])
        (line,) = [line for line in result.err.splitlines() if line.startswith("unsee: ")]
        assert re.search(rf"different {difference}(, precision)?\)", line)
        assert "--force" in line
        assert learned == []
        assert contents(tmp_path / "explanations") == before

    def test_a_changed_photo_or_weight_file_is_another_explanation(self, explain, use, make_photo, make_net):
        photo = make_photo()
        explain(photo)
        make_photo(seed=9)
        assert "different photo_sha256" in explain(photo).err
        make_photo()
        assert explain(photo).code == 0
        other = Classifier(
            make_net(), size=(32, 32), class_names=CLASSES, name="tiny", weights_sha256="0" * 64
        )
        use(lambda name, weights, device: other)
        assert "different weights_sha256" in explain(photo).err

    def test_force_replaces(self, explain, learned, make_photo, tmp_path):
        photo = make_photo()
        explain(photo)
        (tmp_path / "explanations" / "photo" / "notes.txt").write_text("mine")
        before = contents(tmp_path / "explanations" / "photo")
        (record,) = strict(explain(photo, "--game", "preservation", "--force", "--json").out)
        after = contents(tmp_path / "explanations" / "photo")
        assert learned == [1, 1]
        assert record["game"] == "preservation"
        assert after.keys() == before.keys()
        assert after[Path("mask.npy")] != before[Path("mask.npy")]
        assert after[Path("notes.txt")] == b"mine"

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"target": 3}', "\xff"])
    def test_a_damaged_record_is_not_replaced(self, explain, make_photo, tmp_path, text):
        photo, record = make_photo(), tmp_path / "explanations" / "photo" / "explanation.json"
        record.parent.mkdir(parents=True)
        record.write_bytes(text.encode("latin-1"))
        result = explain(photo, "--json")
        assert (result.code, strict(result.out)) == (2, [])
        assert "--force" in result.err
        assert record.read_bytes() == text.encode("latin-1")
        assert explain(photo, "--force").code == 0
        assert strict(record.read_text())["model"] == "tiny"


class TestStopped:
    def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(
        self, explain, learned, make_photo, tmp_path, monkeypatch
    ):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(5)]
        arguments = (*photos, "--batch-size", 2, "--iterations", 3, "--perturbation", "noise")
        assert explain(*arguments, "--out", "whole").code == 0
        learn_each = PHOTOS.learn_each
        learned.clear()

        def stopped(*rest):
            def stop(step):
                if len(learned) == 2 and step.iteration == 2:
                    raise KeyboardInterrupt

            return learn_each(*rest[:-1], stop)

        monkeypatch.setattr(PHOTOS, "learn_each", stopped)
        result = explain(*arguments, "--out", "parts")
        assert (result.code, result.out, learned) == (130, "", [2, 2])
        assert "Traceback" not in result.err
        assert "the same command again goes on" in result.err
        assert {path.name for path in (tmp_path / "parts").iterdir()} == {"0", "1"}
        for name in ("0", "1"):
            assert {path.name for path in (tmp_path / "parts" / name).iterdir()} == FILES
        first = contents(tmp_path / "parts")
        assert explain(*arguments, "--out", "parts").code == 0
        assert learned == [2, 2, 2, 1]
        parts, whole = contents(tmp_path / "parts"), contents(tmp_path / "whole")
        assert parts.keys() == whole.keys()
        for path, data in parts.items():
            if path.name in ("mask.npy", "mask_grid.npy", "mask.png", "perturbed.png"):
                assert data == whole[path], path
        assert {path: data for path, data in parts.items() if path in first} == first

    def test_a_second_batch_that_fails_leaves_the_first(self, explain, make_photo, tmp_path, monkeypatch):
        enter, calls = PHOTOS._Cabin.enter, []

        def failing(*rest):
            calls.append(1)
            if len(calls) == 2:
                raise RuntimeError("out of\nmemory")
            return enter(*rest)

        monkeypatch.setattr(PHOTOS._Cabin, "enter", failing)
        photos = [make_photo(f"{i}.png", seed=i) for i in range(2)]
        result = explain(*photos, "--batch-size", 1)
        assert (result.code, result.out) == (1, "")
        assert "a fault in unsee: RuntimeError: out of memory" in result.err
        assert "Traceback" not in result.err
        assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"0"}


class TestFaults:
    @pytest.fixture
    def broken(self, run, use):
        def load(*rest):
            raise RuntimeError("[red]boom[/bold]\nin two lines")

        use(load)
        return run

    def test_one_line_and_exit_code_1(self, broken, make_photo):
        result = broken("explain", make_photo())
        assert (result.code, result.out) == (1, "")
        assert "Traceback" not in result.err
        (line,) = result.err.strip().splitlines()
        assert "a fault in unsee: RuntimeError: [red]boom[/bold] in two lines" in line
        assert "--debug" in line

    @pytest.mark.parametrize("place", ["before", "after", "last"])
    def test_debug_shows_where(self, broken, make_photo, place):
        photo = make_photo()
        arguments = {
            "before": ("--debug", "explain", photo),
            "after": ("explain", "--debug", photo),
            "last": ("explain", photo, "--debug"),
        }
        result = broken(*arguments[place])
        assert (result.code, result.out) == (1, "")
        assert "Traceback (most recent call last)" in result.err
        assert "in load" in result.err
        assert "a fault in unsee" in result.err

    def test_debug_shows_where_a_users_mistake_was_found_too(self, explain, make_photo):
        result = explain(make_photo(), "--preset", "none", "--debug")
        assert result.code == 2
        assert "Traceback (most recent call last)" in result.err
        assert "unsee: no preset is called 'none'" in result.err

    def test_debug_changes_nothing_else(self, explain, make_photo):
        result = explain(make_photo(), "--debug", "--json")
        assert result.code == 0
        assert len(strict(result.out)) == 1
        assert "Traceback" not in result.err


class TestInterrogate:
    def record(self, folder):
        return strict((folder / "interrogation.json").read_text())

    def test_a_box(self, interrogate, make_photo, tmp_path):
        result = interrogate(make_photo(), "--box", "3,5,20,30", "--target", "dog", "--out", "out/deep")
        assert (result.code, result.out) == (0, "")
        out = tmp_path / "out" / "deep"
        assert {path.name for path in out.iterdir()} == {"interrogation.json", "perturbed.png", "figure.png"}
        record = self.record(out)
        assert record["box"] == [3, 5, 20, 30]
        assert record["target"] == {"index": [4], "name": ["dog"]}
        assert (record["model"], record["perturbation"]) == ("tiny", "blur")
        photo, edited = read_photo(tmp_path / "photo.png").pixels, read_photo(out / "perturbed.png").pixels
        changed = (photo - edited).abs().amax(dim=0) > 0
        inside = torch.zeros(40, 56, dtype=torch.bool)
        inside[5:30, 3:20] = True
        assert not changed[~inside].any()
        assert changed[inside].float().mean() > 0.5
        for text in ("dog", "blur", "3,5,20,30", "out/deep"):
            assert text in result.err

    def test_its_scores_are_those_of_the_edited_photo(self, interrogate, make_net, make_photo):
        """By hand: a photo of the network's own size, with a box of its blurred self."""
        path = make_photo(height=32, width=32, seed=1)
        photo = read_photo(path).pixels
        blurred = smooth(photo, 10.0)
        model = Classifier(make_net(), size=(32, 32))
        ends = model.probabilities(torch.stack([photo, blurred]))
        wanted = int((ends[0] - ends[1]).argmax())
        result = interrogate(path, "--box", "4,8,20,24", "--target", str(wanted), "--json")
        record = strict(result.out)
        edited = photo.clone()
        edited[:, 8:24, 4:20] = blurred[:, 8:24, 4:20]
        expected = model.probabilities(torch.stack([photo, edited, blurred]))[:, wanted].tolist()
        scores = [record["scores"][key] for key in ("original", "perturbed", "reference")]
        assert scores == pytest.approx(expected, abs=1e-5)
        before, after, whole = expected
        assert record["suppression"] == pytest.approx(1 - (after - whole) / (before - whole), abs=1e-3)

    def test_the_predicted_class_without_a_target(self, interrogate, make_photo, explain):
        photo = make_photo()
        (explained,) = strict(explain(photo, "--json").out)
        record = strict(interrogate(photo, "--box", "0,0,5,5", "--json").out)
        assert record["target"]["index"] == [explained["target"]["index"]]

    def test_by_default_it_writes_to_interrogations(self, interrogate, make_photo, tmp_path):
        assert interrogate(make_photo("flute.png"), "--box", "0,0,5,5").code == 0
        assert self.record(tmp_path / "interrogations" / "flute")["box"] == [0, 0, 5, 5]

    def test_json_is_the_record_and_nothing_else(self, interrogate, make_photo, tmp_path):
        result = interrogate(make_photo(), "--box", "0,0,5,5", "--json", "--out", "out")
        assert strict(result.out) == self.record(tmp_path / "out")

    def test_from_a_saved_mask(self, interrogate, explain, run, tiny, make_photo, tmp_path):
        photo = make_photo()
        explain(photo, "--target", "dog")
        saved = tmp_path / "explanations" / "photo"
        tiny.clear()
        record = strict(run("interrogate", photo, "--from", saved, "--json", "--threshold", "0.7").out)
        saliency = 1 - torch.from_numpy(np.load(saved / "mask.npy"))
        assert tuple(record["box"]) == fitted_box(saliency, 0.7)
        assert record["target"] == {"index": [4], "name": ["dog"]}
        assert tiny[0].name == "tiny"

    def test_from_and_a_box(self, interrogate, explain, make_photo, tmp_path):
        photo = make_photo()
        explain(photo, "--target", "dog")
        given = ("--from", tmp_path / "explanations" / "photo", "--box", "1,2,9,8")
        record = strict(interrogate(photo, *given, "--json").out)
        assert record["box"] == [1, 2, 9, 8]
        assert record["target"]["name"] == ["dog"]
        refused(interrogate(photo, *given, "--target", "bee"), "--force", "--out")
        other = strict(interrogate(photo, *given, "--target", "bee", "--force", "--json").out)
        assert other["target"]["name"] == ["bee"]

    def test_neither_is_refused(self, interrogate, make_photo):
        refused(interrogate(make_photo()), "--box", "--from")

    @pytest.mark.parametrize(
        "box",
        ["0,0,57,40", "0,0,56,41", "-1,0,9,9", "5,5,5,9", "5,5,9,5", "9,9,5,5", "100,100,200,200"],
    )
    def test_a_box_outside_or_empty(self, interrogate, make_photo, box):
        refused(interrogate(make_photo(), f"--box={box}"), box, "56", "40")

    @pytest.mark.parametrize(
        "box", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4", "0,0,5.5,9", "1,,2,3", "[/]"]
    )
    def test_a_malformed_box(self, interrogate, make_photo, box):
        refused(interrogate(make_photo(), f"--box={box}"), repr(box), "40,30,120,200")

    def test_the_whole_photo_is_a_box(self, interrogate, make_photo):
        record = strict(interrogate(make_photo(), "--box", "0,0,56,40", "--json").out)
        assert record["scores"]["perturbed"] == pytest.approx(record["scores"]["reference"], abs=1e-6)
        assert record["suppression"] == pytest.approx(1, abs=1e-4)

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (("--perturbation", "joint"), "joint"),
            (("--perturbation", "blurr"), "blur"),
            (("--fit", "stretch"), "squash"),
            (("--target", "walrus"), "walrus"),
            (("--target", "7"), "0 to 4"),
            (("--model", "huge"), "huge"),
            (("--from", "nowhere"), "nowhere"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_what_the_user_can_mend_is_one_line(self, interrogate, make_photo, tmp_path, options, told):
        refused(interrogate(make_photo(), "--box", "0,0,5,5", *options), told)
        assert not (tmp_path / "interrogations").exists()

    @pytest.mark.parametrize("threshold", ["0", "1.5", "nan", "-1"])
    def test_a_threshold_that_is_none(self, interrogate, explain, make_photo, tmp_path, threshold):
        photo = make_photo()
        explain(photo)
        given = ("--from", tmp_path / "explanations" / "photo", f"--threshold={threshold}")
        refused(interrogate(photo, *given), "threshold")

    def test_from_a_network_of_more_classes(self, interrogate, explain, make_photo, tmp_path):
        photo = make_photo()
        explain(photo, "--target", "dog")
        saved = tmp_path / "explanations" / "photo"
        refused(interrogate(photo, "--from", saved, "--model", "tiny3"), "--weights", "--box")

    def test_from_another_photo(self, interrogate, explain, make_photo, tmp_path):
        explain(make_photo())
        other = make_photo("other.png", seed=1)
        refused(interrogate(other, "--from", tmp_path / "explanations" / "photo"), "other.png")

    def test_an_out_that_cannot_be_written_to(self, interrogate, make_photo, tmp_path):
        (tmp_path / "taken").write_text("a file")
        refused(interrogate(make_photo(), "--box", "0,0,5,5", "--out", "taken"), "taken")
        assert (tmp_path / "taken").read_text() == "a file"

    def test_no_score_is_null(self, run, use, make_photo):
        """Strict JSON also where the network answers NaN."""

        class Broken(torch.nn.Module):
            def forward(self, x):
                return x.mean(dim=(2, 3)) * float("nan")

        use(lambda *rest: Classifier(Broken(), size=(8, 8)))
        result = run("interrogate", make_photo(), "--box", "0,0,5,5", "--target", "1", "--json")
        assert strict(result.out)["scores"] == {"original": None, "perturbed": None, "reference": None}


class TestLists:
    def test_presets(self, run):
        result = run("presets")
        assert (result.code, result.err) == (0, "")
        for name, preset in PRESETS.items():
            assert name in result.out
            assert preset.source in result.out

    def test_presets_as_json(self, run):
        listed = strict(run("presets", "--json").out)
        assert list(listed) == list(PRESETS)
        assert listed["paper"]["algorithm"]["iterations"] == 300
        assert all(preset["source"] for preset in listed.values())

    def test_models(self, run):
        result = run("models")
        assert (result.code, result.err) == (0, "")
        assert result.out.splitlines() == names()
        assert strict(run("models", "--json").out) == names()

    def test_version(self, run):
        result = run("--version")
        assert (result.code, result.out, result.err) == (0, f"unsee {unsee.__version__}\n", "")

    @pytest.mark.parametrize("arguments", [("no-such-command",), ("--no-such-option",), ("models", "extra")])
    def test_what_is_no_command(self, run, arguments):
        result = run(*arguments)
        assert (result.code, result.out) == (2, "")
        assert "Traceback" not in result.err


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class TestHelp:
    commands = typer.main.get_command(app).commands

    def test_lists_every_command_with_what_it_does(self, run):
        result = run("--help")
        assert (result.code, result.err) == (0, "")
        for name, command in self.commands.items():
            assert re.search(rf"\b{name}\b +\S+", plain(result.out)), name
            assert command.help, name
        assert "--version" in plain(result.out)
        assert "--debug" in plain(result.out)
        assert run("-h").out == result.out

    def test_without_a_command_it_helps(self, run):
        assert "explain" in plain(run().out)

    @pytest.mark.parametrize("name", sorted(commands))
    def test_each_command_explains_every_option(self, run, name):
        text = plain(run(name, "--help").out)
        for parameter in self.commands[name].params:
            assert parameter.help, parameter.name
            shown = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
            for option in shown:
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), option
            assert parameter.help.split()[0] in text

    def test_the_options_of_explain_are_the_promised_ones(self):
        options = {option for parameter in self.commands["explain"].params for option in parameter.opts}
        assert options >= {
            *("--model", "--weights", "--target", "--preset", "--game", "--perturbation", "--iterations"),
            *("--seed", "--batch-size", "--device", "--out", "--force", "--json"),
        }
        assert set(self.commands) >= {"explain", "interrogate", "presets", "models"}

    @pytest.mark.parametrize(
        "arguments", [("--help",), ("explain", "--help"), ("interrogate", "--help"), ("--version",)]
    )
    def test_needs_no_torch(self, arguments):
        block = "import sys\nfor name in ('torch', 'torchvision', 'matplotlib', 'numpy', 'PIL'):"
        result = in_a_process(*arguments, before=f"{block}\n    sys.modules[name] = None")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.strip()


class TestProcesses:
    def test_explain_with_a_weight_file(self, make_photo, tmp_path):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_file(squeezenet1_1(num_classes=6).state_dict(), tmp_path / "w.safetensors")
        photo = make_photo()
        network = ("--model", "torchvision:squeezenet1_1", "--weights", "w.safetensors", "--device", "cpu")
        options = ("--iterations", 2, "--preset", "pytorch-port", "--json")
        done = in_a_process("explain", photo, *network, *options, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        (record,) = strict(done.stdout)
        assert record["model"] == "torchvision:squeezenet1_1"
        assert len(record["weights_sha256"]) == 64
        folder = tmp_path / "explanations" / "photo"
        assert {path.name for path in folder.iterdir()} == FILES
        with Image.open(folder / "figure.png") as figure:
            assert min(figure.size) > 200

    @pytest.mark.parametrize("arguments", [("presets",), ("--help",)])
    def test_a_closed_pipe_is_no_fault(self, arguments):
        reading, writing = os.pipe()
        os.close(reading)
        script = "import sys; sys.argv[0] = 'unsee'; from unsee.cli import main; main()"
        with open(writing, "wb") as pipe:  # noqa: PTH123
            done = subprocess.run(
                [sys.executable, "-c", script, *arguments],
                stdout=pipe,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.stderr == ""
        assert done.returncode in (0, 1, 141)

    def test_an_output_that_knows_no_unicode(self, run, use, make_photo, monkeypatch, make_net):
        """As with LC_ALL set to a Latin locale, or an old Windows console."""
        odd = Classifier(make_net(2), size=(32, 32), class_names=("犬", "猫"), name="odd")
        use(lambda name, weights, device: odd)
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1", write_through=True))
        result = run("explain", make_photo(), "--iterations", 1, "--json")
        assert result.code == 0
        (record,) = strict(raw.getvalue().decode("latin-1"))
        assert record["target"]["name"] in ("犬", "猫")
