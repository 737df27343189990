"""Experiments that make their own maps: games, networks, hyper-parameters; boxes and curves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiment_data import NOISE, case_of, setup_of, written
from pictures import network
from unsee.datasets.sample import Instance, Sample
from unsee.errors import UnseeError
from unsee.experiments.architectures import Architectures
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.games import Games
from unsee.experiments.insertion_deletion import InsertionDeletion
from unsee.experiments.interrogation import OBJECT, Interrogations
from unsee.experiments.localisation import RULES, Localisation
from unsee.experiments.maps import MASK_TOP5, of_methods
from unsee.experiments.sensitivity import CHANGES, DEFAULT, Sensitivity
from unsee.masks import PRESETS
from unsee.masks.penalties import L1, TotalVariation
from unsee.tensors import smooth


class TestInterrogation:
    def test_boxes_and_scores(self):
        sample = Sample(
            "one", NOISE[0].image, 2, (Instance("cat", 2, (4, 6, 20.5, 30)), Instance("cat", 2, (1, 8, 3, 9)))
        )
        heat = torch.zeros(32, 32)
        heat[10:20, 5:9] = 1
        records = written(Interrogations().records(network(), case_of(sample, {"mask": heat})))
        boxes = {record["what"]: record["box"] for record in records}
        assert boxes == {"mask": [5, 10, 9, 20], OBJECT: [1, 6, 21, 30]}
        assert records[0]["area"] == 40 / 1024
        whole = written(Interrogations().records(network(), case_of(sample, {"all": torch.ones(32, 32)})))[0]
        assert whole["lost"] is None or whole["lost"] == pytest.approx(1, abs=1e-4)

    def test_what_is_lost_is_of_the_blurred_box(self):
        """The network reads the left half; a box blurs the upper half of that, p' worked out by hand."""

        class Left(torch.nn.Module):
            def forward(self, x):
                bright = x[:, :, :, :16].mean(dim=(1, 2, 3))
                return torch.stack([bright, -bright], dim=1)

        classifier = replace(network(), net=Left(), class_names=None)
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[:, :12] = 255
        heat = torch.zeros(32, 32)
        heat[:16, :16] = 1
        case = case_of(Sample("one", pixels, None), {"mask": heat})
        (record,) = written(Interrogations().records(classifier, case))
        plain, blurred = case.network_input.plain, smooth(case.network_input.plain, 10.0)
        views = torch.stack([plain, plain, blurred])
        views[1, :, :16, :16] = blurred[:, :16, :16]
        before, after, gone = classifier.probabilities(views)[:, 0].tolist()
        assert 0.1 < gone < after < before
        assert record["before"] == pytest.approx(before, abs=1e-5)
        assert record["after"] == pytest.approx(after, abs=1e-5)
        assert record["lost"] == pytest.approx((before - after) / (before - gone), abs=1e-3)

    def test_four_fifths_are_counted_over_images_that_fall(self):
        one = {"what": "mask", "box": [0, 0, 1, 1], "area": 0.1, "before": 0.9, "after": 0.1}
        losses = (0.79, 0.8, 1.2, None)
        records = [one | {"id": str(n), "lost": lost} for n, lost in enumerate(losses)]
        summary = Interrogations().summary(records)
        row = summary.tables[0].rows["mask"]
        assert row["images that lose four fifths"].value == pytest.approx(2 / 3)
        assert (row["share of the score lost"].n, sum(summary.left_out.values())) == (3, 1)


class TestGames:
    def test_map_sources(self):
        deletion, preservation = Games().map_sources(setup_of())
        assert deletion.preset == PRESETS["fast"]
        assert preservation.preset.objective.game.name == "preservation"
        assert preservation.preset.grid == PRESETS["preservation"].grid
        for preset in ("preservation", "authors"):
            base = PRESETS[preset]
            deletion, preservation = Games().map_sources(replace(setup_of(), preset=preset))
            assert deletion.preset.objective.game.name == "deletion"
            assert deletion.preset.grid == base.grid
            assert preservation.preset.grid == replace(base.grid, blur=0.0)
        networks = (replace(network(), name="one"), replace(network(3), name="two"))
        assert [
            source.classifier for source in Architectures().map_sources(setup_of(classifiers=networks))
        ] == list(networks)

    def test_networks_of_one_name_are_distinguished_by_their_weights(self):
        one, two = (replace(network(), weights_sha256=digit * 64) for digit in "ab")
        names = [source.name for source in Architectures().map_sources(setup_of(classifiers=(one, two)))]
        assert names == [f"{one.name} aaaaaa", f"{one.name} bbbbbb"]
        with pytest.raises(UnseeError, match="give each once"):
            Architectures().map_sources(setup_of(classifiers=(one, one)))

    def test_means_of_each_source(self):
        def row(score):
            return {"score": score, "perturbed_score": 0.1, "area": 0.5, "suppression": None}

        sample = NOISE[0]
        cases = [
            case_of(sample, {}, numbers={"deletion": row(s), "preservation": row(1.0)}) for s in (0.2, 0.4)
        ]
        records = written(r for case in cases for r in Games().records(network(), case))
        rows = Games().summary(records).tables[0].rows
        assert rows["deletion"]["score"].value == pytest.approx(0.3)
        assert (rows["preservation"]["score"].value, rows["deletion"]["suppression"].n) == (1.0, 0)


class TestSensitivity:
    def test_each_source_changes_one_setting(self):
        sources = {source.name: source.preset for source in Sensitivity().map_sources(setup_of())}
        base = sources[DEFAULT]
        assert base == PRESETS["fast"]
        assert base.objective.penalties == (L1(1e-4), TotalVariation(1e-2))
        assert sources["λ1 = 0.1"].objective.penalties[0].weight == pytest.approx(1e-5)
        assert sources["λ2 = 10"].objective.penalties[1].weight == pytest.approx(0.1)
        assert sources["β = 1.5"].objective.penalties[1].beta == 1.5
        assert sources["jitter = 16"].jitter == 16
        assert sources["cell = 32"].grid.cell == 32
        assert sources["perturbation = noise"].shown == base.shown
        assert len(sources) == 1 + sum(len(values) for _, values, _, _ in CHANGES.values()) + 4
        for name, settings in sources.items():
            if name == DEFAULT:
                continue
            parts = ("objective", "perturbations", "grid", "jitter", "optimiser", "start")
            assert sum(getattr(settings, part) != getattr(base, part) for part in parts) == 1, name

    @pytest.mark.parametrize("preset", ["top5", "authors", "preservation", "artifact-joint"])
    def test_it_starts_from_the_paper_s_values_alone(self, preset):
        with pytest.raises(UnseeError, match="use fast or paper"):
            Sensitivity().map_sources(replace(setup_of(), preset=preset))
        assert Sensitivity().map_sources(replace(setup_of(), preset="paper"))[0].preset == PRESETS["paper"]

    def test_a_whole_mask_costs_the_same_on_every_grid(self):
        sources = {source.name: source.preset for source in Sensitivity().map_sources(setup_of())}
        game = PRESETS["fast"].objective.game
        for cell in (4, 8, 32):
            settings = sources[DEFAULT] if cell == 8 else sources[f"cell = {cell}"]
            gone = torch.zeros(1, 224 // cell, 224 // cell)
            assert float(
                settings.objective.penalties[0].value(gone, game, torch.zeros(1, dtype=torch.long))
            ) == pytest.approx(0.0784, rel=1e-4)

    def test_numbers_hits_and_lines(self):
        sample = Sample("one", NOISE[0].image, 2, (Instance("cat", 2, (8, 8, 24, 24)),))
        right, wrong = torch.zeros(32, 32), torch.zeros(32, 32)
        right[8:24, 8:24] = 1
        wrong[0:8, 0:8] = 1
        maps = {DEFAULT: right, "λ1 = 10": wrong, "perturbation = noise": wrong}
        row = {"objective": 0.1, "area": 0.2, "suppression": 0.9}
        case = case_of(sample, maps, numbers={name: row for name in maps})
        summary = Sensitivity().summary(written(Sensitivity().records(network(), case)))
        rows = summary.tables[0].rows
        assert rows[DEFAULT]["localisation error"].value == 0
        assert rows["λ1 = 10"]["localisation error"].value == 1
        line = summary.plots[0].lines["area"]
        assert (summary.plots[0].title, line.places, summary.plots[0].usual) == ("λ1", (1.0, 10.0), 1.0)
        last = summary.plots[-1]
        assert (last.ticks[0], last.ticks[2], last.lines["area"].places) == ("blur", "noise", (0, 2))


class TestCurves:
    def test_the_more_salient_first(self):
        """A network that reads one corner: taking it first away costs the score at once."""

        class Corner(torch.nn.Module):
            def forward(self, x):
                bright = x[:, :, :8, :8].mean(dim=(1, 2, 3)) - 0.5
                return torch.stack([20 * bright, -20 * bright], dim=1)

        classifier = replace(network(), net=Corner(), class_names=None)
        sample = Sample("one", np.full((32, 32, 3), 255, np.uint8), 0)
        right, wrong = torch.zeros(32, 32), torch.ones(32, 32)
        right[:8, :8] = 1
        wrong[:8, :8] = 0
        case = case_of(sample, {"right": right, "wrong": wrong})
        rows = (
            InsertionDeletion().summary(written(InsertionDeletion().records(classifier, case))).tables[0].rows
        )
        assert rows["right"]["deletion"].value < 0.1
        assert rows["wrong"]["deletion"].value > 0.9


class TestMapSources:
    def test_the_best_five_have_the_published_objective(self):
        source, plain = of_methods(setup_of(MASK_TOP5, "gradient"))
        assert (source.method, source.target) == ("mask", "top5")
        assert source.preset.objective == PRESETS["top5"].objective
        assert source.preset.optimiser == PRESETS["fast"].optimiser
        assert (plain.method, plain.target, plain.preset) == ("gradient", "label", "fast")
        (paper,) = of_methods(replace(setup_of(MASK_TOP5), preset="paper"))
        assert paper.preset == replace(PRESETS["paper"], objective=PRESETS["top5"].objective, targets=5)
        (each,) = of_methods(replace(setup_of(MASK_TOP5), target="each"))
        assert (each.target, each.preset) == ("each", source.preset)

    def test_which_experiments_make_their_own_maps(self):
        own = {name for name, experiment in EXPERIMENTS.items() if experiment.about.own_maps}
        assert own == {"adversarial", "architectures", "games", "layers", "thresholds-sensitivity"}


class TestSubmission:
    def test_a_line_for_each_picture(self):
        count = len(RULES["value"])
        boxes = [[0, 0, 32, 32]] * count
        boxes[3] = [4, 5, 10.0, 12.0]
        found = [k == 3 for k in range(count)]
        records = [
            {"id": str(n), "method": "mask", "rule": "value", "class": 7, "boxes": boxes, "found": found}
            for n in range(2)
        ]
        summary = Localisation().summary(records)
        assert summary.files == {
            "submission-mask-value.txt": "7 4 5 9 11\n7 4 5 9 11\n",
            "submission-pictures.txt": "0\n1\n",
        }
        assert summary.tables[0].rows["mask"]["value"].n == 2
        assert Localisation().summary(records[:1]).tables[0].rows["mask"]["value"].n == 0
