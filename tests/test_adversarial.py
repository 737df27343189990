"""Adversarial defence: the attack, the detector, and the records of the experiment."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiment_data import NOISE, case_of, setup_of, written
from pictures import network
from unsee.datasets.picture import photo_of
from unsee.datasets.sample import Sample
from unsee.errors import UnseeError
from unsee.experiments import detector
from unsee.experiments.adversarial import AdversarialDefence, small
from unsee.experiments.attack import Adversarial, attacked


def images_of():
    return torch.stack([photo_of(NOISE[k]).pixels for k in range(3)])


class TestAttack:
    def test_it_stays_within_epsilon_and_changes_the_answer(self):
        classifier, images = network(), images_of()
        changed = attacked(classifier, images, 8 / 255, 10)
        assert float((changed - images).abs().max()) <= 8 / 255 + 0.5 / 255 + 1e-6
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
        torch.testing.assert_close(changed * 255, (changed * 255).round(), atol=1e-4, rtol=0)
        before, after = classifier.probabilities(images), classifier.probabilities(changed)
        best = before.argmax(dim=1, keepdim=True)
        assert bool((after.gather(1, best) < before.gather(1, best)).all())

    def test_one_step_is_the_sign_of_the_gradient(self):
        """The fast method, written out: the change is ε times the sign of the gradient of the loss."""
        classifier, grey = network(), torch.full_like(images_of(), 0.5)
        found = attacked(classifier, grey, 8 / 255, 1)
        best = classifier.probabilities(grey).argmax(dim=1)
        leaf = grey.clone().requires_grad_(True)
        classifier.logits(leaf).log_softmax(dim=1).gather(1, best[:, None]).sum().neg().backward()
        expected = ((grey + 8 / 255 * leaf.grad.sign()) * 255).round() / 255
        torch.testing.assert_close(found, expected)

    def test_as_a_data_set(self):
        classifier = network()
        changed = Adversarial(NOISE, classifier)
        assert len(changed) == 3
        assert (changed.id(1), changed.labels(1)) == (NOISE.id(1), NOISE.labels(1))
        sample = changed[1]
        assert sample.image.shape == (32, 32, 3)
        distance = np.abs(sample.image.astype(int) - NOISE[1].image.astype(int)).max()
        assert 0 < distance <= 9
        np.testing.assert_array_equal(Adversarial(NOISE, classifier)[1].image, sample.image)
        assert changed.described["attack"]["epsilon"] == 8 / 255

    @pytest.mark.parametrize(("epsilon", "steps"), [(0.0, 3), (1.0, 3), (0.1, 0)])
    def test_bad_settings_of_an_attack_are_refused(self, epsilon, steps):
        with pytest.raises(UnseeError, match="an attack needs"):
            attacked(network(), images_of(), epsilon, steps)


class TestDetector:
    def test_only_different_heatmaps_are_detected(self):
        rng = torch.Generator().manual_seed(0)
        clean = torch.rand(40, 28, 28, generator=rng) * 0.1
        changed = torch.rand(40, 28, 28, generator=rng) * 0.1
        changed[:, :14] += 0.5
        rate = detector.detection_rate(clean, changed)
        assert (rate.value, rate.n) == (100, 40)
        assert abs(detector.detection_rate(clean, clean).value - 50) < 15
        similar = torch.rand(40, 28, 28, generator=rng)
        assert detector.detection_rate(torch.rand(40, 28, 28, generator=rng), similar).value < 70

    def test_a_pair_is_always_in_one_fold(self):
        """Each image has its own pattern: trained on one heatmap of a pair, a detector knows the other."""
        rng = torch.Generator().manual_seed(1)
        own = torch.rand(30, 28, 28, generator=rng)
        assert abs(detector.detection_rate(own, own + 1e-6).value - 50) < 20


class TestAdversarial:
    def test_map_sources_are_of_clean_and_attacked_images(self):
        sources = AdversarialDefence().map_sources(setup_of("mask", "gradient"))
        assert [source.name for source in sources] == [
            "mask, clean", "mask, attacked", "gradient, clean", "gradient, attacked",
        ]  # fmt: skip
        assert {source.target for source in sources} == {"top1"}
        assert isinstance(sources[1].dataset, Adversarial)
        assert sources[0].dataset is NOISE

    def test_a_mask_that_removes_the_attack_restores_the_label(self, monkeypatch):
        """The network reads the mean of the image; the attacked one is bright, deleting makes it dark."""
        monkeypatch.setattr(
            "unsee.experiments.adversarial.Blur",
            lambda: SimpleNamespace(references=lambda network_input: [dark]),
        )
        dark = torch.zeros(3, 32, 32)

        class Mean(torch.nn.Module):
            def forward(self, x):
                bright = x.mean(dim=(1, 2, 3)) - 0.5
                return torch.stack([-10 * bright, 10 * bright], dim=1)

        classifier = replace(network(), net=Mean(), class_names=None)
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

    def test_images_that_the_attack_did_not_change_are_left_out(self):
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
