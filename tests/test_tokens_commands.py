"""Masks on tokens in `explain`, `compare` and `learn`, and from Hugging Face's folders."""

import json

import pytest
import torch

import unsee
from command_line import refused
from hugging_face_folders import LABELS, clip, cropping, loaded, siglip, squashing, tokenizer, vit, write
from token_nets import SIZE, convnet, lively, made, shortened, swin
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.photo_comparison import ComparisonSettings, compare
from unsee.figures.stored import _tokens as drawn_tokens
from unsee.masks import PRESETS, OnLayer, on_layer
from unsee.runs.render import render

NAME = "timm, registers, mean"


@pytest.fixture
def networks(use):
    """Lets `--model` name networks with and without tokens."""

    def load(name, weights=None, device="auto"):
        net = {"vit": lambda: made(NAME).net, "swin": swin, "convnet": convnet}[name]()
        size = {"vit": SIZE, "swin": (32, 32), "convnet": (96, 96)}[name]
        return Classifier(net, size=size, name=name)

    use(load)


class TestCommands:
    def test_explain_prints_the_token_check(self, run, networks, make_photo, tmp_path):
        done = run(
            *("explain", make_photo(), "--model", "vit", "--perturbation", "tokens", "--target", 1),
            *("--iterations", 5, "--precision", "float32"),
        )
        assert done.code == 0, done.err
        kept = json.loads((tmp_path / "explanations" / "photo" / "explanation.json").read_text())
        told = kept["token_check"]
        assert f"{told['deleted']} of 24 tokens deleted" in done.err
        assert f"binarised {told['binarised_score']:.4f}" in done.err
        assert f"really dropped {told['dropped_score']:.4f}" in done.err
        assert kept["edits_pixels"] is False

    def test_explain_says_where_embeddings_were_masked(self, run, networks, make_photo):
        done = run("explain", make_photo(), "--model", "swin", "--preset", "tokens", "--iterations", 3)
        assert done.code == 0, done.err
        assert "note: the tokens of swin cannot be dropped" in done.err

    def test_networks_without_tokens_are_refused(self, run, networks, make_photo):
        done = run("explain", make_photo(), "--model", "convnet", "--perturbation", "tokens")
        assert done.code == 2
        assert "no place in convnet that holds all patch tokens" in done.err
        assert "Traceback" not in done.err

    def test_compare(self, run, networks, make_photo, tmp_path):
        done = run(
            *("compare", make_photo(), "--model", "vit", "--perturbation", "tokens", "--target", 1),
            *("--methods", "mask"),
        )
        assert done.code == 0, done.err
        (kept,) = json.loads((tmp_path / "comparison" / "compare.json").read_text())
        assert kept["perturbation"] == "tokens"
        again = run("compare", tmp_path / "photo.png", "--model", "vit", "--target", 1, "--methods", "mask")
        assert again.code == 2
        assert "perturbation" in again.err

    def test_compare_in_python(self, make_pixels):
        found = compare(made(NAME), make_pixels(), ["mask"], targets=1, perturbation="tokens")
        saliency = found.results["mask"].saliency
        assert saliency.shape == SIZE
        grid = saliency[::8, ::8]
        assert torch.equal(saliency, grid.repeat_interleave(8, 0).repeat_interleave(8, 1))
        expected = unsee.explain(made(NAME), make_pixels(), 1, perturbation="tokens")
        assert torch.equal(grid, 1 - expected.mask_grid)

    def test_compare_says_what_dropping_gives_also_when_maps_are_there_already(
        self, run, networks, make_photo, tmp_path
    ):
        command = ("--perturbation", "tokens", "--target", 1, "--methods", "mask,gradient")
        first = run("compare", make_photo(), "--model", "vit", *command)
        again = run("compare", tmp_path / "photo.png", "--model", "vit", *command)
        (kept,) = json.loads((tmp_path / "comparison" / "compare.json").read_text())
        told = kept["methods"]["mask"]["token_check"]
        assert "token_check" not in kept["methods"]["gradient"]
        assert told["dropped_score"] == pytest.approx(told["binarised_score"], abs=1e-5)
        for done in (first, again):
            assert done.code == 0, done.err
            assert f"{told['deleted']} of 24 tokens deleted" in done.err
            assert f"really dropped {told['dropped_score']:.4f}" in done.err
        other = run("compare", make_photo("b.png"), "--model", "swin", *command, "--out", "other")
        assert other.err.count("note: the tokens of swin cannot be dropped") == 1

    def test_a_note_of_several_photos_is_printed_once(self, run, networks, make_photo):
        photos = make_photo("a.png"), make_photo("b.png", seed=1)
        done = run("explain", *photos, "--model", "swin", "--preset", "tokens", "--iterations", 2)
        assert done.err.count("tokens deleted") == 2
        assert done.err.count("note: the tokens") == 1

    def test_a_mask_lies_on_a_layer_or_on_tokens(self, run, networks, make_photo, tmp_path):
        make_photo("data/a.png")
        for command in (
            ("explain", make_photo(), "--layer", "blocks.0"),
            ("compare", make_photo(), "--mask-layer", "blocks.0", "--methods", "mask"),
            ("learn", f"folder:{tmp_path / 'data'}", "--layer", "blocks.0", "--out", "masks"),
        ):
            done = run(*command, "--model", "vit", "--preset", "tokens")
            assert done.code == 2, done.err
            assert "a mask lies on a layer or on tokens, not on both" in done.err
        with pytest.raises(UnseeError, match="not on both"):
            on_layer(PRESETS["tokens"], made(NAME), "blocks.0")
        with pytest.raises(UnseeError, match="not on both"):
            ComparisonSettings(preset="tokens", mask_layer=OnLayer("blocks.0"))

    @pytest.mark.parametrize(
        ("option", "told"),
        [
            (("--area", "0.1"), "masks of a given area lie on pixels"),
            (("--suppress", "0.95"), "choose a perturbation of pixels"),
            (("--keep", "0.9"), "choose a perturbation of pixels"),
        ],
        ids=["area", "suppress", "keep"],
    )
    def test_what_only_masks_on_pixels_have_is_refused(self, run, networks, make_photo, option, told):
        refused(run("explain", make_photo(), "--model", "vit", "--perturbation", "tokens", *option), told)


class TestStores:
    @pytest.fixture
    def learned(self, run, networks, make_photo, tmp_path):
        """Learns masks of two photos into a store, and gives it with what was printed."""

        def learn(model):
            for number in range(2):
                make_photo(f"data/{number}.png", seed=number)
            done = run(
                *("learn", f"folder:{tmp_path / 'data'}", "--model", model, "--perturbation", "tokens"),
                *("--iterations", 5, "--target", "1", "--precision", "float32", "--out", "masks"),
            )
            assert done.code == 0, done.err
            return unsee.Store.open(tmp_path / "masks"), done.err

        return learn

    def test_rows_have_what_explanations_have(self, learned, make_pixels, run):
        store, printed = learned("vit")
        assert "note" not in printed
        for row in store.rows():
            found = unsee.explain(
                made(NAME),
                row["photo"],
                1,
                **{"perturbation": "tokens", "iterations": 5, "precision": "float32"},
            )
            told = row["token_check"]
            assert told.keys() == found.run.token_check.keys()
            assert told["deleted"] == found.run.token_check["deleted"]
            assert told["dropped_score"] == pytest.approx(found.run.token_check["dropped_score"], abs=1e-4)
            mask = torch.from_numpy(store.map_of(row))
            grid = mask[::8, ::8]
            assert torch.allclose(grid, found.mask_grid, rtol=0, atol=2e-3)
            assert torch.equal(mask, grid.repeat_interleave(8, 0).repeat_interleave(8, 1))
        assert json.loads(store.table(["token_check"])["token_check"][0].as_py())["tokens"] == 24
        assert store.summary()["notes"] == {}
        for command in (("show", "masks"), ("export", "masks", "--format", "overlay", "--out", "o")):
            done = run(*command)
            assert done.code == 0, done.err
        (first, _) = render(store)
        photo, title = drawn_tokens(first)
        told = first.row["token_check"]
        assert title == f"1: {told['dropped_score']:.4f}\n{told['deleted']} of 24 tokens dropped, not painted"
        cells = first.mask.shape[0] // 4, first.mask.shape[1] // 6
        kept = torch.from_numpy(store.map_of(first.row))[::8, ::8] >= 0.5
        middle = photo[:, cells[0] // 2 :: cells[0], cells[1] // 2 :: cells[1]][:, :4, :6]
        own = first.image[:, cells[0] // 2 :: cells[0], cells[1] // 2 :: cells[1]][:, :4, :6]
        assert torch.equal(middle[:, kept], own[:, kept])
        assert bool(torch.isin(middle[:, ~kept], torch.tensor([0.62, 0.78])).all())
        exported = run("export", "masks", "--format", "csv", "--out", "rows.csv")
        assert exported.code == 0, exported.err

    def test_the_summary_says_where_embeddings_were_masked(self, learned, run):
        store, printed = learned("swin")
        (note,) = store.summary()["notes"]
        assert store.summary()["notes"][note] == 2
        assert "the tokens of swin cannot be dropped" in note
        assert "2 rows: the tokens of swin cannot be dropped" in printed
        assert "2 rows: the tokens of swin" in run("status", "masks").err
        assert all(row["token_check"]["note"] == note for row in store.rows(maps=False))

    def test_masks_on_pixels_have_no_token_check(self, run, tiny, make_photo, tmp_path):
        make_photo("data/a.png")
        assert run("learn", f"folder:{tmp_path / 'data'}", "--iterations", 2, "--out", "masks").code == 0
        assert unsee.Store.open(tmp_path / "masks").table(["token_check"])["token_check"].to_pylist() == [
            None
        ]


class TestFolders:
    """Hugging Face's networks as `unsee.load` makes them of a folder."""

    @pytest.mark.parametrize(
        ("make", "processor", "prefix"),
        [(vit, squashing, 1), (clip, cropping, 1), (siglip, squashing, 0)],
        ids=["vit", "clip", "siglip"],
    )
    def test_the_reported_score_is_that_of_a_shorter_sequence(
        self, make, processor, prefix, make_pixels, tmp_path
    ):
        own = make()
        named = make is vit
        folder = write(tmp_path / "net", lively(own), processor(), None if named else tokenizer())
        classifier = loaded(folder, **({} if named else {"labels": LABELS}))
        photo = make_pixels(32, 32)
        found = unsee.explain(classifier, photo, 1, perturbation="tokens", precision="float32")
        told = found.run.token_check
        assert "note" not in told
        assert 0 < told["deleted"] < told["tokens"] == 16
        kept = (found.mask_grid.flatten() >= 0.5).nonzero().flatten()
        stay = torch.cat([torch.arange(prefix), prefix + kept])
        image = found.photo.pixels[None]
        expected = float(shortened(classifier, stay).probabilities(image)[0, 1])
        assert told["dropped_score"] == pytest.approx(expected, abs=1e-6)
        assert told["binarised_score"] == pytest.approx(expected, abs=1e-5)
        assert abs(expected - found.scores.original) > 1e-3
