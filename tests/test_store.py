"""What a store holds, how it is read, and which other tools open it."""

import json
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pictures import Pictures, network
from unsee.errors import UnseeError
from unsee.masks import explain
from unsee.runs.learn import learn
from unsee.runs.rows import GROUP, PLAIN, SCHEMA, Row, encoded, packed
from unsee.runs.storage import Storage
from unsee.runs.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Learned masks of twenty images, one of them broken."""
    folder = tmp_path_factory.mktemp("stores") / "masks"
    return learn(network(), Pictures(20, broken=[3]), folder, part_size=8, batch_size=4)


class TestRows:
    def test_a_row_has_the_columns_of_the_schema(self):
        assert [field for field in Row.__dataclass_fields__ if field not in SCHEMA.names] == []
        assert [name for name in SCHEMA.names if name not in Row.__dataclass_fields__] == []

    @given(arrays(np.float32, (3, 4), elements=st.floats(-1024.0, 1024.0, width=32)))
    def test_a_packed_map_is_within_half_a_thousandth_of_its_largest_value(self, values):
        flat, scale = packed(values)
        assert flat.dtype == np.float16
        restored = flat.astype(np.float64).reshape(values.shape) * scale
        assert np.abs(restored - values).max() <= 5e-4 * max(float(np.abs(values).max()), 1e-45)

    def test_tiny_and_huge_maps_survive(self):
        for size in (1e-12, 1e12):
            flat, scale = packed(np.full((2, 2), size, np.float32))
            np.testing.assert_allclose(flat.astype(float) * scale, size, rtol=1e-3)

    def test_a_part_is_read_back_as_it_was(self):
        rows = [
            Row(
                id="a",
                asked="top1",
                settings_hash="x",
                mask=np.arange(4, dtype=np.float16),
                mask_shape=(2, 2),
            ),
            Row(id="b", asked="top1", settings_hash="x", error="broken", score=float("nan")),
        ]
        rows.append(Row(id="c", asked="top1", settings_hash="x", objective_terms={"l1": 0.5, "new": 2.0}))
        table = pq.read_table(pa.BufferReader(encoded(rows, {"note": "said"})))
        assert table.schema.equals(SCHEMA)
        assert table["mask"].to_pylist() == [[0.0, 1.0, 2.0, 3.0], None, None]
        assert table["score"].to_pylist() == [None, None, None]
        terms = [{"name": "l1", "value": 0.5}, {"name": "new", "value": 2.0}]
        assert table["objective_terms"].to_pylist() == [None, None, terms]
        assert table.schema.metadata[b"note"] == b"said"

    def test_row_groups_are_small(self, store):
        file = pq.ParquetFile(store.storage.path(store.parts[0]))
        assert max(file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)) <= GROUP


class Watched:
    """A file that records which thread reads how many bytes."""

    def __init__(self, file, reads):
        self.file, self.reads = file, reads

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def read(self, size=-1):
        data = self.file.read(size)
        self.reads.append((threading.get_ident(), len(data)))
        return data


class TestReading:
    def test_the_mask_is_what_explain_learns(self, store):
        data, classifier = Pictures(20), network()
        row = store.find("picture-0005")[0]
        from unsee.datasets.picture import photo_of

        found = explain(classifier, photo_of(data[5]))
        assert row["target"] == list(found.target.indices)
        np.testing.assert_allclose(store.map_of(row), found.mask.numpy(), atol=2e-2)
        np.testing.assert_allclose(row["score"], found.scores.original, atol=1e-5)
        np.testing.assert_allclose(row["perturbed_score"], found.scores.perturbed, atol=1e-2)
        assert row["objective"] == pytest.approx(sum(row["objective_terms"].values()), abs=1e-6)

    def test_saliency_is_high_where_the_mask_deletes(self, store):
        row = store.find("picture-0005")[0]
        np.testing.assert_allclose(store.saliency(row), 1 - store.map_of(row))
        assert store.saliency(row).mean() == pytest.approx(row["area"], abs=1e-3)

    def test_a_broken_image_has_an_error_and_no_map(self, store):
        row = store.find("picture-0003")[0]
        assert row["mask"] is None
        assert row["error"] == "picture-0003 is truncated: fetch it anew"
        with pytest.raises(UnseeError, match="picture-0003 has no map: picture-0003 is truncated"):
            store.map_of(row)

    def test_columns_are_read_without_maps(self, store):
        assert store.table().column_names == PLAIN
        assert store.table(["id", "score"]).column_names == ["id", "score"]
        with pytest.raises(UnseeError, match="no column 'colour'"):
            store.table(["colour"])

    def test_numbers_take_a_small_share_of_a_part(self, store):
        group = pq.ParquetFile(store.storage.path(store.parts[0])).metadata.row_group(0)
        sizes = {
            group.column(k).path_in_schema: group.column(k).total_compressed_size
            for k in range(group.num_columns)
        }
        whole = sum(sizes.values())
        assert sizes["score"] + sizes["id"] < whole / 20

    def test_columns_are_read_in_one_thread_and_without_the_maps_bytes(self, tmp_path, monkeypatch):
        """The store's own reads are watched: threads that outlive an error would end the interpreter."""
        dice = np.random.default_rng(0)
        kept = Store(tmp_path / "s")
        with kept.storage.claimed():
            rows = [
                Row(
                    id=f"{k}",
                    asked="top1",
                    settings_hash="x",
                    score=0.5,
                    mask=dice.random(10_000).astype("f2"),
                )
                for k in range(2 * GROUP)
            ]
            kept.add(0, rows, {})
        reads = []
        opened = kept.storage.fs.open
        monkeypatch.setattr(type(kept.storage.fs), "open", lambda _, *how: Watched(opened(*how), reads))
        store = Store(tmp_path / "s")
        assert len(store) == 2 * GROUP
        assert store.table(["score"])["score"].to_pylist() == [0.5] * 2 * GROUP
        assert store.parts_with_errors() == []
        assert [row["id"] for row in store.rows(["5", "70"], maps=False)] == ["5", "70"]
        assert sum(size for _, size in reads) < store.bytes / 4
        reads.clear()
        assert len(list(store.rows(["5"]))) == 1
        assert store.bytes / 2 - 100_000 < sum(size for _, size in reads) < store.bytes / 2 + 200_000
        assert list(store.checked()) == [None]
        assert {thread for thread, _ in reads} == {threading.get_ident()}

    def test_rows_come_in_the_order_of_the_data_set(self, store):
        assert store.table(["id"])["id"].to_pylist() == [f"picture-{k:04d}" for k in range(20)]
        assert [row["id"] for row in store.rows(maps=False)] == [row["id"] for row in store.rows()]

    def test_what_does_not_exist_is_named(self, store, tmp_path):
        with pytest.raises(UnseeError, match="no image 'missing'"):
            store.find("missing")
        with pytest.raises(UnseeError, match="holds no store: `unsee learn"):
            Store.open(tmp_path / "nowhere")
        (tmp_path / "file").write_text("x")
        with pytest.raises(UnseeError, match="is a file: name a folder"):
            Store.open(tmp_path / "file")

    def test_a_damaged_manifest_is_reported(self, tmp_path):
        for text, says in (
            ("{", "is damaged"),
            ("[]", "does not know"),
            ('{"format": 99}', "does not know"),
            ('{"format": 1}', "is damaged .no settings, settings_hash, part_size"),
            ("[" * 100_000, "is damaged"),
        ):
            (tmp_path / "_manifest.json").write_text(text)
            with pytest.raises(UnseeError, match=says):
                Store.open(tmp_path)


class TestOtherTools:
    def test_pandas(self, store):
        import pandas as pd

        frame = pd.read_parquet(store.storage.root, columns=["id", "score", "mask", "mask_shape"])
        assert len(frame) == 20
        row = frame[frame["id"] == "picture-0005"].iloc[0]
        mask = row["mask"].reshape(row["mask_shape"])
        np.testing.assert_array_equal(mask.astype(np.float32), store.map_of(store.find("picture-0005")[0]))
        terms = pd.read_parquet(store.storage.root, columns=["objective_terms"])["objective_terms"]
        found = {term["name"]: term["value"] for term in terms[5]}
        assert found == store.find("picture-0005")[0]["objective_terms"]
        assert terms[3] is None

    def test_duckdb(self, store):
        import duckdb

        wanted = "count(*), count(error), avg(suppression), max(len(mask))"
        counted = duckdb.sql(f"select {wanted} from '{store.storage.root}/*.parquet'").fetchall()[0]
        table = store.table(["suppression"])["suppression"].to_pylist()
        known = [value for value in table if value is not None]
        assert counted[0] == 20
        assert counted[1] == 1
        assert counted[2] == pytest.approx(sum(known) / len(known))
        assert counted[3] == 32 * 32
        l1 = duckdb.sql(
            "select map_from_entries(objective_terms)['l1'] "
            f"from '{store.storage.root}/*.parquet' where id = 'picture-0005'"
        ).fetchall()
        assert l1 == [(store.find("picture-0005")[0]["objective_terms"]["l1"],)]

    def test_hugging_face_datasets(self, store, tmp_path):
        import datasets

        found = datasets.load_dataset(
            "parquet", data_files=f"{store.storage.root}/*.parquet", split="train", cache_dir=str(tmp_path)
        )
        assert found.num_rows == 20
        assert len(found[5]["mask"]) == 32 * 32
        terms = {term["name"]: term["value"] for term in found[5]["objective_terms"]}
        assert terms == store.find("picture-0005")[0]["objective_terms"]
        assert found[3]["objective_terms"] is None

    def test_a_reader_during_a_write_sees_only_whole_parts(self, store, tmp_path):
        import pandas as pd

        place = Storage.at(tmp_path / "s")
        with place.claimed():
            Store(tmp_path / "s").add(0, [Row(id="a", asked="top1", settings_hash="x")], {})
            (tmp_path / "s" / ".aside-part-1.parquet").write_bytes(b"PAR1 half")
            assert len(pd.read_parquet(tmp_path / "s")) == 1
            assert len(Store(tmp_path / "s")) == 1


class TestPlaces:
    def test_any_address_of_fsspec(self):
        store = learn(network(), Pictures(6), "memory://bucket/masks", part_size=4, batch_size=4)
        assert len(store) == 6
        again = []
        learn(network(), Pictures(6), "memory://bucket/masks", progress=again.append)
        assert [event.there for event in again if hasattr(event, "there")] == [6]
        assert len(list(store.rows())) == 6

    def test_an_unknown_kind_of_address(self):
        with pytest.raises(UnseeError, match="cannot be reached as a folder or an address"):
            Storage.at("nothing-such://bucket/x")

    def test_a_write_that_fails_leaves_what_was_there(self, tmp_path, monkeypatch):
        place = Storage.at(tmp_path)
        place.write("a", b"first")

        def full(handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("unsee.files.os.fsync", full)
        with pytest.raises(UnseeError, match=r"cannot be written to \(No space left on device\)"):
            place.write("a", b"second")
        assert place.read("a") == b"first"
        assert place.names() == ["a"]

    def test_unfinished_files_of_a_killed_run_are_removed(self, tmp_path):
        (tmp_path / ".aside-part-1.parquet").write_bytes(b"half")
        with Storage.at(tmp_path).claimed():
            assert Storage.at(tmp_path).names() == ["_lock"]

    def test_the_manifest_has_every_setting_that_decides_the_rows(self, store):
        manifest = json.loads(store.storage.read("_manifest.json"))
        assert manifest["settings"]["mask"]["objective"]["penalties"][0]["weight"] == 1e-4
        assert manifest["settings"]["model"] == "tiny"
        assert manifest["starts"][0]["versions"]["torch"]
        assert manifest["rows_wanted"] == 20
        hashes = set(store.table(["settings_hash"])["settings_hash"].to_pylist())
        assert hashes == {manifest["settings_hash"]}
