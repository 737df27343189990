"""Masks that have not converged: begun again by experiments, left out, counted; what stores say of them."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import unsee
from changed_stores import FALLING, NO_GAIN, marked, without_attempts
from experiment_data import drawn, small_network
from pictures import BRIEF, Pictures, network
from unsee.experiments.experiment import MaskCount, Summary, Table
from unsee.experiments.maps import insistent
from unsee.experiments.reproduction_page import Chapter, reproduction_page
from unsee.experiments.tables import table_files
from unsee.masks import PRESETS, adjusted
from unsee.masks.settings import Retry
from unsee.metrics import Estimate
from unsee.runs.learn import learn
from unsee.runs.rows import PLAIN, SCHEMA
from unsee.runs.store import Store
from unsee.verdicts import CONVERGED, advice

LEFT_OUT = "images with a mask that did not converge"
NO_MAP = "images without a map of every method"
IDS = [drawn().id(number) for number in range(6)]


@pytest.fixture
def masks(tmp_path):
    """A folder of masks of six scenes."""
    learn(small_network(), drawn(), tmp_path / "masks", preset=BRIEF, target="label", limit=6)
    return tmp_path / "masks"


@pytest.fixture
def measured(tmp_path):
    """Runs an experiment with the centre and these masks."""

    def call(masks, name="localisation", limit=6):
        return unsee.run_experiment(
            *(name, small_network(), drawn()),
            methods=["center"],
            masks=[masks],
            limit=limit,
            out=tmp_path / "out",
        )

    return call


class TestExperiments:
    def test_images_are_left_out_and_masks_counted(self, masks, measured):
        marked(masks, {IDS[1]: FALLING, IDS[3]: NO_GAIN}, {IDS[1]: 3, IDS[4]: 2}, {IDS[5]: "broken"})
        found = measured(masks)
        assert list(dict.fromkeys(record["id"] for record in found.records)) == [IDS[0], IDS[2], IDS[4]]
        assert found.summary.masks == {"mask": MaskCount(learned=5, again=2, left_out=2)}
        assert found.summary.left_out == {LEFT_OUT: 2, NO_MAP: 1}
        few = measured(masks, limit=2).summary
        assert (few.masks["mask"], few.left_out) == (MaskCount(2, 1, 1), {LEFT_OUT: 1})

    def test_every_table_says_so(self, masks, measured):
        marked(masks, {IDS[1]: FALLING}, {IDS[1]: 2})
        found = measured(masks)
        text = " ".join((found.folder / "table.txt").read_text(encoding="utf-8").split())
        assert len(found.summary.tables) == 2
        assert text.count("mask: 6 learned, 1 begun again, 1 left out: not converged") == 2
        assert text.count(f"1 left out: {LEFT_OUT}") == 1
        kept = json.loads((found.folder / "table.json").read_text(encoding="utf-8"))
        assert kept["masks"] == {"mask": {"learned": 6, "again": 1, "left_out": 1}}
        assert kept["left_out"] == {LEFT_OUT: 1}

    def test_an_image_is_measured_again_once_its_mask_has_converged(self, masks, measured):
        marked(masks, {IDS[1]: FALLING})
        assert IDS[1] not in {record["id"] for record in measured(masks).records}
        marked(masks)
        again = measured(masks)
        assert {record["id"] for record in again.records} == set(IDS)
        assert again.summary.masks == {"mask": MaskCount(6, 0, 0)}
        assert not again.summary.left_out

    def test_where_none_has_converged_it_is_refused(self, masks, measured):
        marked(masks, dict.fromkeys(IDS, FALLING))
        with pytest.raises(unsee.UnseeError, match="no image is suitable for localisation"):
            measured(masks)

    def test_other_methods_have_no_masks_to_count(self, tmp_path):
        options = {"methods": ["center"], "limit": 2, "out": tmp_path / "out"}
        assert not unsee.run_experiment("pointing", small_network(), drawn(), **options).summary.masks

    def test_masks_are_begun_again_as_the_paper_does(self, tmp_path, monkeypatch):
        paper = adjusted(PRESETS["paper"], iterations=9)
        monkeypatch.setitem(PRESETS, "fast", adjusted(PRESETS["fast"], iterations=2))
        monkeypatch.setitem(PRESETS, "paper", paper)
        options = {"methods": ["mask"], "limit": 6, "target": "predicted"}
        found = unsee.run_experiment(
            "minimality", small_network(), drawn(), out=tmp_path / "out", maps=tmp_path, **options
        )
        store = Store.open(tmp_path / "mask-predicted")
        last = json.loads(json.dumps(unsee.records.described(insistent("fast"))))["retries"][-1]
        assert store.manifest["settings"]["mask"]["retries"][-1] == last
        rows = list(store.rows())
        again, gone = (
            sum(row["attempts"] > 1 for row in rows),
            sum(row["verdict"] != CONVERGED for row in rows),
        )
        assert 0 < gone < again
        assert found.summary.masks == {"mask": MaskCount(6, again, gone)}
        assert found.summary.left_out.get(LEFT_OUT, 0) == gone


def test_experiments_insist_on_every_preset():
    paper = PRESETS["paper"]
    last = Retry(paper.start, paper.optimiser, unconverged=True)
    assert insistent("fast").retries[-1] == insistent(BRIEF).retries[-1] == last
    assert insistent("fast").optimiser == PRESETS["fast"].optimiser
    assert insistent("paper") == paper


def test_the_page_says_how_masks_went():
    table = Table("areas", {"mask": {"80 %": Estimate.exactly(1)}})
    summary = Summary((table,), masks={"mask": MaskCount(9, 4, 3), "mask_top5": MaskCount(9, 0, 0)})
    text = reproduction_page([Chapter("one", "text", "unsee one", summary)], "title", "lead", "footer")
    assert "masks, mask" in text
    assert "9 learned, 4 begun again, 3 left out: not converged" in text
    assert "9 learned, 0 begun again, 0 left out: not converged" in text
    written = " ".join(table_files(summary)["table.txt"].decode().split())
    assert "mask_top5: 9 learned, 0 begun again" in written


class TestStores:
    @pytest.fixture
    def folder(self, tmp_path):
        """A folder of masks of four pictures in two parts."""
        options = {"part_size": 2, "batch_size": 2, "preset": BRIEF}
        learn(network(), Pictures(6), tmp_path / "s", limit=4, **options)
        return tmp_path / "s"

    def test_the_summary_has_ids_and_verdicts(self, folder):
        store = marked(folder, {"picture-0002": NO_GAIN}, errors={"picture-0001": "broken"})
        assert store.summary()["unconverged"] == [{"id": "picture-0002", "verdict": NO_GAIN}]
        assert store.summary(check=True)["errors"] == 1
        assert marked(folder).summary()["unconverged"] == []

    def test_other_methods_have_none(self, tmp_path):
        store = learn(network(), Pictures(2), tmp_path / "s", method="gradient")
        assert store.summary()["unconverged"] == []
        assert store.table(["attempts"])["attempts"].to_pylist() == [None, None]

    def test_attempts_are_kept(self, folder):
        assert all(count >= 1 for count in Store.open(folder).table(["attempts"])["attempts"].to_pylist())
        assert marked(folder, attempts={"picture-0003": 3}).find("picture-0003")[0]["attempts"] == 3

    def test_a_store_without_attempts_is_read_and_continued(self, folder):
        before = {row["id"]: row["mask"] for row in Store.open(folder).rows()}
        store = without_attempts(folder)
        assert "attempts" not in pq.read_schema(next(folder.glob("part-*"))).names
        assert store.table().column_names == PLAIN
        assert store.table(["attempts", "id"]).schema.equals(
            SCHEMA.empty_table().select(["attempts", "id"]).schema
        )
        assert store.table(["id"]).column_names == ["id"]
        for column in ("attempts", "token_check"):
            assert store.dataset().to_table([column])[column].null_count == 4
        assert [damage for damage in store.checked() if damage] == []
        assert store.summary(check=True)["rows"] == 4
        for row in store.rows():
            assert row["attempts"] is None
            assert row["token_check"] is None
            np.testing.assert_array_equal(row["mask"], before[row["id"]])
        more = learn(network(), Pictures(6), folder, part_size=2, batch_size=2, preset=BRIEF)
        attempts = {row["id"]: row["attempts"] for row in more.rows(maps=False)}
        assert [attempts[f"picture-000{number}"] is None for number in range(6)] == [True] * 4 + [False] * 2

    def test_an_experiment_counts_such_masks_as_begun_once(self, masks, measured):
        marked(masks)
        without_attempts(masks)
        assert measured(masks).summary.masks == {"mask": MaskCount(6, 0, 0)}


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (NO_GAIN, "explain another class, or try the preset paper or another perturbation"),
        ("not finite at iteration 3: the mask is the best one before", "use precision float32"),
        (FALLING, "allow more iterations, or use the preset paper"),
    ],
)
def test_advice(verdict, says):
    assert advice(verdict).startswith(says)
