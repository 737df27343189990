"""The command line says which masks have not converged, why, and what to do."""

import re

import pytest

from changed_stores import FALLING, NO_GAIN, marked
from command_line import strict
from unsee.experiments.photo_comparison import PhotoComparer
from unsee.masks import outcome


@pytest.fixture
def said(monkeypatch):
    """Sets the verdict of every mask that is learned."""
    return lambda verdict: monkeypatch.setattr(outcome, "verdict", lambda *_: verdict)


def lines(text):
    """The lines that say that a mask has not converged."""
    return [" ".join(line.split()) for line in text.splitlines() if line.lstrip().startswith("not converged")]


class TestStores:
    @pytest.fixture
    def masks(self, run, tiny, make_photo, tmp_path):
        for number in range(12):
            make_photo(f"photos/{number:02}.png", seed=number)
        learn = ("learn", "folder:photos", "--model", "tiny", "--iterations", 2, "--out", "masks")
        assert run(*learn).code == 0
        return tmp_path / "masks", learn

    def test_learn_and_status_name_them_with_advice(self, run, masks):
        folder, learn = masks
        marked(folder, {"03.png": NO_GAIN, "07.png": FALLING})
        for command in (("status", folder), learn):
            found = run(*command)
            assert found.code == 0
            assert "12 of 12, 0 without a map, 2 not converged" in found.err
            assert lines(found.err) == [
                f"not converged 03.png: {NO_GAIN}; explain another class, or try the preset paper or another "
                "perturbation",
                f"not converged 07.png: {FALLING}; allow more iterations, or use the preset paper",
            ]
            assert [row["id"] for row in strict(run(*command, "--json").out)["unconverged"]] == [
                "03.png",
                "07.png",
            ]

    def test_many_are_cut_short(self, run, masks):
        folder, _ = masks
        marked(folder, {f"{number:02}.png": FALLING for number in range(12)})
        found = run("status", folder)
        assert len(lines(found.err)) == 10
        assert "and 2 more: --json lists all" in found.err
        marked(folder)
        found = run("status", folder)
        assert lines(found.err) == []
        assert "0 not converged" in found.err


class TestExplain:
    def test_a_line_for_each_mask(self, explain, make_photo, said):
        said(NO_GAIN)
        photos = make_photo("[a].png"), make_photo("b.png", seed=1)
        found = explain(*photos)
        assert found.code == 0
        assert lines(found.err) == [
            f"not converged: {name}: {NO_GAIN}; explain another class, or try the preset paper or another "
            "perturbation"
            for name in ("[a].png", "b.png")
        ]
        assert "do not rely on this mask" in found.err
        as_json = explain(*photos, "--json")
        assert [record["verdict"] for record in strict(as_json.out)] == [NO_GAIN] * 2
        assert len(lines(as_json.err)) == 2

    def test_none_where_it_has_converged(self, explain, make_photo, said):
        said("converged")
        found = explain(make_photo())
        assert found.code == 0
        assert "converged" not in found.err


class TestCompare:
    @pytest.fixture
    def compare(self, run, tiny, make_photo):
        photo = make_photo()
        return lambda *options: run("compare", photo, "--model", "tiny", "--methods", "mask,center", *options)

    def test_it_is_said_kept_and_said_again(self, compare, said, monkeypatch, tmp_path):
        said(FALLING)
        line = f"not converged: photo.png, mask: {FALLING}; allow more iterations, or use the preset paper"
        found = compare()
        assert (found.code, lines(found.err)) == (0, [line])
        monkeypatch.setattr(PhotoComparer, "run", None)
        again = compare("--json")
        assert lines(again.err) == [line]
        (record,) = strict(again.out)
        assert record["methods"]["mask"]["verdict"] == FALLING
        assert "verdict" not in record["methods"]["center"]

    def test_nothing_is_said_of_a_mask_that_has(self, compare, said):
        said("converged")
        found = compare("--json")
        assert "not converged" not in found.err
        assert strict(found.out)[0]["methods"]["mask"]["verdict"] == "converged"

    def test_a_record_of_an_earlier_version_has_no_verdict(self, compare, said, tmp_path):
        said(FALLING)
        compare()
        (record,) = tmp_path.glob("**/comparison.json")
        text = re.sub(r',\s*"verdict": "[^"]*"', "", record.read_text())
        assert "verdict" not in text
        record.write_text(text)
        found = compare()
        assert (found.code, lines(found.err)) == (0, [])
