"""Masks on layers from end to end: explain, compare, learn, the experiment, their files and commands."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.layers import Layers, shown_layers
from unsee.explanation import Explanation
from unsee.masks import OnLayer, explain
from unsee.runs.store import Store

FAST = ("--preset", "paper", "--iterations", "4")
MENAGERIE = ("--model", "unsee:menagerie")


@pytest.fixture
def deep():
    """A small network in training mode with BatchNorm, random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()),
            nn.Linear(192, 5),
        )
        with torch.no_grad():
            net[-1].weight.mul_(20)
    return Classifier(net.train(), size=(32, 32), name="deep")


class TestExplain:
    def test_what_is_recorded(self, deep, make_pixels, tmp_path):
        found = explain(
            deep, make_pixels(40, 56), layer=OnLayer("5", value=0.25), preset="paper", iterations=5
        )
        assert found.mask_grid.shape == (16, 16)
        assert found.mask.shape == (40, 56)
        assert found.perturbed is None
        assert found.area == pytest.approx(float((1 - found.mask_grid).mean()), abs=1e-6)
        (record,) = found.manifest()["settings"]["perturbations"]
        assert (record["type"], record["layer"], record["over"], record["value"]) == (
            *("LayerMask", "5", "space"),
            0.25,
        )
        form = {"type": "ActivationForm", "kind": "maps", "channels": 12, "rows": 16, "columns": 16}
        assert record["form"] == {**form, "prefix": 0}
        assert not found.manifest()["edits_pixels"]
        folder = found.save(tmp_path / "out")
        assert sorted(file.name for file in folder.iterdir()) == [
            *("explanation.json", "figure.png", "heatmap.png", "mask.npy", "mask.png", "mask_grid.npy"),
            "overlay.png",
        ]
        loaded = Explanation.load(folder, make_pixels(40, 56))
        assert loaded.masked == found.masked == "layer 5"
        assert "layer 5, no pixel is edited" in found._repr_html_()

    def test_the_figure_says_that_no_pixel_is_edited(self, deep, make_pixels):
        found = explain(deep, make_pixels(), layer="5", preset="paper", iterations=3)
        (photo, _), (overlay, edited), (mask, title) = found.panels()
        assert edited == f"{found.target.short}: {found.scores.perturbed:.4f}, no pixel edited"
        assert title.startswith("mask on layer 5, ")
        assert torch.equal(photo, found.photo.pixels)
        assert not torch.equal(overlay, photo)
        assert torch.equal(mask, found.mask)

    def test_channels_of_a_vector(self, deep, make_pixels):
        found = explain(
            deep, make_pixels(), layer=OnLayer("7", over="channels"), preset="paper", iterations=5
        )
        assert found.mask_grid.shape == (12, 16)
        assert len(found.mask.unique()) == 1  # a vector has one place

    def test_the_same_seed_gives_the_same_mask(self, deep, make_pixels):
        one, other = (explain(deep, make_pixels(), layer="5", seed=3, iterations=9) for _ in range(2))
        assert torch.equal(one.mask_grid, other.mask_grid)
        assert one.scores == other.scores

    def test_folders_take_the_layer_as_explain_does(self, deep, make_photo, tmp_path):
        photos, place = [make_photo("a.png"), make_photo("b.png", seed=1)], OnLayer("5", value="mean")
        plan = unsee.plan_for("paper", iterations=3)
        report = unsee.explain_to_folders(deep, photos, plan, out=tmp_path / "one", layer=place)
        direct = explain(deep, photos, preset="paper", iterations=3, layer=place)
        saved = [Explanation.load(entry.folder) for entry in report.saved]
        assert [one.run.settings for one in saved] == [one.manifest()["settings"] for one in direct]
        assert all(torch.equal(one.mask, other.mask) for one, other in zip(saved, direct, strict=True))
        planned = unsee.plan_for("paper", iterations=3, layer=place)
        again = unsee.explain_to_folders(deep, photos, planned, out=tmp_path / "one")
        assert (len(again.saved), again.problems) == (2, ())
        several = unsee.plan_for(area=(0.1, 0.2))
        with pytest.raises(UnseeError, match="a given area is for masks on pixels"):
            unsee.explain_to_folders(deep, photos, several, out=tmp_path / "two", layer="5")

    def test_preservation_keeps_the_score_with_less_of_the_layer(self, deep, make_pixels):
        found = explain(deep, make_pixels(), layer="5", game="preservation", preset="paper")
        assert found.scores.perturbed > 0.8 * found.scores.original
        assert found.scores.reference < found.scores.original
        assert found.area < 0.9

    def test_a_perturbation_of_pixels_is_refused(self, deep, make_pixels):
        with pytest.raises(UnseeError, match="a mask on a layer edits no pixels"):
            explain(deep, make_pixels(), layer="5", perturbation="blur")

    @pytest.mark.parametrize("moment", [0, 2])
    def test_the_network_comes_back_also_after_an_exception(self, deep, make_pixels, moment):
        def state():
            return [
                (part.training, len(part._forward_hooks), len(part._forward_pre_hooks), sorted(vars(part)))
                for part in deep.net.modules()
            ]

        def stop(step):
            if step.iteration > moment:
                raise KeyboardInterrupt

        weights = {name: value.clone() for name, value in deep.net.state_dict().items()}
        before = state()
        with pytest.raises(KeyboardInterrupt):
            explain(deep, make_pixels(), layer="5", preset="paper", progress=stop)
        assert state() == before
        explain(deep, make_pixels(), layer="5", preset="paper", iterations=2)
        assert state() == before
        assert all(weight.requires_grad for weight in deep.net.parameters())
        assert all(torch.equal(value, weights[name]) for name, value in deep.net.state_dict().items())


class TestCommands:
    def test_explain(self, run, make_photo):
        photos = [make_photo("a.png"), make_photo("b.png", seed=1)]
        layer = ("--layer", shown_layers(unsee.load("unsee:menagerie"))[-1])
        done = run("explain", *photos, *MENAGERIE, *FAST, *layer, "--layer-value", "mean", "--json")
        assert done.code == 0, done.err
        first, second = json.loads(done.out)
        values = first["settings"]["perturbations"][0]["value"]
        assert len(values) == first["settings"]["perturbations"][0]["form"]["channels"]
        assert second["settings"] == first["settings"]
        again = run("explain", *photos, *MENAGERIE, *FAST, *layer, "--layer-value", "mean")
        assert again.code == 0
        assert "no pixel is edited" in again.err
        other = run("explain", *photos, *MENAGERIE, *FAST, *layer)
        assert other.code == 2
        assert "holds another explanation" in other.err

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--layer-value", "mean"), "are for a mask on a layer: name one"),
            (("--mask-over", "channels"), "are for a mask on a layer: name one"),
            (("--layer", "0", "--layer-value", "median"), "takes zero, mean or a number, not 'median'"),
            (("--layer", "0", "--mask-over", "tim"), "mask over"),
            (("--layer", "0", "--perturbation", "blur"), "edits no pixels: leave"),
            (("--layer", "none"), "no layer called 'none'"),
        ],
    )
    def test_what_cannot_be_is_refused_in_a_line(self, run, make_photo, options, says):
        done = run("explain", make_photo(), *MENAGERIE, *options)
        assert done.code == 2
        assert says in done.err
        assert len(done.err.strip().splitlines()) == 1

    def test_compare(self, run, make_photo):
        layer = shown_layers(unsee.load("unsee:menagerie"))[-1]
        options = ("--methods", "mask,gradient", *MENAGERIE, "--json")
        done = run("compare", make_photo(), *options, "--mask-layer", layer, "--mask-over", "channels")
        assert done.code == 0, done.err
        (found,) = json.loads(done.out)
        assert found["mask_layer"] == {"type": "OnLayer", "name": layer, "value": "zero", "over": "channels"}
        assert found["methods"]["mask"]["shape"] != found["methods"]["gradient"]["shape"]
        other = run("compare", make_photo(), *options)
        assert other.code == 2
        assert "mask_layer" in other.err
        wrong = run("compare", make_photo(), *options, "--mask-layer", "none", "--out", "new")
        assert wrong.code == 2
        assert "no layer called 'none'" in wrong.err

    def test_learn_and_show(self, run):
        layer = shown_layers(unsee.load("unsee:menagerie"))[-1]
        data = ("menagerie", "--limit", "3", "--preset", "paper", "--iterations", "4", "--out", "store")
        done = run("learn", *data, "--layer", layer, "--layer-value", "mean")
        assert done.code == 0, done.err
        store = Store.open("store")
        record = store.manifest["settings"]["mask"]["perturbations"][0]
        assert (record["layer"], len(record["value"])) == (layer, record["form"]["channels"])
        row = next(iter(store.rows()))
        assert store.map_of(row).shape == (record["form"]["rows"], record["form"]["columns"])
        assert run("show", "store").code == 0
        assert run("export", "store", "--format", "overlay", "--out", "maps").code == 0
        again = run("learn", *data)
        assert again.code == 2

    def test_learn_still_refuses_a_layer_for_methods_that_read_none(self, run):
        done = run("learn", "menagerie", "--method", "gradient", "--layer", "0", "--limit", "2", "--out", "s")
        assert done.code == 2
        assert "gradient reads no layer" in done.err

    def test_experiment(self, run):
        every = shown_layers(unsee.load("unsee:menagerie"))
        options = ("experiment", "layers", "--limit", "2", "--out", "layers", "--json")
        done = run(*options, "--layers", f"{every[0]},{every[-1]}")
        assert done.code == 0, done.err
        rows = [row for row in json.loads(done.out)["tables"] if row["column"] == "suppression"]
        assert [row["row"] for row in rows] == [every[0], every[-1]]
        assert all(row["value"] > 0 for row in rows)
        assert {"pictures.png", "figure.png", "table.csv"} <= {file.name for file in Path("layers").iterdir()}
        shutil.rmtree("layers")
        assert "leave it out of games" in run("experiment", "games", "--layers", "0").err
        twice = run(*options, "--layers", f"{every[0]},{every[0]}")
        assert "must differ" in twice.err


class TestExperiment:
    def test_other_networks_show_the_last_layer_of_each_size(self, deep):
        assert shown_layers(deep) == ("2", "5", "6")

    def test_parts_of_blocks_are_passed_over(self):
        found = shown_layers(unsee.load("unsee:efficientnet-lite0"))
        assert found == ("blocks.0", "blocks.2", "blocks.4", "blocks.10", "head")

    def test_alexnet_shows_the_papers_layers_by_the_papers_names(self):
        from torchvision.models import alexnet

        from unsee.experiments.maps import Setup

        net = Classifier(alexnet(weights=None), name="alexnet")
        assert shown_layers(net) == tuple(f"features.{place}" for place in (2, 5, 7, 9, 12))
        data = unsee.open_dataset("menagerie", limit=2)
        sources = Layers().map_sources(Setup((net,), data, (), "paper", "predicted"))
        assert [source.name for source in sources] == ["pool1", "pool2", "relu3", "relu4", "pool5"]
        weights = [source.preset.objective.penalties[0].weight for source in sources]
        assert weights == [1e-4, 5e-3, 5e-3, 5e-3, 1e-2]

    def test_columns_are_named_as_layers(self):
        from unsee.experiments.maps import Setup

        data = unsee.open_dataset("menagerie", limit=2)
        net = unsee.load("unsee:menagerie")
        (source,) = Layers((shown_layers(net)[0],)).map_sources(Setup((net,), data, (), "fast", "predicted"))
        assert source.name == shown_layers(net)[0]
        assert source.preset.perturbations[0].layer == source.name


@pytest.mark.assets
def test_bvlc_googlenet_on_a_real_photo(assets):
    model = unsee.load("unsee:googlenet-bvlc", assets / "weights" / "googlenet_bvlc.safetensors")
    found = explain(model, assets / "photos" / "flute.jpg", layer="inception4c", preset="fast")
    assert found.target.short == "flute"
    assert found.scores.original > 0.98
    assert found.scores.perturbed < 0.05
    assert found.area < 0.2
    height, width = found.mask.shape
    on_flute = found.saliency[int(0.4 * height) : int(0.9 * height), : int(0.75 * width)].sum()
    assert on_flute > 0.7 * found.saliency.sum()
