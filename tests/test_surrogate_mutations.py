"""Mistakes in the optimiser without a gradient, each of which a comparison must notice."""

import math
from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import pytest
import torch

import test_score_model as model_tests
import test_surrogate as tests
from analytic import cost, learned, smooth_score
from unsee.masks.game import DELETION
from unsee.masks.objective import Objective
from unsee.masks.optimisers import surrogate
from unsee.masks.optimisers.score_model import Features, ScoreModel
from unsee.masks.optimisers.search import Known, Link, Search
from unsee.masks.optimisers.surrogate import Surrogate
from unsee.tensors import generator

pull, score, value, costs = Search.pull, Link.score, Link.value, Known.costs
means, samples, gradient = ScoreModel.means, ScoreModel.samples, Features.gradient
drawn, proposed, of = Surrogate._drawn, Surrogate._proposed, Link.of


def quadratic() -> None:
    tests.test_it_finds_the_optimum_of_a_quadratic("deletion", 0)


def keeping() -> None:
    tests.test_it_finds_the_optimum_of_a_quadratic("preservation", 1)


def broken() -> None:
    tests.test_masks_whose_score_is_not_finite_are_left_out(torch.inf)


def batch() -> None:
    """Two images at once, and the second alone."""
    together = learned(tests.SHORT, smooth_score, (3, 5), [1, 1])
    assert torch.equal(together[5].masks[0], tests.found_by(tests.SHORT, seed=5))


def edits() -> None:
    tests.test_scores_without_ends_and_several_edits(DELETION)


def first_masks() -> None:
    tests.test_what_it_asks_for()


def seeds() -> None:
    """Two seeds, one score."""
    first, other = (
        tests.found_by(tests.SHORT, lambda masks, *_: smooth_score(masks, 0, 0), seed) for seed in (1, 2)
    )
    assert not torch.equal(first, other)
    assert float(cost(first, 0)) < 0.2


def of_one_edit(objective, edits):
    return of(objective, 1)._replace(rise=objective.game.sign)


def in_deletion(objective, edits):
    return of(objective, edits)._replace(rise=float(edits))


def probabilities_as_they_are(objective, edits):
    return of(objective, edits)._replace(log_odds=False)


def last_alone(self, masks):
    others = replace(self, weights=torch.cat([0 * self.weights[:-1], self.weights[-1:]]))
    return means(others, masks)


def of_the_first_image(self, searches, evaluation, iteration):
    """Every image goes on from the first one's search."""
    return proposed(self, [searches[0]] * len(searches), evaluation, iteration)


def unweighted(self, features):
    return gradient(replace(self, weights=torch.ones_like(self.weights)), features)


def without_heights(self, masks):
    """Samples that are all the mean."""
    alike = self.weights[:, :1].expand_as(self.weights)
    return samples(replace(self, heights=0 * self.heights, weights=alike), masks)


MISTAKES: dict[str, tuple[object, str, object, Callable[[], None]]] = {
    "pull upwards": (Search, "pull", lambda self, *of: -pull(self, *of), quadratic),
    "pull upwards, preservation": (Search, "pull", lambda self, *of: -pull(self, *of), keeping),
    "pull of the values": (Link, "rate", lambda self, values, shifts: 0 * values + self.rise, keeping),
    "penalties left out": (Objective, "penalty_gradient", lambda self, masks, _: 0 * masks, quadratic),
    "penalties left out of costs": (
        surrogate,
        "penalty_total",
        lambda terms: torch.zeros_like(terms["score"]),
        quadratic,
    ),
    "the worst is the best": (ScoreModel, "means", lambda self, masks: -means(self, masks), quadratic),
    "no noise in the link": (
        Link,
        "score",
        lambda self, values, shifts: score(self, values, 0 * shifts),
        model_tests.score_of_the_link,
    ),
    "twice the noise in the link": (
        Link,
        "score",
        lambda self, values, shifts: score(self, values, 2 * shifts),
        model_tests.score_of_the_link,
    ),
    "no noise in the rate": (
        Link,
        "rate",
        lambda self, values, shifts: self.rise * values.sigmoid() * (-values).sigmoid(),
        model_tests.rate_of_the_link,
    ),
    "no noise in the pull": (
        Search,
        "pull",
        lambda self, masks, link: pull(
            self._replace(model=replace(self.model, shifts=0 * self.model.shifts)), masks, link
        ),
        model_tests.pull_of_a_search,
    ),
    "scores that are not finite kept": (
        Known,
        "costs",
        lambda self: costs(self).nan_to_num(posinf=-1.0),
        broken,
    ),
    "one edit of several": (Link, "of", of_one_edit, edits),
    "the game turned": (Link, "of", in_deletion, keeping),
    "probabilities without ends": (Link, "value", lambda self, scores: 0 * scores, quadratic),
    "log-odds upside down": (Link, "value", lambda self, scores: -value(self, scores), quadratic),
    "the first image's search for all": (Surrogate, "_proposed", of_the_first_image, batch),
    "one seed": (surrogate, "generator", lambda seed, stream: generator(0, stream), seeds),
    "the same masks again": (
        Surrogate,
        "_drawn",
        lambda self, like, seed, step: drawn(self, like, seed, 0),
        first_masks,
    ),
    "no ends": (Surrogate, "_drawn", lambda self, like, seed, step: drawn(self, like, seed, 1), first_masks),
    "no descent": (surrogate, "minimised", lambda _, start, *__: start, quadratic),
    "the jitter's share forgotten": (
        model_tests.score_model,
        "_JITTER",
        0.0,
        model_tests.mean_by_the_book,
    ),
    "the mean by the last evaluation": (ScoreModel, "means", last_alone, model_tests.mean_by_the_book),
    "samples without their waves": (ScoreModel, "samples", without_heights, model_tests.spread_by_the_book),
    "the features' weights forgotten": (Features, "gradient", unweighted, model_tests.gradient_of_samples),
    "half the variance": (
        model_tests.score_model,
        "math",
        mock.Mock(wraps=math, sqrt=lambda x: math.sqrt(x / 2), pi=math.pi),
        model_tests.spread_by_the_book,
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch):
    place, part, mistake, compare = MISTAKES[name]
    monkeypatch.setattr(place, part, mistake)
    with pytest.raises((AssertionError, torch.linalg.LinAlgError)):
        compare()


@pytest.mark.parametrize(
    "compare",
    [quadratic, keeping, broken, batch, edits, first_masks, seeds],
)
def test_without_a_mistake_the_comparisons_pass(compare):
    compare()
