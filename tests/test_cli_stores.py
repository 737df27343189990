"""`unsee status`, `show` and `export` as they are typed."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import unsee
from pictures import network
from unsee.errors import UnseeError
from unsee.runs.export import export
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


def flipped(data, part, column):
    """The bytes of a part with the last bit of a column flipped."""
    group = pq.ParquetFile(part).metadata.row_group(0)
    chunks = (group.column(k) for k in range(group.num_columns))
    chunk = next(c for c in chunks if c.path_in_schema.split(".")[0] == column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    changed = bytearray(data)
    changed[start + chunk.total_compressed_size - 1] ^= 1
    return changed


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
            result = run("status", masks, "--check", "--json")
            assert result.code == 2
            assert json.loads(result.out)["damaged"][0].startswith(part.name)
            result = run("status", masks)
            assert result.code == (0 if column == "mask" else 2)
            assert (f"{part.name} is damaged" in result.err) == (column != "mask")
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
        for name, says in (("missing", "no image 'missing'"), ("broken.png", "broken.png has no map")):
            found = run("show", masks, "--id", name, "--out", "other.png")
            assert found.code == 2
            assert says in found.err
        assert run("show", masks, "--id", "0.png", "--out", "nowhere/x.png").code == 2
        assert "must end in .png" in run("show", masks, "--out", "x.jpg").err
        assert "similar ids: '0.png'" in run("show", masks, "--id", "0.jpg", "--out", "x.png").err
        assert run("show", masks, "--out", "all.png").code == 0
        assert unsee.show_store(str(masks), ["0.png"], tmp_path / "one.png") == tmp_path / "one.png"
        with pytest.raises(UnseeError, match=r"one\.png exists: force=True \(--force\)"):
            unsee.show_store(unsee.Store.open(masks), out=tmp_path / "one.png")

    def test_a_photo_that_has_changed_or_is_gone_is_not_shown(self, run, masks, make_photo, tmp_path):
        make_photo("photos/0.png", seed=9)
        found = run("show", masks, "--id", "0.png")
        assert found.code == 2
        assert "its file has changed" in found.err
        (tmp_path / "photos" / "0.png").unlink()
        assert "photos: bring it back" in run("show", masks, "--id", "0.png").err

    @pytest.mark.parametrize("data", [{"name": "folder:gone"}, {"name": 3}, {}])
    def test_without_its_data_set_a_photo_of_another_size_is_not_shown(
        self, data, run, masks, make_photo, tmp_path
    ):
        make_photo("photos/0.png", height=30, seed=9)
        manifest = json.loads((tmp_path / masks / "_manifest.json").read_text())
        manifest["settings"]["data"] = data
        (tmp_path / masks / "_manifest.json").write_text(json.dumps(manifest))
        assert run("show", masks, "--id", "1.png").code == 0
        found = run("show", masks, "--id", "0.png", "--out", "other.png")
        assert found.code == 2
        assert "0.png is not the image that was explained: its file has changed" in found.err

    def test_other_overlays_are_written_if_a_photo_is_gone(self, run, masks, make_photo, tmp_path):
        (tmp_path / "photos" / "0.png").unlink()
        make_photo("photos/1.png", seed=9)
        found = run("export", masks, "--format", "overlay", "--out", "over")
        assert found.code == 2
        assert "photo of 0.png cannot be found" in found.err
        assert "1.png is not the image that was explained" in found.err
        assert "1 row in over; 1 without a map left out; 2 whose photos are gone or have ch" in found.err
        assert [path.name for path in tmp_path.glob("over/**/*.png")] == ["2.png"]

    def test_a_run_resumed_from_another_folder_reads_the_same_files(
        self, run, masks, make_photo, tmp_path, monkeypatch
    ):
        photo = Store.open(tmp_path / masks).find("0.png")[0]["photo"]
        assert photo == str(tmp_path / "photos" / "0.png")
        make_photo("photos/0.png", seed=9)
        make_photo("elsewhere/photos/1.png", seed=8)
        monkeypatch.chdir(tmp_path / "elsewhere")
        result = run("learn", "folder:../photos", "--out", f"../{masks}")
        assert result.code == 0
        assert "is out of date (0.png has changed since)" in result.err

    def test_damage_beyond_the_limit_is_reported(self, run, make_photo, tmp_path):
        for number in range(3):
            make_photo(f"photos/{number}.png", seed=number)
        settings = ("learn", "folder:photos", "--out", "m", "--part-size", "1", "--batch-size", "1")
        assert run(*settings).code == 0
        for part in (tmp_path / "m").glob("part-*"):
            part.write_bytes(b"PAR1 half")
        result = run(*settings, "--limit", "1")
        assert result.err.count("its images are done again") == 1
        assert result.err.count("left as it is, beyond --limit") == 2

    def test_a_photo_that_has_changed_is_done_again(self, run, masks, make_photo, tmp_path):
        before = {row["id"]: row["file_hash"] for row in Store.open(tmp_path / masks).rows(maps=False)}
        (tmp_path / "photos" / "1.png").touch()
        assert "out of date" not in run("learn", "folder:photos", "--out", masks).err
        make_photo("photos/0.png", seed=9)
        result = run("learn", "folder:photos", "--out", masks)
        assert result.code == 0
        assert "is out of date (0.png has changed since): its images are done again" in result.err
        after = {row["id"]: row["file_hash"] for row in Store.open(tmp_path / masks).rows(maps=False)}
        assert {name for name in before if before[name] != after[name]} == {"0.png"}
        assert run("show", masks, "--id", "0.png").code == 0

    def test_a_stopped_export_leaves_no_half_table(self, masks, tmp_path):
        def stop(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            export(Store.open(masks), tmp_path / "table", "csv", progress=stop)
        assert list((tmp_path / "table").iterdir()) == []

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

    def test_photos_with_the_same_stem_keep_their_suffixes(self, run, make_photo, tmp_path):
        for name in ("a.png", "a.jpg", "b.png"):
            make_photo(f"photos/{name}")
        assert run("learn", "folder:photos", "--out", "m", "--method", "gradient").code == 0
        assert run("export", "m", "--format", "npy", "--out", "maps").code == 0
        assert {p.name for p in (tmp_path / "maps").iterdir()} == {"a.png.npy", "a.jpg.npy", "b.npy"}

    def test_a_flipped_bit_and_a_truncated_part_are_reported(self, run, make_photo, tmp_path):
        for number in range(4):
            make_photo(f"photos/{number}.png", seed=number)
        assert run("learn", "folder:photos", "--out", "m", "--part-size", "2", "--batch-size", "2").code == 0
        first, second = sorted((tmp_path / "m").glob("part-*"))
        whole = first.read_bytes()
        found = bytearray(whole)
        found[len(found) // 3] ^= 1
        first.write_bytes(found)
        for command in (["show", "m"], ["export", "m", "--format", "npy", "--out", "maps"]):
            result = run(*command)
            assert result.code == 2
            assert f"m: {first.name} is damaged" in result.err
        assert run("status", "m", "--check").code == 2
        first.write_bytes(whole)
        second.write_bytes(second.read_bytes()[:200])
        result = run("export", "m", "--format", "npy", "--out", "some")
        assert result.code == 2
        assert f"{second.name} is damaged" in result.err
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
