"""The paper's experiments: their records and their summaries."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pictures import network
from unsee.datasets.menagerie import CLASSES, Menagerie
from unsee.datasets.picture import photo_of
from unsee.datasets.sample import Instance, Sample
from unsee.experiments.animal_parts import AnimalParts
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.experiment import Case, Experiment
from unsee.experiments.localisation import RULES, Localisation
from unsee.experiments.minimality import Minimality
from unsee.experiments.pointing import Pointing
from unsee.experiments.representativeness import Representativeness
from unsee.images import Squash
from unsee.masks.network_input import NetworkInput


def case_of(sample, maps, size=(224, 224), target=(0,)):
    network_input = NetworkInput(photo_of(sample), size, 0, Squash(), (0.5, 0.5, 0.5), 0)
    return Case(sample, network_input, target, sample.label, maps)


@pytest.fixture(scope="module")
def world():
    """Images of several animals."""
    return drawn(several=1.0)


@pytest.fixture(scope="module")
def lonely():
    """Images of one animal each."""
    return drawn(several=0.0)


def drawn(several):
    """Cases with three maps: the ground truth, noise, and the centre."""
    rng = torch.Generator().manual_seed(0)
    cases = []
    for sample in Menagerie("test", 24, several=several):
        truth = torch.from_numpy(sample.segment(sample.label)).float()
        across = torch.linspace(-1, 1, 224)
        centre = 1.5 - torch.hypot(across[:, None], across[None])
        maps = {"oracle": truth, "chance": torch.rand(28, 28, generator=rng), "centre": centre}
        cases.append(case_of(sample, maps))
    return cases


def through(experiment, cases, classifier=None):
    records = [record for case in cases for record in experiment.records(classifier or network(), case)]
    return experiment.summary(json.loads(json.dumps(records)))


def test_experiments_are_listed_by_the_name_that_they_declare():
    for name, experiment in EXPERIMENTS.items():
        assert isinstance(experiment, Experiment)
        assert experiment.about.name == name
        assert "§" in experiment.about.title


class TestLocalisation:
    @staticmethod
    def missed_by_the_whole(world):
        """The box of noise is the whole image: it misses small animals, so many in %."""
        boxes = [torch.tensor(case.sample.boxes(case.sample.label)) for case in world]
        largest = [float((own[:, 2:] - own[:, :2]).prod(dim=1).max()) for own in boxes]
        return 100 * np.mean([area < 0.5 * 224**2 for area in largest])

    def test_the_truth_is_found_and_noise_is_not(self, world):
        table = through(Localisation(), world).tables[0]
        for rule in RULES:
            assert table.rows["oracle"][rule].value == 0
            assert table.rows["chance"][rule].value == pytest.approx(self.missed_by_the_whole(world), abs=6)
        assert table.rows["oracle"]["value"].n == 24

    def test_the_threshold_is_chosen_on_other_images(self):
        """Each half is found at the threshold where the other is not; chosen on all, one would be found."""
        count = len(RULES["value"])
        hits = [3, 7] * 5
        shared = {"method": "mask", "rule": "value", "class": 0, "boxes": [[0, 0, 1, 1]] * count}
        records = [
            shared | {"id": str(n), "found": [k == hit for k in range(count)]} for n, hit in enumerate(hits)
        ]
        row = Localisation(folds=2).summary(records).tables[0].rows["mask"]
        assert (row["value"].value, row["value"].n) == (100.0, 10)
        row = Localisation(folds=5).summary(records[:9]).tables[0].rows["mask"]
        assert row["α of value"].value == RULES["value"][3]
        assert (row["value"].value, row["value"].n) == (pytest.approx(100 * 4 / 9), 9)

    @staticmethod
    def hits(method, found):
        """Records of consecutive images: for each the thresholds that find its object."""
        count = len(RULES["value"])
        shared = {"method": method, "rule": "value", "class": 0, "boxes": [[0, 0, 1, 1]] * count}
        return [
            shared | {"id": str(n), "found": [k in own for k in range(count)]} for n, own in enumerate(found)
        ]

    def test_methods_are_compared_with_the_mask_image_by_image(self):
        """Misses 0 1 1 1 of one and 1 0 0 1 of the mask: differences -1 1 1 0, mean 0.25, s² 11/12."""
        always, never = range(9), ()
        mask = self.hits("mask", [never, always, always, never])
        others = self.hits("gradient", [always, never, never, never])
        table = Localisation().summary(mask + others).tables[1]
        assert set(table.rows) == {"gradient"}
        found = table.rows["gradient"]["value"]
        assert (found.value, found.n) == (25, 4)
        assert found.standard_error == pytest.approx(100 * (11 / 12 / 4) ** 0.5)
        assert not table.paper

    def test_differences_are_at_the_thresholds_of_other_images(self):
        """The mask misses all images at the threshold of the other half, the other method none."""
        mask = self.hits("mask", [[3], [7]] * 5)
        others = self.hits("center", [range(9)] * 10)
        table = Localisation(folds=2).summary(mask + others).tables[1]
        assert (table.rows["center"]["value"].value, table.rows["center"]["value"].n) == (-100, 10)
        one = Localisation().summary(mask[:1] + others[:1]).tables[1]
        assert one.rows["center"]["value"].n == 0

    @pytest.mark.parametrize("method", ["mask", "center"])
    def test_without_a_mask_or_another_method_nothing_is_compared(self, method):
        assert len(Localisation().summary(self.hits(method, [[3]] * 5)).tables) == 1

    def test_images_without_boxes_have_no_records(self, world):
        case = world[0]
        absent = next(label for label in range(len(CLASSES)) if not case.sample.boxes(label))
        assert list(Localisation().records(network(), case))
        assert list(Localisation().records(network(), replace(case, label=absent))) == []


class TestPointing:
    def test_the_ground_truth_is_always_hit(self, world):
        table = through(Pointing(), world).tables[0]
        assert table.rows["oracle"]["all"].value == 100
        assert table.rows["oracle"]["difficult"].n == 24

    def test_the_centre_is_between_noise_and_the_truth_where_there_is_one_animal(self, lonely):
        rows = through(Pointing(), lonely).tables[0].rows
        assert rows["chance"]["all"].value < rows["centre"]["all"].value < rows["oracle"]["all"].value

    def test_noise_hits_by_chance(self, world):
        """The maximum of 28² random values is any of them: cells within 15 px of the animal are hits."""
        rng = torch.Generator().manual_seed(3)
        cells, draws = torch.arange(28) * 8 + 3.5, [str(number) for number in range(30)]
        cases, shares = [], {}
        for case in world:
            maps = {name: torch.rand(28, 28, generator=rng) for name in draws}
            cases.append(replace(case, maps=maps))
            pixels = torch.from_numpy(case.sample.segment(case.label)).nonzero().float()
            rows, columns = torch.meshgrid(cells, cells, indexing="ij")
            places = torch.stack([rows, columns], dim=-1).reshape(-1, 2)
            near = torch.cdist(places, pixels).amin(dim=1) <= 15
            shares.setdefault(case.label, []).append(float(near.float().mean()))
        expected = 100 * np.mean([np.mean(own) for own in shares.values()])
        rows = through(Pointing(), cases).tables[0].rows
        found = [rows[name]["all"].value for name in draws]
        assert abs(np.mean(found) - expected) < 4 * np.std(found) / len(found) ** 0.5
        assert 10 < expected < 60

    def test_the_first_four_hundred_of_a_class_count(self):
        known = {"method": "mask", "hit_torchray": True, "difficult": True}
        records = [known | {"id": str(n), "label": n % 2, "hit": n < 5} for n in range(10)]
        assert Pointing(most=2).summary(records).tables[0].rows["mask"]["all"].value == 100
        assert Pointing().summary(records).tables[0].rows["mask"]["all"].value == 50
        assert Pointing().most == 400

    @pytest.mark.parametrize(
        ("size", "column", "hit"), [((100, 100), 69, True), ((200, 200), 69, False), ((200, 200), 63, True)]
    )
    def test_fifteen_pixels_are_of_the_network_s_input(self, size, column, hit):
        """The point is 10 or 4 pixels of the image from the object, so 20 or 8 of the larger input."""
        segment = np.zeros((100, 100), np.bool_)
        segment[40:60, 40:60] = True
        animal = Instance("cat", 0, (40, 40, 60, 60), segment)
        sample = Sample("one", np.zeros((100, 100, 3), np.uint8), 0, (animal,))
        saliency = torch.zeros(100, 100)
        saliency[50, column] = 1
        record = next(iter(Pointing().records(network(), case_of(sample, {"m": saliency}, size))))
        assert (record["hit"], record["hit_torchray"]) == (hit, True)


def areas_of(method, areas, coarse=None, target=(0,)):
    """Records of consecutive images, at 80 %."""
    shared = {"target": list(target), "method": method, "share": 0.8}
    return [
        {"id": str(number), **shared, "area": area, "area_at_tenths": coarse or area}
        for number, area in enumerate(areas)
    ]


class TestMinimality:
    def test_images_without_a_box_are_left_out_and_counted(self):
        summary = Minimality().summary(areas_of("mask", [100, 300, None], coarse=400))
        found = summary.tables[0].rows["mask"]["80 %"]
        assert (found.value, found.n, found.standard_error) == (200, 2, 100)
        assert summary.tables[1].rows["mask"]["80 %"].value == 400
        assert summary.left_out == {"images whose score does not fall if all of the image is blurred": 1}
        assert summary.tables[0].paper["mask"]["80 %"] == 11765
        assert summary.note
        assert not summary.without_paper().note

    def test_methods_are_compared_with_the_mask_image_by_image(self):
        records = areas_of("mask", [100, 300, None, 50]) + areas_of("gradient", [150, 450, 90, None])
        found = Minimality().summary(records).tables[2].rows["gradient"]["80 %"]
        assert (found.value, found.n, found.standard_error) == (100, 2, 50)
        two = areas_of("mask", [100]) + areas_of("mask", [20], target=(1,))
        two += areas_of("gradient", [130]) + areas_of("gradient", [70], target=(1,))
        assert Minimality().summary(two).tables[2].rows["gradient"]["80 %"].value == 40
        assert len(Minimality().summary(areas_of("gradient", [1])).tables) == 2

    def test_boxes_grow_with_the_share(self, world):
        cases = [case_of(case.sample, case.maps, (32, 32)) for case in world[:4]]
        best = [int(network().probabilities(case.network_input.plain[None]).argmax()) for case in cases]
        asked = [replace(case, target=(top,)) for case, top in zip(cases, best, strict=True)]
        records = [r for case in asked for r in Minimality().records(network(), case)]
        areas, coarse = {}, {}
        for record in records:
            key = record["id"], record["method"]
            areas.setdefault(key, []).append(record["area"] or math.inf)
            coarse.setdefault(key, []).append(record["area_at_tenths"] or math.inf)
        assert len(areas) == 12
        assert all(own == sorted(own) for own in areas.values())
        assert any(own[0] < own[-1] for own in areas.values())
        pairs = [pair for key, own in areas.items() for pair in zip(own, coarse[key], strict=True)]
        assert all(fine <= tenths for fine, tenths in pairs)
        assert any(fine < tenths for fine, tenths in pairs)


class TestRepresentativeness:
    def test_a_mask_of_the_whole_image_removes_the_whole_score(self, world):
        everything = {"mask": torch.ones(32, 32), "nothing": torch.zeros(32, 32)}
        case = case_of(world[0].sample, everything, (32, 32))
        classifier = network()
        top = int(classifier.probabilities(case.network_input.plain[None]).argmax())
        case = case_of(world[0].sample, everything, (32, 32), (top,))
        records = list(Representativeness().records(classifier, case))
        blurred = [r for r in records if r["perturbation"] == "blur" and r["alpha"] > 0]
        for record in blurred:
            if record["normalised"] is not None:
                expected = 0.0 if record["method"] == "mask" else 1.0
                assert record["normalised"] == pytest.approx(expected, abs=1e-4)
        assert {r["perturbation"] for r in records} == {"constant", "noise", "blur"}

    def test_images_whose_score_does_not_fall_are_left_out(self):
        record = {"id": "a", "method": "mask", "perturbation": "blur", "alpha": 0.2}
        summary = Representativeness().summary(
            [record | {"normalised": None}, record | {"id": "b", "normalised": 0.5}]
        )
        assert sum(summary.left_out.values()) == 1
        assert summary.tables[0].rows["mask, blur"]["α = 0.2"].value == 0.5


class TestAnimalParts:
    def test_eyes_and_feet(self, world):
        samples = [case.sample for case in world]
        sample = next(s for s in samples if {p.kind for p in s.keypoints(s.label)} >= {"eye", "foot"})
        saliency = torch.zeros(224, 224)
        for point in sample.keypoints(sample.label):
            if point.kind == "eye":
                saliency[
                    max(round(point.y) - 2, 0) : round(point.y) + 3,
                    max(round(point.x) - 2, 0) : round(point.x) + 3,
                ] = 1
        record = next(iter(AnimalParts().records(network(), case_of(sample, {"mask": saliency}))))
        assert record["eye"] == pytest.approx(1.0)
        assert record["foot"] < 0.5

    def test_the_ratio_is_of_the_mask(self):
        records = [
            {"id": str(n), "class": "cat", "group": "", "method": "mask", "eye": 0.8, "foot": 0.2}
            for n in range(3)
        ]
        ends, classes = AnimalParts().summary(records).tables[:2]
        assert [cell.value for cell in ends.rows["mask"].values()] == pytest.approx([0.8, 0.2])
        assert classes.rows["mask"]["mask at feet over eyes"].value == pytest.approx(4.0)
        assert classes.rows["mask"]["share of classes with eyes above feet"].value == 1
        assert classes.paper["mask"]["share of classes with eyes above feet"] == 1

    def test_images_without_eyes_or_feet_do_not_count_and_masks_stay_as_they_are(self, world):
        samples = [case.sample for case in world]
        kinds = [{point.kind for point in sample.keypoints(sample.label)} for sample in samples]
        both = next(s for s, kind in zip(samples, kinds, strict=True) if kind >= {"eye", "foot"})
        flat = torch.full((224, 224), 0.2)
        flat[0, 0], flat[0, 1] = 0.1, 0.3
        maps = {"mask": flat, "gradient": flat}
        mask, gradient = AnimalParts().records(network(), case_of(both, maps))
        assert (mask["eye"], gradient["eye"]) == (pytest.approx(0.2), pytest.approx(0.5))
        animal = next(i for i in both.instances if i.label == both.label and i.keypoints)
        eyes = replace(animal, keypoints=tuple(p for p in animal.keypoints if p.kind == "eye"))
        alone = replace(both, instances=(eyes,))
        assert list(AnimalParts().records(network(), case_of(alone, maps))) == []

    def test_a_group_s_number_is_the_mean_over_its_classes(self):
        """Dogs: a class with ratio 4 (three images) and one with ratio 2 (one image): 3.0 ± 1.0."""
        found = [("hound", "dog", 0.8, 0.2), ("pug", "dog", 0.6, 0.2), ("eel", "", 0.5, 0.5)]
        records = [
            {"id": f"{name}{n}", "class": name, "group": group, "method": "mask", "eye": eye, "foot": foot}
            for name, group, eye, foot in found
            for n in range(3 if name == "hound" else 1)
        ]
        tables = {table.title: table for table in AnimalParts().summary(records).tables}
        groups = tables["mask at feet over eyes, by group of classes"]
        assert set(groups.rows) == {"dog"}
        cell = groups.rows["dog"]["mask at feet over eyes"]
        assert (cell.value, cell.standard_error) == (pytest.approx(3.0), pytest.approx(1.0))
        assert groups.rows["dog"]["classes"].value == 2
        assert groups.paper == {"dog": {"mask at feet over eyes": 3.70}}
        ends = tables["mask, 1 keeps, by class"].rows["hound"]
        assert (ends["eyes"].value, ends["feet"].value) == (pytest.approx(0.2), pytest.approx(0.8))


def test_estimates_in_tables_are_numbers(world):
    for experiment in (Localisation(), Pointing()):
        for row in through(experiment, world[:6]).tables[0].rows.values():
            for estimate in row.values():
                assert not math.isinf(estimate.value)
