"""The command line and data sets for networks of other channels than RGB."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import unsee
from channel_nets import SIZE, SPAN, Undone, band_net, banded, bands, npy, tiff
from command_line import FILES, contents, refused, strict
from unsee.classifier import Classifier
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.images import read_photo
from unsee.masks import adjusted
from unsee.runs.export import export
from unsee.runs.render import render


@pytest.fixture
def seven(run, monkeypatch):
    """Runs a command with a network of seven channels; figures are drawn as they are."""
    monkeypatch.setattr("unsee.cli.parsing.load", lambda *_: banded(7))
    monkeypatch.setattr("unsee.models.saved.load", lambda *_, **__: banded(7))
    return run


class TestExplain:
    def test_npy_and_pages_give_the_same(self, seven, tmp_path):
        npy(tmp_path, bands(7)), tiff(tmp_path, np.moveaxis(bands(7), -1, 0))
        result = seven("explain", "scan.npy", "stack.tiff", "-n", 4, "-t", 1, "--json")
        assert result.code == 0, result.err
        first, second = strict(result.out)
        assert first["scores"] == second["scores"]
        assert first["channels"] == 7
        assert second["photo_notes"] == ["7 pages as channels"]
        folder = tmp_path / "explanations" / "scan"
        assert {path.name for path in folder.iterdir()} == FILES | {"perturbed.npy"}
        edited = np.load(folder / "perturbed.npy")
        with Image.open(folder / "perturbed.png") as image:
            drawn = np.asarray(image).astype(int)
        assert np.abs(drawn - 255 * edited.mean(axis=0)[..., None]).max() <= 0.51
        kept = contents(tmp_path / "explanations")
        assert seven("explain", "scan.npy", "stack.tiff", "-n", 4, "-t", 1).code == 0
        assert contents(tmp_path / "explanations") == kept
        refused(seven("interrogate", "scan.npy", "--from", folder, "--box", "0,0,90,9"), "leaves the photo")
        assert seven("interrogate", "scan.npy", "--box", "8,6,20,16").code == 0

    def test_three_bands_are_drawn_and_recorded(self, seven, tmp_path):
        npy(tmp_path, bands(7))
        command = ("explain", "scan.npy", "-n", 4, "-t", 1)
        result = seven(*command, "--bands", "4,3,2", "--json")
        (record,) = strict(result.out)
        folder = tmp_path / "explanations" / "scan"
        assert record["bands"] == [4, 3, 2]
        assert record == strict((folder / "explanation.json").read_text())
        expected = 255 * np.load(folder / "perturbed.npy")[[4, 3, 2]]
        with Image.open(folder / "perturbed.png") as image:
            assert np.abs(np.moveaxis(np.asarray(image), -1, 0) - expected).max() <= 0.51
        refused(seven(*command, "--bands", "1,1,0"), "another explanation", "bands")
        assert seven(*command, "--bands", "4,3,2").code == 0
        assert Explanation.load(folder).perturbed.shape == (7, 30, 36)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("4,3", "must be three whole numbers, as in --bands 4,3,2"),
            ("a,b,c", "must be three whole numbers"),
            ("4,3,7", "bands are three channels, each of 0 to 6,"),
            ("4,3,-1", "bands are three channels, each of 0 to 6,"),
        ],
    )
    def test_other_bands_are_refused(self, seven, tmp_path, text, says):
        npy(tmp_path, bands(7))
        for command in ("explain", "compare"):
            refused(seven(command, "scan.npy", "--bands", text), says)

    def test_other_channels_are_refused_and_the_others_explained(self, seven, make_photo, tmp_path):
        npy(tmp_path, bands(7)), npy(tmp_path, bands(3), "three.npy")
        result = seven("explain", "three.npy", make_photo(), "scan.npy", "-n", 2)
        assert result.code == 2
        assert "the network takes 7 channels; three.npy is (30, 36, 3) and has 3" in result.err
        assert "photo.png has 3: give an array" in result.err
        assert [path.name for path in (tmp_path / "explanations").iterdir()] == ["scan"]

    def test_doubts_are_printed(self, run, monkeypatch, tmp_path):
        ranged = Classifier(Undone(band_net(1)), size=SIZE, channels=1, value_range=SPAN, name="x-ray")
        monkeypatch.setattr("unsee.cli.parsing.load", lambda *_: ranged)
        npy(tmp_path, bands(1)[..., 0] / 255), npy(tmp_path, bands(1)[..., 0].astype(np.uint16), "dark.npy")
        tiff(tmp_path, [bands(1)[..., 0]] * 5)
        result = run("explain", "scan.npy", "dark.npy", "stack.tiff", "-n", 2)
        assert "scan.npy: taken as values in [0,1], not as -1024 to 1024" in result.err
        assert "dark.npy: brightest value is 0.4 % of white" in result.err
        record = strict((tmp_path / "explanations" / "scan" / "explanation.json").read_text())
        assert record["value_range"] == [-1024.0, 1024.0]
        assert "stack.tiff: first of 5 pages" in result.err
        record = strict((tmp_path / "explanations" / "stack" / "explanation.json").read_text())
        assert record["photo_notes"] == ["first of 5 pages"]

    def test_other_commands_print_and_record_them_too(self, run, use, classifier, tmp_path):
        use(lambda *_, **__: classifier)
        tiff(tmp_path, [bands(1)[..., 0]] * 5)
        seen = run("interrogate", "stack.tiff", "--box", "0,0,9,9", "--json")
        compared = run("compare", "stack.tiff", "--methods", "center", "--json")
        for result, record in ((seen, strict(seen.out)), (compared, strict(compared.out)[0])):
            assert "read: stack.tiff: first of 5 pages" in result.err
            assert record["photo_notes"] == ["first of 5 pages", "greyscale"]

    def test_the_same_folder_for_another_value_range_is_refused(self, run, monkeypatch, tmp_path):
        npy(tmp_path, bands(1)[..., 0] / 255)
        for classifier in (
            banded(1),
            Classifier(band_net(1), SIZE, channels=1, name="bands", value_range=SPAN),
        ):
            monkeypatch.setattr("unsee.cli.parsing.load", lambda *_, one=classifier: one)
            result = run("explain", "scan.npy", "-n", 2)
        refused(result, "another explanation", "value_range")

    def test_compare_draws_the_bands(self, seven, tmp_path):
        npy(tmp_path, bands(7))
        seen = []
        for more in ((), ("--bands", "6,5,0")):
            result = seven("compare", "scan.npy", "-t", 1, "--methods", "gradient,center", "--json", *more)
            assert result.code == 0, result.err
            seen.append((strict(result.out)[0], (tmp_path / "comparison" / "compare.png").read_bytes()))
        assert (seen[0][0].get("bands"), seen[1][0]["bands"]) == (None, [6, 5, 0])
        assert seen[0][1] != seen[1][1]
        assert seen[0][0]["methods"] == seen[1][0]["methods"], "the maps are not computed again"


def folder_of(tmp_path, write, count=3):
    (tmp_path / "scans").mkdir()
    for seed in range(count):
        write(tmp_path / "scans", seed)
    return unsee.open_dataset(f"folder:{tmp_path / 'scans'}")


WRITERS = {
    "npy": lambda folder, seed: npy(folder, bands(7, seed=seed), f"{seed}.npy"),
    "tiff": lambda folder, seed: tiff(folder, np.moveaxis(bands(7, seed=seed), -1, 0), f"{seed}.tiff"),
}

OTHERS = {
    "npy": lambda folder: npy(folder, bands(3), "other.npy"),
    "tiff": lambda folder: tiff(folder, [bands(3)], "other.tiff"),
}


class TestDataSets:
    @pytest.mark.parametrize("suffix", ["npy", "tiff"])
    def test_learn_show_and_export(self, tmp_path, suffix):
        folder_of(tmp_path, WRITERS[suffix])
        OTHERS[suffix](tmp_path / "scans")
        data = unsee.open_dataset(f"folder:{tmp_path / 'scans'}")
        brief = adjusted(unsee.PRESETS["paper"], iterations=4)
        store = unsee.learn(banded(7), data, tmp_path / "masks", target="1", preset=brief)
        rows = {row["id"]: row for row in store.rows()}
        assert len(rows) == 4
        assert "takes 7 channels" in rows[f"other.{suffix}"]["error"]
        expected = unsee.explain(
            banded(7), tmp_path / "scans" / f"1.{suffix}", 1, preset="paper", iterations=4
        )
        row = rows[f"1.{suffix}"]
        assert row["score"] == pytest.approx(expected.scores.original)
        assert row["perturbed_score"] == pytest.approx(expected.scores.perturbed, rel=1e-3)
        assert row["photo_size"] == [30, 36]
        (one,) = render(store, [f"1.{suffix}"])
        assert torch.equal(one.image, expected.photo.pixels)
        torch.testing.assert_close(one.edited, expected.perturbed, rtol=0, atol=0.01)
        drawn = export(store, tmp_path / "overlays", "overlay")
        assert (drawn.written, drawn.without_map, drawn.problems) == (3, 1, ())
        with Image.open(tmp_path / "overlays" / "1.png") as image:
            assert (image.size, image.mode) == ((36, 30), "RGB")

    def test_maps_of_other_methods(self, tmp_path):
        data = folder_of(tmp_path, WRITERS["npy"], 2)
        store = unsee.learn(banded(7), data, tmp_path / "maps", method="gradient", target="1")
        (row,) = store.find("1.npy")
        images = torch.from_numpy(bands(7, seed=1)).permute(2, 0, 1)[None] / 255
        shrunk = unsee.Squash().apply(images[0], SIZE)[None]
        expected = unsee.METHODS["gradient"](banded(7), shrunk, [1])[0]
        assert np.allclose(
            store.saliency(row), expected.numpy(), rtol=1e-2, atol=1e-3 * float(expected.max())
        )

    def test_a_value_range_reaches_the_reader(self, tmp_path):
        ranged = Classifier(Undone(band_net(1)), size=SIZE, channels=1, value_range=SPAN, name="x-ray")
        plain = 7.9 * bands(1)[..., 0] - 1000
        data = folder_of(tmp_path, lambda folder, seed: npy(folder, plain, f"{seed}.npy"), 1)
        store = unsee.learn(ranged, data, tmp_path / "maps", method="gradient", target="1")
        assert store.manifest["settings"]["value_range"] == list(SPAN)
        (one,) = render(store)
        assert torch.equal(one.image, read_photo(plain, channels=1, value_range=SPAN).pixels)

    def test_grey_networks_read_rgb_data_sets(self, tmp_path):
        class Own:
            classes = ()
            described = {"name": "own"}  # noqa: RUF012

            def __len__(self):
                return 2

            def __getitem__(self, index):
                return Sample(self.id(index), bands(3, seed=index), None)

            def id(self, index):
                return str(index)

            def labels(self, index):
                return ()

        store = unsee.learn(banded(1), Own(), tmp_path / "maps", method="gradient", target="1")
        expected = unsee.explain(banded(1), bands(3, seed=1), 1, preset="paper", iterations=1)
        assert store.find("1")[0]["score"] == pytest.approx(expected.scores.original)

    def test_images_of_the_network_go_before_arrays(self, tmp_path, make_photo):
        data = folder_of(tmp_path, WRITERS["npy"], 2)
        assert [data.id(number) for number in range(len(data))] == ["0.npy", "1.npy"]
        make_photo("scans/photo.png")
        data = unsee.open_dataset(f"folder:{tmp_path / 'scans'}")
        assert [data.id(number) for number in range(len(data))] == ["photo.png"]
        for name in ("a", "b"):
            (tmp_path / "classes" / name).mkdir(parents=True)
            npy(tmp_path / "classes" / name, bands(7))
        data = unsee.open_dataset(f"imagefolder:{tmp_path / 'classes'}")
        assert [data.labels(number) for number in range(len(data))] == [(0,), (1,)]

    def test_an_experiment(self, tmp_path):
        for place, name in enumerate(("a", "b")):
            (tmp_path / "classes" / name).mkdir(parents=True)
            for seed in range(2):
                npy(tmp_path / "classes" / name, bands(7, seed=2 * place + seed), f"{seed}.npy")
        data = unsee.open_dataset(f"imagefolder:{tmp_path / 'classes'}")
        classifier = banded(7, class_names=("a", "b", "c"))
        result = unsee.run_experiment(
            "insertion-deletion", classifier, data, methods=["gradient", "center"], out=tmp_path / "out"
        )
        assert {record["id"] for record in result.records} == {"a/0.npy", "a/1.npy", "b/0.npy", "b/1.npy"}
        assert json.loads((tmp_path / "out" / "table.json").read_text())

    def test_only_rgb_data_sets_keep_eight_bits(self, tmp_path):
        deep = (bands(1)[..., 0].astype(np.uint16) * 257 + 3).clip(0, 65535).astype(np.uint16)
        (tmp_path / "scans").mkdir()
        Image.fromarray(deep).save(tmp_path / "scans" / "deep.png")
        data = unsee.open_dataset(f"folder:{tmp_path / 'scans'}")
        assert data[0].image.dtype == np.uint8
        grey = data.reading(1, (0.0, 1.0))[0].image
        assert (grey.dtype, grey.shape) == (np.float32, (30, 36, 1))
        assert np.array_equal((grey[..., 0] * 65535).round(), deep)


def test_a_run_needs_one_picture_with_the_networks_channels(tmp_path, make_photo):
    make_photo("photos/one.png")
    data = unsee.open_dataset(f"folder:{tmp_path / 'photos'}")
    with pytest.raises(UnseeError, match="the only image cannot be read: the network takes 7 channels"):
        unsee.learn(banded(7), data, tmp_path / "maps", method="gradient", target="1")
