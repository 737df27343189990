"""`unsee explain`: what it writes, prints and refuses."""

from pathlib import Path

import numpy as np
import pytest

from command_line import FILES, refused, strict


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

    def test_batches(self, explain, batches, make_photo):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(5)]
        assert explain(*photos, "--batch-size", 2).code == 0
        assert batches == [2, 2, 1]

    def test_a_bad_photo_among_good_ones(self, explain, make_photo, tmp_path):
        (tmp_path / "text.png").write_text("no picture")
        good = [make_photo("a.png"), make_photo("b.png", seed=1)]
        result = explain(good[0], "missing.png", "text.png", good[1], "--json")
        assert result.code == 2
        assert [Path(record["photo"]).name for record in strict(result.out)] == ["a.png", "b.png"]
        assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"a", "b"}
        messages = [line for line in result.err.splitlines() if line.startswith("unsee: ")]
        assert len(messages) == 2
        assert "missing.png" in messages[0]
        assert "text.png" in messages[1]
        assert "Traceback" not in result.err

    def test_only_bad_photos(self, explain, batches, tmp_path):
        result = explain("missing.png", "--json")
        assert (result.code, strict(result.out)) == (2, [])
        assert not (tmp_path / "explanations").exists()
        assert batches == []

    @pytest.mark.parametrize(
        ("options", "message"),
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
    def test_what_the_user_can_fix_is_one_line(self, explain, make_photo, tmp_path, options, message):
        refused(explain(make_photo(), *options), message)
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
    def test_malformed_command_lines(self, run, tiny, options):
        result = run("explain", *options)
        assert (result.code, result.out) == (2, "")
        assert "Traceback" not in result.err
        assert tiny == []

    def test_an_out_that_cannot_be_written_to(self, explain, make_photo, tmp_path):
        (tmp_path / "taken").write_text("a file")
        refused(explain(make_photo(), "--out", "taken"), "taken")
        assert (tmp_path / "taken").read_text() == "a file"


class TestFast:
    def test_it_is_the_default_and_converges_by_itself(self, run, tiny, make_photo, tmp_path):
        result = run("explain", "--model", "tiny", make_photo(), "--json")
        (record,) = strict(result.out)
        assert record["preset"] == "fast"
        assert record["precision"] in ("float32", "bfloat16")
        assert 20 < record["iterations"] == record["evaluations"] <= 40
        assert record["settings"]["optimiser"]["type"] == "Bundle"

    def test_an_unknown_precision_is_refused(self, explain, make_photo):
        refused(explain(make_photo(), "--precision", "half"), "half", "float32, bfloat16")

    def test_precision_is_on_the_record(self, explain, make_photo):
        for name in ("float32", "bfloat16"):
            (record,) = strict(explain(make_photo(), "--precision", name, "--out", name, "--json").out)
            assert record["precision"] == name
        assert (
            "(precision: bfloat16 → float32)"
            in explain(make_photo(), "--precision", "float32", "--out", "bfloat16").err
        )

    def test_batches_of_any_size_give_the_same_masks(self, explain, make_photo, tmp_path):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(5)]
        for size in (1, 2, 5):
            assert explain(*photos, "--batch-size", size, "--out", f"by-{size}").code == 0
        for name in "01234":
            one, *others = (np.load(tmp_path / f"by-{size}" / name / "mask.npy") for size in (1, 2, 5))
            assert all(np.allclose(one, other, atol=1e-3) for other in others)
