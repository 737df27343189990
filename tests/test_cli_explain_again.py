"""`unsee explain` called again: finished photos are kept, others refused; Ctrl-C loses little."""

from pathlib import Path

import pytest

from command_line import FILES, contents, strict
from unsee.masks import photos as mask_photos


class TestAgain:
    def test_what_is_there_is_not_learned_again(self, explain, batches, make_photo, tmp_path):
        photos = [make_photo("a.png"), make_photo("b.png", seed=1)]
        first = explain(*photos, "--json")
        before = contents(tmp_path / "explanations")
        batches.clear()
        again = explain(*photos, "--json")
        assert batches == []
        assert (again.code, again.out) == (0, first.out)
        assert contents(tmp_path / "explanations") == before

    @pytest.mark.parametrize(
        ("options", "difference"),
        [
            (("--seed", "1"), "(seed: 0 → 1)"),
            (("--target", "0"), "(target: predicted → 0)"),
            (("--model", "tiny3"), "(model: tiny → tiny3)"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_another_explanation_is_not_replaced(
        self, explain, batches, make_photo, tmp_path, options, difference
    ):
        photo = make_photo()
        explain(photo)
        before = contents(tmp_path / "explanations")
        batches.clear()
        result = explain(photo, *options, "--json")
        assert (result.code, strict(result.out)) == (2, [])
        (line,) = [line for line in result.err.splitlines() if line.startswith("unsee: ")]
        assert difference in line
        assert "--force" in line
        assert batches == []
        assert contents(tmp_path / "explanations") == before

    def test_force_replaces(self, explain, batches, make_photo, tmp_path):
        photo = make_photo()
        explain(photo)
        before = contents(tmp_path / "explanations" / "photo")
        (record,) = strict(explain(photo, "--game", "preservation", "--force", "--json").out)
        after = contents(tmp_path / "explanations" / "photo")
        assert batches == [1, 1]
        assert record["game"] == "preservation"
        assert after.keys() == before.keys()
        assert after[Path("mask.npy")] != before[Path("mask.npy")]

    def test_a_damaged_record_is_not_replaced(self, explain, make_photo, tmp_path):
        photo, record = make_photo(), tmp_path / "explanations" / "photo" / "explanation.json"
        record.parent.mkdir(parents=True)
        record.write_text("{")
        result = explain(photo, "--json")
        assert (result.code, strict(result.out)) == (2, [])
        assert "--force" in result.err
        assert record.read_text() == "{"
        assert explain(photo, "--force").code == 0
        assert strict(record.read_text())["model"] == "tiny"


class TestStopped:
    def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(
        self, explain, batches, make_photo, tmp_path, monkeypatch
    ):
        photos = [make_photo(f"{i}.png", seed=i) for i in range(3)]
        arguments = (*photos, "--batch-size", 2, "--iterations", 3)
        learn_each = mask_photos.learn_each

        def stopped(*rest):
            def stop(step):
                if len(batches) == 2 and step.iteration == 2:
                    raise KeyboardInterrupt

            return learn_each(*rest[:-2], stop, rest[-1])

        with monkeypatch.context() as patched:
            patched.setattr(mask_photos, "learn_each", stopped)
            result = explain(*arguments)
        assert (result.code, result.out, batches) == (130, "", [2, 1])
        assert "Traceback" not in result.err
        assert "the same command again goes on" in result.err
        assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"0", "1"}
        for name in ("0", "1"):
            assert {path.name for path in (tmp_path / "explanations" / name).iterdir()} == FILES
        assert explain(*arguments).code == 0
        assert batches == [2, 1, 1]

    def test_a_second_batch_that_fails_leaves_the_first(self, explain, batches, make_photo, tmp_path):
        def failing():
            if batches:
                raise RuntimeError("out of\nmemory")

        batches.before = failing
        photos = [make_photo(f"{i}.png", seed=i) for i in range(2)]
        result = explain(*photos, "--batch-size", 1)
        assert (result.code, result.out) == (1, "")
        assert "a fault in unsee: RuntimeError: out of memory" in result.err
        assert "Traceback" not in result.err
        assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"0"}
