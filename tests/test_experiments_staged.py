"""Experiments with maps of their own: attacks, games, networks, hyper-parameters; boxes and curves."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pictures import Pictures, network
from unsee.datasets.picture import photo_of
from unsee.datasets.sample import Instance, Sample
from unsee.errors import UnseeError
from unsee.experiments import detector
from unsee.experiments.adversarial import AdversarialDefence, small
from unsee.experiments.architectures import Architectures
from unsee.experiments.attack import Adversarial, attacked
from unsee.experiments.experiment import Case
from unsee.experiments.games import Games
from unsee.experiments.insertion_deletion import InsertionDeletion
from unsee.experiments.interrogation import OBJECT, Interrogations
from unsee.experiments.localisation import RULES, Localisation
from unsee.experiments.maps import MASK_TOP5, OwnMaps, Setup, of_methods
from unsee.experiments.sensitivity import CHANGES, DEFAULT, Sensitivity
from unsee.images import Squash
from unsee.masks import PRESETS
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import L1, TotalVariation
from unsee.tensors import smooth

DATA = Pictures(3)


def setup_of(*methods, classifiers=None):
    return Setup(classifiers or (network(),), DATA, methods, "fast", "label")


def case_of(sample, maps, target=(0,), numbers=None, network_inputs=None):
    network_input = NetworkInput(photo_of(sample), (32, 32), 0, Squash(), (0.5, 0.5, 0.5), 0)
    truth = None if sample.label is None else (sample.label,)
    return Case(sample, network_input, target, sample.label, maps, network_inputs or {}, numbers or {}, truth)


def written(records):
    return json.loads(json.dumps(list(records)))


def pictures():
    return torch.stack([photo_of(DATA[k]).pixels for k in range(3)])


class TestAttack:
    def test_it_stays_within_epsilon_and_changes_the_answer(self):
        classifier, images = network(), pictures()
        changed = attacked(classifier, images, 8 / 255, 10)
        assert float((changed - images).abs().max()) <= 8 / 255 + 0.5 / 255 + 1e-6
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
        torch.testing.assert_close(changed * 255, (changed * 255).round(), atol=1e-4, rtol=0)
        before, after = classifier.probabilities(images), classifier.probabilities(changed)
        best = before.argmax(dim=1, keepdim=True)
        assert bool((after.gather(1, best) < before.gather(1, best)).all())

    def test_one_step_is_the_sign_of_the_gradient(self):
        """The fast method, written out: the change is ε times the sign of the slope of the loss."""
        classifier, grey = network(), torch.full_like(pictures(), 0.5)
        found = attacked(classifier, grey, 8 / 255, 1)
        best = classifier.probabilities(grey).argmax(dim=1)
        leaf = grey.clone().requires_grad_(True)
        classifier.logits(leaf).log_softmax(dim=1).gather(1, best[:, None]).sum().neg().backward()
        expected = ((grey + 8 / 255 * leaf.grad.sign()) * 255).round() / 255
        torch.testing.assert_close(found, expected)

    def test_as_a_data_set(self):
        classifier = network()
        changed = Adversarial(DATA, classifier)
        assert len(changed) == 3
        assert (changed.id(1), changed.labels(1)) == (DATA.id(1), DATA.labels(1))
        sample = changed[1]
        assert sample.image.shape == (32, 32, 3)
        distance = np.abs(sample.image.astype(int) - DATA[1].image.astype(int)).max()
        assert 0 < distance <= 9
        np.testing.assert_array_equal(Adversarial(DATA, classifier)[1].image, sample.image)
        assert changed.described["attack"]["epsilon"] == 8 / 255

    @pytest.mark.parametrize(("epsilon", "steps"), [(0.0, 3), (1.0, 3), (0.1, 0)])
    def test_what_is_no_attack(self, epsilon, steps):
        with pytest.raises(UnseeError, match="an attack needs"):
            attacked(network(), pictures(), epsilon, steps)


class TestDetector:
    def test_what_differs_is_told_and_what_does_not_is_not(self):
        rng = torch.Generator().manual_seed(0)
        clean = torch.rand(40, 28, 28, generator=rng) * 0.1
        changed = torch.rand(40, 28, 28, generator=rng) * 0.1
        changed[:, :14] += 0.5
        told = detector.told_apart(clean, changed)
        assert (told.value, told.n) == (100, 40)
        assert abs(detector.told_apart(clean, clean).value - 50) < 15
        alike = torch.rand(40, 28, 28, generator=rng)
        assert detector.told_apart(torch.rand(40, 28, 28, generator=rng), alike).value < 70

    def test_a_pair_is_never_on_both_sides(self):
        """Each picture has its own pattern: who had seen one heatmap of a pair would know the other's."""
        rng = torch.Generator().manual_seed(1)
        own = torch.rand(30, 28, 28, generator=rng)
        assert abs(detector.told_apart(own, own + 1e-6).value - 50) < 20


class TestAdversarial:
    def test_map_sources_are_of_clean_and_attacked_pictures(self):
        sources = AdversarialDefence().map_sources(setup_of("mask", "gradient"))
        assert [source.name for source in sources] == [
            "mask, clean", "mask, attacked", "gradient, clean", "gradient, attacked",
        ]  # fmt: skip
        assert {source.target for source in sources} == {"top1"}
        assert isinstance(sources[1].dataset, Adversarial)
        assert sources[0].dataset is DATA

    def test_a_mask_that_takes_all_the_noise_away_brings_the_label_back(self, monkeypatch):
        """The network reads the mean of the picture; an attacked one is bright, deleting makes it dark."""
        monkeypatch.setattr(
            "unsee.experiments.adversarial.Blur",
            lambda: SimpleNamespace(references=lambda network_input: [dark]),
        )
        dark = torch.zeros(3, 32, 32)

        class Mean(torch.nn.Module):
            def forward(self, x):
                bright = x.mean(dim=(1, 2, 3)) - 0.5
                return torch.stack([-10 * bright, 10 * bright], dim=1)

        classifier = replace(network(), net=Mean())
        sample = Sample("one", np.zeros((32, 32, 3), np.uint8), 0)
        bright = Sample("one", np.full((32, 32, 3), 255, np.uint8), 0)
        inputs = {"mask, attacked": case_of(bright, {}).network_input}
        numbers = {"mask, clean": {"target": [0]}, "mask, attacked": {"target": [1]}}
        for share, most, back in ((1.0, 1.0, True), (0.25, 1.0, False), (1.0, 0.4, False)):
            heat = torch.zeros(32, 32)
            heat[: max(int(32 * share) - 1, 1)] = most
            maps = {"mask, clean": heat, "mask, attacked": heat}
            case = case_of(sample, maps, numbers=numbers, network_inputs=inputs)
            record = written(AdversarialDefence().records(classifier, case))[0]
            assert record["turned"]
            assert (record["clean_label"], record["true_label"], record["in_five"]) == (back, back, True)
            assert max(map(max, record["attacked"])) == pytest.approx(most)
        other = {name.replace("mask", "gradient"): 0.4 * value for name, value in maps.items()}
        numbers, inputs = (
            {name.replace("mask", "gradient"): value for name, value in own.items()}
            for own in (numbers, inputs)
        )
        case = replace(case_of(sample, other, numbers=numbers, network_inputs=inputs), truth=None)
        record = written(AdversarialDefence().records(classifier, case))[0]
        assert (record["clean_label"], record["true_label"]) == (True, None)

    def test_pictures_that_were_not_turned_are_left_out(self):
        heat = small(torch.rand(8, 8))
        known = {"method": "mask", "clean": heat, "attacked": heat}
        turned = known | {"turned": True, "clean_label": True, "true_label": None, "in_five": True}
        records = [turned | {"id": "a"}, turned | {"id": "b"}, known | {"id": "c", "turned": False}]
        summary = AdversarialDefence().summary(records)
        row = summary.tables[0].rows["mask"]
        assert row["clean label recovered, %"].value == 100
        assert "true label recovered, %" not in row
        assert list(summary.left_out.values()) == [1]
        assert summary.tables[0].paper["mask"]["clean label recovered, %"] == 40.64


class TestInterrogation:
    def test_boxes_and_scores(self):
        sample = Sample(
            "one", DATA[0].image, 2, (Instance("cat", 2, (4, 6, 20.5, 30)), Instance("cat", 2, (1, 8, 3, 9)))
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

    def test_four_fifths_are_counted_of_pictures_that_fall(self):
        one = {"what": "mask", "box": [0, 0, 1, 1], "area": 0.1, "before": 0.9, "after": 0.1}
        losses = (0.79, 0.8, 1.2, None)
        records = [one | {"id": str(n), "lost": lost} for n, lost in enumerate(losses)]
        summary = Interrogations().summary(records)
        row = summary.tables[0].rows["mask"]
        assert row["pictures that lose four fifths"].value == pytest.approx(2 / 3)
        assert (row["score taken away"].n, sum(summary.left_out.values())) == (3, 1)


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

    def test_networks_of_one_name_are_told_apart_by_their_weights(self):
        one, two = (replace(network(), weights_sha256=digit * 64) for digit in "ab")
        names = [source.name for source in Architectures().map_sources(setup_of(classifiers=(one, two)))]
        assert names == [f"{one.name} aaaaaa", f"{one.name} bbbbbb"]
        with pytest.raises(UnseeError, match="give each once"):
            Architectures().map_sources(setup_of(classifiers=(one, one)))

    def test_means_of_each_look(self):
        def row(score):
            return {"score": score, "perturbed_score": 0.1, "area": 0.5, "suppression": None}

        sample = DATA[0]
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
        assert base.objective.l1 == L1(1e-4)
        assert base.objective.tv == TotalVariation(1e-2)
        assert sources["λ1 = 0.1"].objective.l1.weight == pytest.approx(1e-5)
        assert sources["λ2 = 10"].objective.tv.weight == pytest.approx(0.1)
        assert sources["β = 1.5"].objective.tv.beta == 1.5
        assert sources["jitter = 16"].jitter == 16
        assert sources["cell = 32"].grid.cell == 32
        assert sources["perturbation = noise"].shown == base.shown
        assert len(sources) == 1 + sum(len(values) for _, values, _, _ in CHANGES.values()) + 4
        for name, settings in sources.items():
            if name == DEFAULT:
                continue
            parts = ("objective", "perturbations", "grid", "jitter", "algorithm", "start")
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
            assert float(settings.objective.l1(gone, game)) == pytest.approx(0.0784, rel=1e-4)

    def test_numbers_hits_and_lines(self):
        sample = Sample("one", DATA[0].image, 2, (Instance("cat", 2, (8, 8, 24, 24)),))
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

        classifier = replace(network(), net=Corner())
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
        assert source.preset.algorithm == PRESETS["fast"].algorithm
        assert (plain.method, plain.target, plain.preset) == ("gradient", "label", "fast")
        (each,) = of_methods(replace(setup_of(MASK_TOP5), target="each"))
        assert (each.target, each.preset) == ("each", source.preset)

    def test_who_asks_for_its_own_maps(self):
        assert isinstance(Games(), OwnMaps)
        assert not isinstance(Localisation(), OwnMaps)


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
