"""What an explanation holds and how it is shown."""

import dataclasses
import html.parser
import json
import math
import sys
from importlib.metadata import version

import pytest
import torch

from checks import strict
from unsee.explanation import Scores, Target
from unsee.masks import PRESETS, explain


class TestScores:
    def test_by_hand(self):
        scores = Scores(original=0.9, perturbed=0.3, reference=0.1)
        assert scores.normalized == pytest.approx(0.25)
        assert scores.suppression == pytest.approx(0.75)

    def test_scores_outside_the_span(self):
        assert Scores(0.8, 0.0, 0.3).suppression == pytest.approx(1.6)
        assert Scores(0.8, 1.0, 0.3).suppression == pytest.approx(-0.4)

    @pytest.mark.parametrize("reference", [0.5, 0.5 + 9e-7, 0.5 - 9e-7, 0.6])
    def test_without_a_span_it_is_nan(self, reference):
        scores = Scores(0.5, 0.2, reference)
        assert math.isnan(scores.normalized)
        assert math.isnan(scores.suppression)

    def test_a_small_span_is_enough(self):
        assert Scores(0.5, 0.5, 0.5 - 2e-6).normalized == pytest.approx(1)


class TestResult:
    def test_it_is_frozen(self, explanation):
        for part in (explanation, explanation.run, explanation.target, explanation.provenance):
            for field in dataclasses.fields(part):
                with pytest.raises(dataclasses.FrozenInstanceError):
                    setattr(part, field.name, None)

    def test_shapes_and_ranges(self, explanation):
        assert explanation.mask.shape == (40, 56)
        assert explanation.mask_grid.shape == (4, 4)
        assert explanation.perturbed.shape == (3, 40, 56)
        for values in (explanation.mask, explanation.mask_grid, explanation.perturbed):
            assert values.dtype == torch.float32
            assert values.min() >= 0
            assert values.max() <= 1
        assert 0 < explanation.area < 1

    def test_a_mask_of_one_keeps_the_pixel(self, classifier, make_pixels):
        """By hand: photo where the mask is 1, the average colour where it is 0, and between them linearly."""
        done = explain(classifier, make_pixels(), iterations=4, perturbation="constant")
        paint = torch.tensor(classifier.color)[:, None, None]
        expected = done.mask * done.photo.pixels + (1 - done.mask) * paint
        assert torch.allclose(done.perturbed, expected, atol=1e-6)
        assert torch.equal(done.saliency, 1 - done.mask)
        assert done.mask.max() - done.mask.min() > 0.1

    def test_saliency_of_preservation_is_its_mask(self, classifier, make_pixels):
        done = explain(classifier, make_pixels(), game="preservation", iterations=2)
        assert done.run.game == "preservation"
        assert torch.equal(done.saliency, done.mask)
        assert done.area == pytest.approx(float(done.mask.mean()), abs=0.05)

    def test_the_run_is_consistent(self, explanation):
        run = explanation.run
        assert explanation.objective == pytest.approx(sum(run.objective.values()))
        assert set(run.objective) == set(run.history) == {"score", "l1", "tv"}
        assert all(len(values) == run.iterations == 6 for values in run.history.values())
        assert run.evaluations > run.iterations
        assert (run.preset, run.seed, run.game) == ("paper", 0, "deletion")
        assert run.seconds > 0
        assert explanation.converged == (run.verdict == "converged")
        assert run.objective["score"] == pytest.approx(explanation.scores.perturbed, abs=0.1)

    @pytest.mark.parametrize("iterations", [1, 7])
    def test_history_has_one_entry_an_iteration(self, classifier, make_pixels, iterations):
        steps, once = [], dataclasses.replace(PRESETS["fast"], retries=())
        done = explain(classifier, make_pixels(), preset=once, iterations=iterations, progress=steps.append)
        assert [step.iteration for step in steps] == list(range(1, iterations + 1))
        assert {step.iterations for step in steps} == {iterations}
        assert {len(values) for values in done.run.history.values()} == {iterations}
        totals = [sum(terms) for terms in zip(*done.run.history.values(), strict=True)]
        assert [step.objective for step in steps] == pytest.approx(totals, abs=1e-6)
        assert [step.score for step in steps] == pytest.approx(done.run.history["score"], abs=1e-6)

    def test_evaluations_are_counted(self, classifier, make_pixels):
        """The port starts from a constant, so it searches nothing; joint takes three evaluations a step."""
        port = explain(classifier, make_pixels(), preset="pytorch-port", iterations=4)
        assert port.run.evaluations == 4
        joint = explain(classifier, make_pixels(), preset="pytorch-port", perturbation="joint", iterations=4)
        assert joint.run.evaluations == 12

    def test_settings_are_recorded(self, explanation):
        settings = explanation.run.settings
        assert settings["optimiser"]["iterations"] == 6
        assert settings["optimiser"]["rate"] == 0.1
        assert settings["objective"]["penalties"][0] == {
            "type": "L1",
            "weight": 1e-4,
            "cells": 784,
            "name": "l1",
        }
        assert settings["objective"]["penalties"][1]["beta"] == 3.0
        assert settings["objective"]["score"] == "softmax_score"
        assert settings["perturbations"] == [{"type": "Blur", "sigma": 10.0, "name": "blur"}]
        assert settings["jitter"] == 4
        assert settings["source"].startswith("Fong & Vedaldi 2017")

    def test_the_provenance_is_recorded(self, explanation):
        origin = explanation.provenance
        for name in ("torch", "torchvision", "numpy", "pillow", "unsee"):
            assert origin.versions[name] == version(name)
        assert origin.versions["python"] == ".".join(map(str, sys.version_info[:3]))
        assert (origin.model, origin.input_size, origin.fit) == ("tiny", (32, 32), "squash")

    def test_a_missing_span_is_null_in_the_manifest(self, explanation):
        flat = dataclasses.replace(explanation, scores=Scores(0.5, 0.2, 0.5))
        assert math.isnan(flat.suppression)
        record = strict(json.dumps(flat.manifest(), allow_nan=False))
        assert (record["suppression"], record["normalized_score"]) == (None, None)
        assert record["scores"] == {"original": 0.5, "perturbed": 0.2, "reference": 0.5}


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


class TestNotebook:
    def page(self, explanation):
        tags = Tags()
        tags.feed(explanation._repr_html_())
        return tags

    def test_it_is_self_contained(self, explanation):
        page = self.page(explanation)
        assert set(page.tags) == {"div", "img", "table", "tr", "th", "td"}
        sources = [value for name, value in page.attributes if name in ("src", "href")]
        assert len(sources) == 1
        assert sources[0].startswith("data:image/png;base64,")
        assert "http" not in explanation._repr_html_().replace(sources[0], "")
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "cat" in page.text

    def test_names_are_escaped(self, explanation):
        name = "<script>alert('1')</script> & \"more\""
        spoiled = dataclasses.replace(
            explanation,
            target=Target((1,), (name,)),
            photo=dataclasses.replace(explanation.photo, name=f'"><b onload="x()">{name}'),
            provenance=dataclasses.replace(explanation.provenance, model="<i>model"),
        )
        page = self.page(spoiled)
        assert set(page.tags) == {"div", "img", "table", "tr", "th", "td"}
        assert {key for key, _ in page.attributes} <= {"style", "class", "alt", "src"}
        assert name in page.text
        assert "<i>model" in page.text

    def test_a_result_without_a_span(self, explanation):
        page = self.page(dataclasses.replace(explanation, scores=Scores(0.5, 0.2, 0.5)))
        assert any("0.5000" in text for text in page.text)
